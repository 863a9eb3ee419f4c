//! The verbs that contact hosts, and how they differ.

use std::fmt;

/// A verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Apply,
    Plan,
    Upgrade,
    Rollback,
    Remove,
    Status,
    Restart,
    Stop,
    Start,
    Drain,
    Undrain,
    Diff,
    Preflight,
    Audit,
    Databases,
    Facts,
    Logs,
    Exec,
    History,
}

/// When the preflight gate runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PreflightGate {
    /// Never.
    Never,
    /// Before hosts are changed.
    BeforeChanges,
    /// In check runs too: they show whether the changes are possible.
    Always,
}

/// What a verb does in addition to its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Whether the verb may change hosts. Such a run takes the host locks, issues due certificates
    /// and is recorded.
    pub(crate) may_change: bool,
    /// Whether the user confirms the change first.
    pub(crate) asks_for_confirmation: bool,
    /// When the preflight gate runs.
    pub(crate) preflight_gate: PreflightGate,
    /// Whether hooks that cannot run on this machine are reported.
    pub(crate) warns_about_hooks: bool,
    /// Whether nodes of earlier runs that are no longer in the inventory are reported.
    pub(crate) warns_about_orphans: bool,
    /// Whether the service may be down at the start. Otherwise probes must pass first.
    pub(crate) starts_while_down: bool,
    /// Whether drained nodes are put back in rotation.
    pub(crate) undrains: bool,
}

impl Policy {
    /// Only reads.
    const READ: Self = Self {
        may_change: false,
        asks_for_confirmation: false,
        preflight_gate: PreflightGate::Never,
        warns_about_hooks: false,
        warns_about_orphans: false,
        starts_while_down: false,
        undrains: false,
    };
    /// Changes hosts.
    const CHANGE: Self = Self { may_change: true, ..Self::READ };
}

impl Verb {
    /// Returns what the verb does in addition to its steps.
    pub(crate) const fn policy(self) -> Policy {
        match self {
            Self::Apply => Policy {
                preflight_gate: PreflightGate::Always,
                warns_about_hooks: true,
                warns_about_orphans: true,
                starts_while_down: true,
                ..Policy::CHANGE
            },
            Self::Plan => Policy {
                preflight_gate: PreflightGate::Always,
                warns_about_hooks: true,
                warns_about_orphans: true,
                ..Policy::READ
            },
            Self::Upgrade => Policy {
                asks_for_confirmation: true,
                preflight_gate: PreflightGate::BeforeChanges,
                ..Policy::CHANGE
            },
            Self::Rollback | Self::Remove => Policy { asks_for_confirmation: true, ..Policy::CHANGE },
            Self::Restart => Policy { warns_about_hooks: true, ..Policy::CHANGE },
            Self::Start => Policy { starts_while_down: true, undrains: true, ..Policy::CHANGE },
            Self::Undrain => Policy { starts_while_down: true, ..Policy::CHANGE },
            Self::Stop | Self::Drain | Self::Exec => Policy::CHANGE,
            Self::Preflight => Policy { warns_about_hooks: true, ..Policy::READ },
            Self::Status
            | Self::Diff
            | Self::Audit
            | Self::Databases
            | Self::Facts
            | Self::Logs
            | Self::History => Policy::READ,
        }
    }

    /// Returns the name on the command line and in records.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Plan => "plan",
            Self::Upgrade => "upgrade",
            Self::Rollback => "rollback",
            Self::Remove => "remove",
            Self::Status => "status",
            Self::Restart => "restart",
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Drain => "drain",
            Self::Undrain => "undrain",
            Self::Diff => "diff",
            Self::Preflight => "preflight",
            Self::Audit => "audit",
            Self::Databases => "databases",
            Self::Facts => "facts",
            Self::Logs => "logs",
            Self::Exec => "exec",
            Self::History => "history",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
