//! What is closed beyond the usual: kernel, limits, the unit's sandbox, flags of the JVM; and what is not fit for production.
//!
//! Values: documentation, "production deployment guidelines", "security guidelines for production deployment", "tuning performance".

use std::collections::BTreeMap;

use apim_protocol::operation::file::Show;
use apim_protocol::value::{AbsPath, FileMode, Owner, Sha256};

use super::cluster::Cluster;
use super::files::PlacedFile;
use super::port;
use super::settings::hardening::{Jmx, Verifier};
use super::topology::Node;

pub mod check;
mod sandbox;
#[cfg(test)]
mod tests;

pub use sandbox::{SANDBOX_PROPERTIES, sandbox};

/// Where the kernel's settings are kept over boots.
pub const SYSCTL_FILE: &str = "/etc/sysctl.d/90-apim-deploy.conf";
/// Where the account's limits are kept.
pub const LIMITS_FILE: &str = "/etc/security/limits.d/90-apim-deploy.conf";

/// The documented settings but two: `net.ipv4.tcp_tw_recycle` broke clients behind NAT and is gone since Linux 4.12; `fs.file-max` is
/// larger by itself on every system of today, so setting it would lower it (preflight looks at it).
const SYSCTL: [(&str, &str); 9] = [
    ("net.core.rmem_default", "524288"),
    ("net.core.rmem_max", "67108864"),
    ("net.core.wmem_default", "524288"),
    ("net.core.wmem_max", "67108864"),
    ("net.ipv4.ip_local_port_range", "1024 65535"),
    ("net.ipv4.tcp_fin_timeout", "30"),
    ("net.ipv4.tcp_rmem", "4096 87380 16777216"),
    ("net.ipv4.tcp_tw_reuse", "1"),
    ("net.ipv4.tcp_wmem", "4096 65536 16777216"),
];

/// With outgoing connections allowed from port 1024 on, one of them could take a node's port while it is restarted.
const RESERVED: &str = "net.ipv4.ip_local_reserved_ports";

/// Returns the kernel's settings on `host`, the user's weighing more than ours.
#[must_use]
pub fn sysctl(cluster: &Cluster, host: &str) -> BTreeMap<String, String> {
    let nodes: Vec<&Node> = cluster.nodes_on(host).collect();
    let Some(hardening) = nodes.first().map(|node| &node.settings.hardening).filter(|it| it.sysctl) else {
        return BTreeMap::new();
    };
    let mut values: BTreeMap<String, String> =
        SYSCTL.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let ports: Vec<u16> =
        nodes.iter().flat_map(|node| port::ports(node.role, node.offset)).map(|port| port.number).collect();
    values.insert(RESERVED.to_owned(), port::ranges(&ports));
    for (key, value) in &hardening.sysctl_values {
        match value {
            Some(value) => drop(values.insert(key.clone(), value.clone())),
            None => drop(values.remove(key)),
        }
    }
    values
}

/// Returns the file that brings the kernel's settings back at boot.
#[must_use]
pub fn sysctl_file(cluster: &Cluster, host: &str) -> Option<PlacedFile> {
    let values = sysctl(cluster, host);
    let lines: String = values.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
    let text = format!(
        "# Written by apim-deploy (apim.hardening.sysctl); the next apply puts edits right.\n{lines}"
    );
    (!values.is_empty()).then(|| root_file(SYSCTL_FILE, text)).flatten()
}

/// Returns the file that raises the account's limits in sessions; the unit brings its own for the server.
#[must_use]
pub fn limits_file(node: &Node) -> Option<PlacedFile> {
    let user = &node.settings.user;
    let text = format!(
        "# Written by apim-deploy (apim.hardening.limits); the next apply puts edits right. Units bring limits of their own.
{user} soft nofile 65535
{user} hard nofile 65535
{user} soft nproc 20000
{user} hard nproc 20000
"
    );
    node.settings.hardening.limits.then(|| root_file(LIMITS_FILE, text)).flatten()
}

fn root_file(path: &str, text: String) -> Option<PlacedFile> {
    Some(PlacedFile {
        path: AbsPath::parse(path).ok()?,
        bytes: text.into_bytes().into(),
        mode: FileMode::new(0o644),
        owner: Owner { user: Some("root".to_owned()), group: Some("root".to_owned()) },
        show: Show::Text,
        is_block: false,
    })
}

/// Flags that the documentation asks for in production.
const JVM: [&str; 3] = [
    "-Djdk.tls.ephemeralDHKeySize=2048",
    "-Djdk.tls.rejectClientInitiatedRenegotiation=true",
    "-DentityExpansionLimit=10000",
];

/// Returns the JVM's options beyond the heap: ours, then the user's.
#[must_use]
pub fn java_opts(node: &Node) -> Option<String> {
    let hardening = &node.settings.hardening;
    let mut options: Vec<&str> = if hardening.jvm { JVM.to_vec() } else { Vec::new() };
    if hardening.jmx == Jmx::Local {
        options.push("-Djava.rmi.server.hostname=127.0.0.1");
    }
    options.extend(node.own.java_opts.as_deref());
    (!options.is_empty()).then(|| options.join(" "))
}

/// Returns the arguments of the start script.
///
/// The script itself says `-Dhttpclient.hostnameVerifier=AllowAll`, behind `JAVA_OPTS`; what is said behind the main class is set by the
/// server itself later, and so wins (wso2/product-apim, startup-scripts; carbon-kernel, `Main`).
#[must_use]
pub fn arguments(node: &Node) -> Vec<String> {
    match node.settings.hardening.hostname_verifier {
        Verifier::AllowAll => Vec::new(),
        verifier => vec![format!("-Dhttpclient.hostnameVerifier={}", verifier.word())],
    }
}

/// Returns what of all this a running node has to be restarted for.
#[must_use]
pub fn inputs(node: &Node) -> BTreeMap<String, String> {
    let mut inputs = BTreeMap::new();
    let verifier = node.settings.hardening.hostname_verifier;
    if verifier != Verifier::AllowAll {
        inputs.insert("hostname verifier".to_owned(), verifier.word().to_owned());
    }
    let sandbox = sandbox(node);
    if !sandbox.is_empty() {
        inputs.insert("sandbox".to_owned(), Sha256::of(sandbox.as_bytes()).to_string());
    }
    inputs
}
