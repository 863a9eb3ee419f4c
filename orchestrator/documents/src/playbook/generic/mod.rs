//! The supported modules of Ansible: same names, options and behaviour. Unsupported options are
//! errors.
//!
//! The table has one row per module. Each submodule converts the rendered options of related
//! modules to operations.

mod accounts;
mod asserts;
mod commands;
mod fetch;
mod files;
mod lines;
mod options;
mod services;
mod waits;

use self::options::Options;
use super::model::GenericTask;
use crate::template::Scope;
use apim_product::Draft;
use apim_product::yaml::{Key, Kind, Mistakes, Node, nearest};

/// The context of a module.
pub(super) struct Site<'a> {
    pub(super) title: &'a str,
    pub(super) scope: &'a Scope,
    pub(super) changes: Option<bool>,
    pub(super) run_as: Option<&'a str>,
}

macro_rules! modules {
    ($($variant:ident, $words:expr, $options:expr, $doc:literal;)*) => {
        /// A module of Ansible.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum GenericName {
            $(#[doc = $doc] $variant,)*
        }

        impl GenericName {
            /// Every module with its names and supported options.
            const TABLE: &'static [(Self, &'static [&'static str], &'static [&'static str])] =
                &[$((Self::$variant, $words, $options),)*];
        }
    };
}

modules! {
    File, &["file"], &["path", "dest", "name", "state", "src", "mode", "owner", "group", "force", "follow", "recurse"],
        "`file`: a folder, a link, or the removal of a path.";
    Copy, &["copy"], &["src", "content", "dest", "mode", "owner", "group", "force", "backup", "remote_src"],
        "`copy`: a file of the control machine, or given content.";
    Template, &["template"], &["src", "dest", "mode", "owner", "group", "force", "backup"],
        "`template`: a file rendered from a template.";
    BlockInFile, &["blockinfile"],
        &["path", "dest", "name", "block", "content", "marker", "marker_begin", "marker_end", "create", "state", "insertafter", "backup"],
        "`blockinfile`: lines between two marker lines.";
    LineInFile, &["lineinfile"],
        &["path", "dest", "name", "line", "value", "regexp", "regex", "state", "create", "insertafter", "backrefs", "backup"],
        "`lineinfile`: one line of a file.";
    Command, &["command"], &["argv", "cmd", "creates", "removes", "chdir", "stdin", "stdin_add_newline"],
        "`command`: a program with its arguments.";
    Shell, &["shell"], &["cmd", "creates", "removes", "chdir", "stdin", "stdin_add_newline", "executable"],
        "`shell`: a line for /bin/sh.";
    Unarchive, &["unarchive"], &["src", "dest", "owner", "group", "remote_src", "creates"],
        "`unarchive`: an archive of the control machine, unpacked into its own folder.";
    GetUrl, &["get_url"], &["url", "dest", "checksum", "mode", "owner", "group", "force", "backup"],
        "`get_url`: a file fetched by the host.";
    Group, &["group"], &["name", "gid", "state"], "`group`: a group.";
    User, &["user"], &["name", "uid", "group", "home", "shell", "system", "state", "create_home"], "`user`: an account.";
    Service, &["systemd_service", "systemd", "service"], &["name", "state", "enabled"], "`systemd_service`: an existing unit.";
    WaitFor, &["wait_for"], &["host", "port", "path", "state", "timeout"], "`wait_for`: a port or a path.";
    Uri, &["uri"], &["url", "status_code", "timeout", "validate_certs", "method"], "`uri`: an HTTP response.";
    Assert, &["assert"], &["that", "fail_msg", "msg", "success_msg", "quiet"], "`assert`: conditions on variables.";
}

impl GenericName {
    /// Returns the module with the name or alias `word`.
    #[must_use]
    pub fn find(word: &str) -> Option<Self> {
        Self::TABLE.iter().find(|(_, words, _)| words.contains(&word)).map(|(name, _, _)| *name)
    }

    /// Returns the names of all modules.
    pub fn names() -> impl Iterator<Item = &'static str> + Clone {
        Self::TABLE.iter().flat_map(|(_, words, _)| words.iter().copied())
    }

    /// Returns the module's primary name.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.row().0
    }

    /// Returns whether the module supports `become_user`, or does not run on a host.
    #[must_use]
    pub const fn runs_as(self) -> bool {
        matches!(self, Self::Command | Self::Shell | Self::Assert)
    }

    fn row(self) -> (&'static str, &'static [&'static str]) {
        let row = Self::TABLE.iter().find(|(name, _, _)| *name == self);
        row.map_or(("", &[]), |(_, words, options)| (words.first().copied().unwrap_or(""), options))
    }

    /// Returns the options as a map, including `args`. `command: echo hi` is `command: {cmd: echo
    /// hi}`.
    pub(super) fn options(self, options: &Node, args: Option<&Node>, mistakes: &mut Mistakes) -> Node {
        let mut entries = match &options.kind {
            Kind::Map(entries) => entries.clone(),
            Kind::Null => Vec::new(),
            Kind::Text { .. } if matches!(self, Self::Command | Self::Shell) => {
                vec![(Key { text: "cmd".to_owned(), span: options.span.clone() }, options.clone())]
            }
            _ => {
                let what =
                    format!("the options of `{}` must be a map, not {}", self.row().0, options.describe());
                mistakes.add_hint(&options.span, what, "write one `option: value` per line");
                Vec::new()
            }
        };
        match args.map(|args| (&args.kind, args)) {
            None | Some((Kind::Null, _)) => {}
            Some((Kind::Map(more), _)) => entries.extend(more.iter().cloned()),
            Some((_, args)) => {
                mistakes.add(&args.span, format!("`args` must be a map, not {}", args.describe()))
            }
        }
        Node { kind: Kind::Map(entries), span: options.span.clone() }
    }

    /// Reports unsupported options before any host is contacted.
    pub(super) fn check(self, options: &Node, mistakes: &mut Mistakes) {
        let (word, known) = self.row();
        for (key, _) in options.entries().unwrap_or_default() {
            if known.contains(&key.text.as_str()) {
                continue;
            }
            let what = format!("`{word}` does not support the option `{}`", key.text);
            match nearest(&key.text, known.iter().copied()) {
                Some(near) => mistakes.add_hint(&key.span, what, format!("did you mean `{near}`?")),
                None if known.is_empty() => {
                    mistakes.add_hint(&key.span, what, "no options are supported here")
                }
                None => mistakes.add_hint(&key.span, what, format!("supported: {}", known.join(", "))),
            }
        }
    }
}

/// Converts a module to operations for one host, in order.
pub(super) fn lower(task: &GenericTask, site: &Site<'_>, mistakes: &mut Mistakes) -> Vec<Draft> {
    if task.name == GenericName::Assert {
        asserts::assert(&task.options, site, mistakes);
        return Vec::new();
    }
    let rendered = match site.scope.render(&task.options) {
        Ok(rendered) => rendered,
        Err(found) => {
            mistakes.0.extend(found.0);
            return Vec::new();
        }
    };
    let before = mistakes.0.len();
    let mut options = Options::new(task.name.row().0, &rendered, mistakes);
    let drafts = match task.name {
        GenericName::File => files::file(&mut options, site),
        GenericName::Copy => files::copy(&mut options, site),
        GenericName::Template => files::template(&mut options, site),
        GenericName::BlockInFile => lines::block(&mut options, site),
        GenericName::LineInFile => lines::line(&mut options, site),
        GenericName::Command => commands::command(&mut options, site),
        GenericName::Shell => commands::shell(&mut options, site),
        GenericName::Unarchive => fetch::unarchive(&mut options, site),
        GenericName::GetUrl => fetch::get_url(&mut options, site),
        GenericName::Group => accounts::group(&mut options, site),
        GenericName::User => accounts::user(&mut options, site),
        GenericName::Service => services::service(&mut options, site),
        GenericName::WaitFor => waits::wait_for(&mut options, site),
        GenericName::Uri => waits::uri(&mut options, site),
        GenericName::Assert => None,
    };
    if drafts.is_none() && mistakes.0.len() == before {
        mistakes.add(
            &task.options.span,
            format!("`{}` does not support this combination of options", task.name.row().0),
        );
    }
    drafts.unwrap_or_default()
}
