//! The table of modules: names, supported options and conversion of each.

use self::Lowering::{Evaluated, Rendered};
use super::options::Options;
use super::site::Site;
use super::{accounts, asserts, commands, fetch, files, lines, services, waits};
use apim_product::Draft;
use apim_product::yaml::{Key, Kind, Mistakes, Node, nearest};

/// Converts rendered options to operations; `None` after an error, or if the combination is not
/// supported.
type Convert = fn(&mut Options<'_>, &Site<'_>) -> Option<Vec<Draft>>;

/// How the options of a module are used.
#[derive(Clone, Copy)]
pub(super) enum Lowering {
    /// Rendered for the host, then converted to operations.
    Rendered(Convert),
    /// Evaluated when the plan is built; there are no operations.
    Evaluated(fn(&Node, &Site<'_>, &mut Mistakes)),
}

/// A row of the table of modules.
struct Row {
    name: GenericName,
    /// The module's name and its aliases.
    words: &'static [&'static str],
    /// The supported options.
    options: &'static [&'static str],
    lowering: Lowering,
}

macro_rules! modules {
    ($($variant:ident, $words:expr, $options:expr, $lowering:expr, $doc:literal;)*) => {
        /// A module of Ansible.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum GenericName {
            $(#[doc = $doc] $variant,)*
        }

        impl GenericName {
            /// Every module with its names and supported options.
            const TABLE: &'static [Row] = &[$(Row {
                name: Self::$variant,
                words: &$words,
                options: &$options,
                lowering: $lowering,
            },)*];
        }
    };
}

modules! {
    File, ["file"], ["path", "dest", "name", "state", "src", "mode", "owner", "group", "force", "follow", "recurse"],
        Rendered(files::file), "`file`: a folder, a link, or the removal of a path.";
    Copy, ["copy"], ["src", "content", "dest", "mode", "owner", "group", "force", "backup", "remote_src"],
        Rendered(files::copy), "`copy`: a file of the control machine, or given content.";
    Template, ["template"], ["src", "dest", "mode", "owner", "group", "force", "backup"],
        Rendered(files::template), "`template`: a file rendered from a template.";
    BlockInFile, ["blockinfile"],
        ["path", "dest", "name", "block", "content", "marker", "marker_begin", "marker_end", "create", "state", "insertafter", "backup"],
        Rendered(lines::block), "`blockinfile`: lines between two marker lines.";
    LineInFile, ["lineinfile"],
        ["path", "dest", "name", "line", "value", "regexp", "regex", "state", "create", "insertafter", "backrefs", "backup"],
        Rendered(lines::line), "`lineinfile`: one line of a file.";
    Command, ["command"], ["argv", "cmd", "creates", "removes", "chdir", "stdin", "stdin_add_newline"],
        Rendered(commands::command), "`command`: a program with its arguments.";
    Shell, ["shell"], ["cmd", "creates", "removes", "chdir", "stdin", "stdin_add_newline", "executable"],
        Rendered(commands::shell), "`shell`: a line for /bin/sh.";
    Unarchive, ["unarchive"], ["src", "dest", "owner", "group", "remote_src", "creates"],
        Rendered(fetch::unarchive), "`unarchive`: an archive of the control machine, unpacked into its own folder.";
    GetUrl, ["get_url"], ["url", "dest", "checksum", "mode", "owner", "group", "force", "backup"],
        Rendered(fetch::get_url), "`get_url`: a file fetched by the host.";
    Group, ["group"], ["name", "gid", "state"], Rendered(accounts::group), "`group`: a group.";
    User, ["user"], ["name", "uid", "group", "home", "shell", "system", "state", "create_home"], Rendered(accounts::user), "`user`: an account.";
    Service, ["systemd_service", "systemd", "service"], ["name", "state", "enabled"], Rendered(services::service), "`systemd_service`: an existing unit.";
    WaitFor, ["wait_for"], ["host", "port", "path", "state", "timeout"], Rendered(waits::wait_for), "`wait_for`: a port or a path.";
    Uri, ["uri"], ["url", "status_code", "timeout", "validate_certs", "method"], Rendered(waits::uri), "`uri`: an HTTP response.";
    Assert, ["assert"], ["that", "fail_msg", "msg", "success_msg", "quiet"], Evaluated(asserts::assert), "`assert`: conditions on variables.";
}

impl GenericName {
    /// Returns the module with the name or alias `word`.
    #[must_use]
    pub fn find(word: &str) -> Option<Self> {
        Self::TABLE.iter().find(|row| row.words.contains(&word)).map(|row| row.name)
    }

    /// Returns the names of all modules.
    pub fn names() -> impl Iterator<Item = &'static str> + Clone {
        Self::TABLE.iter().flat_map(|row| row.words.iter().copied())
    }

    /// Returns the module's primary name.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.row().and_then(|row| row.words.first().copied()).unwrap_or("")
    }

    /// Returns how the module's options are used.
    pub(super) fn lowering(self) -> Option<Lowering> {
        self.row().map(|row| row.lowering)
    }

    /// Returns whether the module supports `become_user`, or does not run on a host.
    #[must_use]
    pub const fn runs_as(self) -> bool {
        matches!(self, Self::Command | Self::Shell | Self::Assert)
    }

    fn row(self) -> Option<&'static Row> {
        Self::TABLE.iter().find(|row| row.name == self)
    }

    /// Returns the options as a map, including `args`. `command: echo hi` is `command: {cmd: echo
    /// hi}`.
    pub(in crate::playbook) fn options(
        self,
        options: &Node,
        args: Option<&Node>,
        mistakes: &mut Mistakes,
    ) -> Node {
        let mut entries = match &options.kind {
            Kind::Map(entries) => entries.clone(),
            Kind::Null => Vec::new(),
            Kind::Text { .. } if matches!(self, Self::Command | Self::Shell) => {
                vec![(Key { text: "cmd".to_owned(), span: options.span.clone() }, options.clone())]
            }
            _ => {
                let what =
                    format!("the options of `{}` must be a map, not {}", self.word(), options.describe());
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
    pub(in crate::playbook) fn check(self, options: &Node, mistakes: &mut Mistakes) {
        let (word, known) = (self.word(), self.row().map_or(&[][..], |row| row.options));
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
