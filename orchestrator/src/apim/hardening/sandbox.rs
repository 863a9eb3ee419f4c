//! The sandbox of a unit: what a Java server does without anyway. Options that an older systemd does not know are passed over by it.

use crate::apim::topology::Node;

/// Returns the lines for the unit's `[Service]`; empty where no sandbox is wished for.
///
/// Not among them: `MemoryDenyWriteExecute`, which the JIT compiler does not survive; `ProcSubset=pid`, because the server reads
/// `/proc/meminfo`; `PrivateNetwork`, `PrivateUsers`.
#[must_use]
pub fn sandbox(node: &Node) -> String {
    if !node.settings.hardening.sandbox {
        return String::new();
    }
    // The server writes below its own home only: logs, tmp, the pid file, its registry's files, rendered configuration.
    let home = &node.home.release;
    // Home folders stay visible where the product or its JDK lies in one.
    let in_home = [home.as_str(), node.java_home.as_str()]
        .iter()
        .any(|path| ["/home/", "/root/", "/run/user/"].iter().any(|folder| path.starts_with(folder)));
    // `-`: a folder that is not there is no reason not to start.
    let writable: String = node.settings.hardening.writable.iter().map(|path| format!(" -{path}")).collect();
    let homes = if in_home { "read-only" } else { "yes" };
    format!(
        "# apim.hardening.sandbox
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ReadWritePaths={home}{writable}
ProtectHome={homes}
PrivateTmp=yes
PrivateDevices=yes
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
"
    )
}

/// The properties by which systemd tells whether a unit is in the sandbox, and the values that say so.
pub const SANDBOX_PROPERTIES: [(&str, &str); 8] = [
    ("NoNewPrivileges", "yes"),
    ("ProtectSystem", "strict"),
    ("PrivateTmp", "yes"),
    ("PrivateDevices", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectControlGroups", "yes"),
    ("RestrictSUIDSGID", "yes"),
];
