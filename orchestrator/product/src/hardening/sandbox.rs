//! The sandbox of a unit: restrictions that do not affect a Java server. Older systemd versions
//! ignore unknown options.

use crate::topology::Node;

/// Returns the lines for the unit's `[Service]`; empty if the sandbox is off.
///
/// Not included: `MemoryDenyWriteExecute`, because it breaks the JIT compiler; `ProcSubset=pid`,
/// because the server reads `/proc/meminfo`; `PrivateNetwork`, `PrivateUsers`.
#[must_use]
pub fn sandbox(node: &Node) -> String {
    if !node.settings.hardening.sandbox {
        return String::new();
    }
    // The server writes only below its own home: logs, tmp, the pid file, registry files, rendered
    // configuration.
    let home = &node.home.release;
    // Home folders stay visible if they contain the product or its JDK.
    let in_home = [home.as_str(), node.java_home.as_str()]
        .iter()
        .any(|path| ["/home/", "/root/", "/run/user/"].iter().any(|folder| path.starts_with(folder)));
    // `-`: start even if the folder does not exist.
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

/// The unit properties and values that show that the sandbox is on.
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
