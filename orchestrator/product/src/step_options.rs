//! Options of a step: written once, from the task of a playbook to the step of the plan.

/// How a step is chosen, run and shown. The default is the one of a step without a task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepOptions {
    /// Tags of the task, its play and its imports, for `--tags` and `--skip-tags`.
    pub tags: Vec<String>,
    /// Whether the run continues if the step fails (`ignore_errors`).
    pub ignore_failure: bool,
    /// Whether the step always runs in check mode, even in an apply (`check_mode: true`).
    pub check_only: bool,
    /// Whether results of the step must not be shown (`no_log`).
    pub no_log: bool,
    /// Number of retries after a failure.
    pub retries: u32,
    /// Seconds between two attempts.
    pub delay_secs: u32,
}
