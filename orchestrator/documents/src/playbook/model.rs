//! The parsed playbook with source positions.

use std::path::PathBuf;

use super::generic::GenericName;
use apim_product::yaml::{Key, Node, Span};
use apim_product::{ApimTask, StepOptions};

/// A playbook with its imports resolved.
#[derive(Debug, Clone, Default)]
pub struct Playbook {
    /// The path or built-in name, as the user wrote it.
    pub name: String,
    /// Plays in order, including imported ones.
    pub plays: Vec<Play>,
    /// All files that were read. Built-in playbooks are not included.
    pub files: Vec<PathBuf>,
}

/// Tasks for a set of hosts. All hosts of a batch finish before the next batch begins.
#[derive(Debug, Clone)]
pub struct Play {
    /// Display name; by default the host pattern.
    pub name: String,
    /// The host pattern, which may be a template over `-e` variables.
    pub hosts: Node,
    /// `become`; `None` if the play does not set it.
    pub escalate: Option<bool>,
    /// `become_user`.
    pub become_user: Option<Node>,
    /// Batch sizes; the last one repeats. Empty means all hosts in one batch.
    pub serial: Vec<Batch>,
    /// The percentage of hosts in a batch that may fail before the run ends; `None` if the play
    /// does not set it.
    pub max_fail_percentage: Option<u8>,
    /// Whether the first failure ends the run.
    pub any_errors_fatal: bool,
    /// Order of tasks across hosts.
    pub strategy: Strategy,
    /// `vars` of the play, unrendered.
    pub variables: Vec<(Key, Node)>,
    /// Tags for all its tasks.
    pub tags: Vec<String>,
    /// Tasks in order, including imported ones.
    pub tasks: Vec<Task>,
    /// Source position.
    pub span: Span,
}

/// An entry of `serial`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batch {
    /// Number of hosts, at least one.
    Hosts(usize),
    /// Percentage of the play's hosts, at least one host.
    Percent(u8),
}

/// Order of tasks across the hosts of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// Each host runs its tasks independently.
    #[default]
    Free,
    /// All hosts finish a task before the next one begins.
    Linear,
}

/// A task as written, before it is bound to hosts.
#[derive(Debug, Clone)]
pub struct Task {
    /// Display name, which may be a template; by default the module's name.
    pub name: Node,
    /// The module to run.
    pub module: Module,
    /// Conditions that must all be true, those of an `import_tasks` first.
    pub when: Vec<Node>,
    /// `loop`: the task runs once for each item.
    pub items: Option<Node>,
    /// `vars` of the task, unrendered.
    pub variables: Vec<(Key, Node)>,
    /// How its steps are chosen, run and shown.
    pub options: StepOptions,
    /// `become`; `None` if the task does not set it.
    pub escalate: Option<bool>,
    /// Position of `become`.
    pub escalate_at: Option<Span>,
    /// `become_user`.
    pub become_user: Option<Node>,
    /// Whether only the first host of the batch runs it.
    pub run_once: bool,
    /// Whether it runs on the control machine instead of the host.
    pub on_localhost: bool,
    /// `changed_when: true|false`.
    pub changes: Option<bool>,
    /// Source position.
    pub span: Span,
}

/// The module of a task.
#[derive(Debug, Clone)]
pub enum Module {
    /// An API Manager task.
    Apim(ApimTask),
    /// One of Ansible's modules.
    Generic(GenericTask),
}

/// An Ansible module with its unrendered options.
#[derive(Debug, Clone)]
pub struct GenericTask {
    /// The module.
    pub name: GenericName,
    /// A map of option names to values.
    pub options: Node,
}
