//! What the agent reads of its host, once, for Hello. Data: never a template, never a path on the control machine.

use serde::{Deserialize, Serialize};

/// What a host says of itself; every text is bounded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The host's own name.
    pub hostname: String,
    /// A digest of its machine-id, which identifies the machine; empty where it has none.
    #[serde(default)]
    pub machine: String,
    /// `uname -m`, such as `x86_64`.
    pub architecture: String,
    /// Kernel release.
    pub kernel: String,
    /// `ID` of os-release, such as `debian`.
    pub os: String,
    /// `VERSION_ID` of os-release.
    pub os_version: String,
    /// Number of processors.
    pub processors: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Free bytes where `/opt` lies.
    pub disk_free_bytes: u64,
    /// Whether systemd runs the host.
    pub systemd: bool,
    /// Seconds since 1970 by the host's clock.
    pub clock_secs: u64,
    /// The agent's own user id.
    pub uid: u32,
}
