//! `apim.preflight`: the levels of the preflight checks.

use std::collections::BTreeMap;

use super::read::{Section, one_of, text_of};
use crate::yaml::Kind;

/// A check that runs before anything is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// The operating system and its version.
    Os,
    /// The number of processors.
    Cpu,
    /// Memory compared with the heaps of the host's nodes.
    Memory,
    /// Free space for the releases to unpack.
    Disk,
    /// Whether the nodes' ports are free, or used by the nodes themselves.
    Ports,
    /// The clock compared with those of the other hosts.
    Clock,
    /// The JDK's version.
    Jdk,
    /// Whether this host resolves every name of the cluster correctly.
    Names,
    /// Every connection that can be tested already.
    Reach,
    /// Whether the agent runs as root.
    Privilege,
    /// systemd and its version.
    Systemd,
    /// `SELinux` and `AppArmor`.
    SecurityModule,
    /// Limits of open files and processes.
    Limits,
    /// Kernel settings that break the product.
    Kernel,
}

impl Check {
    /// Every check, in display order.
    pub const ALL: [Self; 14] = [
        Self::Os,
        Self::Cpu,
        Self::Memory,
        Self::Disk,
        Self::Ports,
        Self::Clock,
        Self::Jdk,
        Self::Names,
        Self::Reach,
        Self::Privilege,
        Self::Systemd,
        Self::SecurityModule,
        Self::Limits,
        Self::Kernel,
    ];

    /// Returns its name in inventories and in output.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Os => "os",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Ports => "ports",
            Self::Clock => "clock",
            Self::Jdk => "jdk",
            Self::Names => "names",
            Self::Reach => "reach",
            Self::Privilege => "privilege",
            Self::Systemd => "systemd",
            Self::SecurityModule => "security_module",
            Self::Limits => "limits",
            Self::Kernel => "kernel",
        }
    }
}

/// Overrides the severity of a failed check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The run stops before any change.
    Fail,
    /// A warning is shown.
    Warn,
    /// The check is skipped.
    Off,
}

const LEVELS: [(&str, Level); 3] = [("fail", Level::Fail), ("warn", Level::Warn), ("off", Level::Off)];

/// `apim.preflight`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preflight {
    levels: BTreeMap<Check, Level>,
}

impl Preflight {
    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let mut levels = BTreeMap::new();
        for check in Check::ALL {
            let Some(node) = section.take(check.word()) else { continue };
            // YAML 1.1 reads a bare `off` as a boolean.
            if node.kind == Kind::Bool(false) {
                levels.insert(check, Level::Off);
                continue;
            }
            let what = section.path(check.word());
            let Some(text) = text_of(node, &what, section.mistakes) else { continue };
            match LEVELS.iter().find(|(word, _)| *word == text.value) {
                Some((_, level)) => drop(levels.insert(check, *level)),
                None => {
                    let words = LEVELS.map(|(word, _)| word);
                    let hint = one_of(&text.value, &words);
                    section.mistakes.add_hint(
                        &text.span,
                        format!("`{what}`: unknown value `{}`", text.value),
                        hint,
                    );
                }
            }
        }
        section.finish();
        Self { levels }
    }

    /// Returns the level that the inventory sets for `check`, if any.
    #[must_use]
    pub fn level(&self, check: Check) -> Option<Level> {
        self.levels.get(&check).copied()
    }
}
