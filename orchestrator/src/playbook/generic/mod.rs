//! Ansible's modules, as far as they are supported: same names, same options, same meaning; another option is a mistake.
//!
//! One table row a module; one file for modules of a kind, which lowers rendered options to operations.

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
use crate::apim::Draft;
use crate::template::Scope;
use crate::yaml::{Key, Kind, Mistakes, Node, nearest};

/// What a module needs to know beside its options.
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
            /// Every module: its names, and the options that it takes here.
            const TABLE: &'static [(Self, &'static [&'static str], &'static [&'static str])] =
                &[$((Self::$variant, $words, $options),)*];
        }
    };
}

modules! {
    File, &["file"], &["path", "dest", "name", "state", "src", "mode", "owner", "group", "force", "follow", "recurse"],
        "`file`: a folder, a link, or nothing at a path.";
    Copy, &["copy"], &["src", "content", "dest", "mode", "owner", "group", "force", "backup", "remote_src"],
        "`copy`: a file of the control machine, or given content.";
    Template, &["template"], &["src", "dest", "mode", "owner", "group", "force", "backup"],
        "`template`: a file made from a template.";
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
        "`unarchive`: an archive of the control machine, unpacked at a folder of its own.";
    GetUrl, &["get_url"], &["url", "dest", "checksum", "mode", "owner", "group", "force", "backup"],
        "`get_url`: a file fetched by the host.";
    Group, &["group"], &["name", "gid", "state"], "`group`: a group.";
    User, &["user"], &["name", "uid", "group", "home", "shell", "system", "state", "create_home"], "`user`: an account.";
    Service, &["systemd_service", "systemd", "service"], &["name", "state", "enabled"], "`systemd_service`: a unit that is there.";
    WaitFor, &["wait_for"], &["host", "port", "path", "state", "timeout"], "`wait_for`: a port or a path.";
    Uri, &["uri"], &["url", "status_code", "timeout", "validate_certs", "method"], "`uri`: an HTTP answer.";
    Assert, &["assert"], &["that", "fail_msg", "msg", "success_msg", "quiet"], "`assert`: conditions on variables.";
}

impl GenericName {
    /// Returns the module called `word`.
    #[must_use]
    pub fn find(word: &str) -> Option<Self> {
        Self::TABLE.iter().find(|(_, words, _)| words.contains(&word)).map(|(name, _, _)| *name)
    }

    /// Returns the names of all modules.
    pub fn names() -> impl Iterator<Item = &'static str> + Clone {
        Self::TABLE.iter().flat_map(|(_, words, _)| words.iter().copied())
    }

    /// Returns its name.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.row().0
    }

    /// Says whether it can be done as another account than the agent's (or touches no host at all).
    #[must_use]
    pub const fn runs_as(self) -> bool {
        matches!(self, Self::Command | Self::Shell | Self::Assert)
    }

    fn row(self) -> (&'static str, &'static [&'static str]) {
        let row = Self::TABLE.iter().find(|(name, _, _)| *name == self);
        row.map_or(("", &[]), |(_, words, options)| (words.first().copied().unwrap_or(""), options))
    }

    /// Returns the options as a map: `command: echo hi` is `command: {cmd: echo hi}`; `args` are added.
    pub(super) fn options(self, options: &Node, args: Option<&Node>, mistakes: &mut Mistakes) -> Node {
        let mut entries = match &options.kind {
            Kind::Map(entries) => entries.clone(),
            Kind::Null => Vec::new(),
            Kind::Text { .. } if matches!(self, Self::Command | Self::Shell) => {
                vec![(Key { text: "cmd".to_owned(), span: options.span.clone() }, options.clone())]
            }
            _ => {
                let what = format!("`{}` takes a map of options, not {}", self.row().0, options.describe());
                mistakes.add_hint(&options.span, what, "write `option: value`, one a line");
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

    /// Complains about options that are not supported, before any host is looked at.
    pub(super) fn check(self, options: &Node, mistakes: &mut Mistakes) {
        let (word, known) = self.row();
        for (key, _) in options.entries().unwrap_or_default() {
            if known.contains(&key.text.as_str()) {
                continue;
            }
            let what = format!("`{word}` has no option `{}` here", key.text);
            match nearest(&key.text, known.iter().copied()) {
                Some(near) => mistakes.add_hint(&key.span, what, format!("did you mean `{near}`?")),
                None if known.is_empty() => mistakes.add_hint(&key.span, what, "it takes no options"),
                None => mistakes.add_hint(&key.span, what, format!("it takes: {}", known.join(", "))),
            }
        }
    }
}

/// Returns the operations of a module on one host, in order.
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
        mistakes
            .add(&task.options.span, format!("`{}` cannot be done with these options", task.name.row().0));
    }
    drafts.unwrap_or_default()
}
