//! A playbook once read: plain data with places.

use std::path::PathBuf;

use super::generic::GenericName;
use crate::apim::ApimTask;
use crate::yaml::{Key, Node, Span};

/// Plays in order; imported playbooks are in their place.
#[derive(Debug, Clone, Default)]
pub struct Playbook {
    /// The file, as the user named it.
    pub name: String,
    /// In order.
    pub plays: Vec<Play>,
    /// The files that it was read from; built-in ones are none.
    pub files: Vec<PathBuf>,
}

/// Tasks for some hosts; a barrier stands behind each batch.
#[derive(Debug, Clone)]
pub struct Play {
    /// For people; the host pattern when the author gave none.
    pub name: String,
    /// The host pattern.
    pub hosts: Node,
    /// `become`; `None` when the play does not say.
    pub escalate: Option<bool>,
    /// `become_user`.
    pub become_user: Option<Node>,
    /// How many hosts at a time, one entry a batch; the last entry repeats. Empty for all at once.
    pub serial: Vec<Batch>,
    /// How many hosts of a batch may fail, in percent, before the run ends; `None` when the play does not say.
    pub max_fail_percentage: Option<u8>,
    /// Whether one failure ends the run at once.
    pub any_errors_fatal: bool,
    /// How the tasks of different hosts keep step.
    pub strategy: Strategy,
    /// Variables of the play.
    pub variables: Vec<(Key, Node)>,
    /// Tags that all its tasks have.
    pub tags: Vec<String>,
    /// In order.
    pub tasks: Vec<Task>,
    /// Where it stands.
    pub span: Span,
}

/// An entry of `serial`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batch {
    /// So many hosts.
    Hosts(usize),
    /// So many hosts of a hundred, at least one.
    Percent(u8),
}

/// How hosts keep step within a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// Each goes through its tasks on its own.
    #[default]
    Free,
    /// All finish a task before any begins the next one.
    Linear,
}

/// One line of the author's intent.
#[derive(Debug, Clone)]
pub struct Task {
    /// For people; the module when the author gave none. May be a template.
    pub name: Node,
    /// What is to be done.
    pub module: Module,
    /// All of these must hold; those of an `import_tasks` come first.
    pub when: Vec<Node>,
    /// Done once for each item.
    pub items: Option<Node>,
    /// Variables of the task.
    pub variables: Vec<(Key, Node)>,
    /// Its tags with those of its play and of its `import_tasks`.
    pub tags: Vec<String>,
    /// `become`; `None` when the task does not say.
    pub escalate: Option<bool>,
    /// Where the task says `become`.
    pub escalate_at: Option<Span>,
    /// `become_user`.
    pub become_user: Option<Node>,
    /// Whether nothing of it may be shown.
    pub no_log: bool,
    /// How often it is tried again after a failure.
    pub retries: u32,
    /// Seconds between tries.
    pub delay_secs: u32,
    /// Whether it is done on the first host of the batch only.
    pub run_once: bool,
    /// Whether it is done on this machine in place of the host.
    pub on_localhost: bool,
    /// `Some(true)`: looks only, whatever the run does. `Some(false)` is refused when read.
    pub check_mode: Option<bool>,
    /// Whether later tasks go on although this one failed.
    pub ignore_errors: bool,
    /// `changed_when: true|false`.
    pub changes: Option<bool>,
    /// Where it stands.
    pub span: Span,
}

/// What a task does.
#[derive(Debug, Clone)]
pub enum Module {
    /// A task that knows API Manager.
    Apim(ApimTask),
    /// One of Ansible's modules.
    Generic(GenericTask),
}

/// One of Ansible's modules with its options as written.
#[derive(Debug, Clone)]
pub struct GenericTask {
    /// Which.
    pub name: GenericName,
    /// A map.
    pub options: Node,
}
