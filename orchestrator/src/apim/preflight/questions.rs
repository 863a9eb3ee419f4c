//! What is asked of a host: everything in one exchange, nothing that is slow where all is well.

use apim_protocol::operation::unit::ProcessMatch;
use apim_protocol::query::examine::{Examine, Question};
use apim_protocol::value::AbsPath;

use super::{edges, names};
use crate::apim::cluster::Cluster;
use crate::apim::topology::Node;
use crate::apim::{hosts_file, jdk, port, unit};

/// What kind of container the host is, where systemd found it to be one.
pub(super) const CONTAINER: &str = "/run/systemd/container";
/// Whether `SELinux` is there, and enforces its rules (`1`).
pub(super) const SELINUX: &str = "/sys/fs/selinux/enforce";
/// Whether `AppArmor` is there (`Y`).
pub(super) const APPARMOR: &str = "/sys/module/apparmor/parameters/enabled";
/// The most files that any process may be allowed to open.
pub(super) const NR_OPEN: &str = "/proc/sys/fs/nr_open";
/// How many files all processes together may open.
pub(super) const FILE_MAX: &str = "/proc/sys/fs/file-max";
/// How many threads and processes there may be.
pub(super) const THREADS_MAX: &str = "/proc/sys/kernel/threads-max";
/// How many process numbers there are.
pub(super) const PID_MAX: &str = "/proc/sys/kernel/pid_max";
/// Bits of randomness at hand.
pub(super) const ENTROPY: &str = "/proc/sys/kernel/random/entropy_avail";
/// Ports that outgoing connections are given.
pub(super) const PORT_RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";
/// Ports that they are not given all the same.
pub(super) const RESERVED: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";

/// Whether `SELinux` lets a web server connect to other hosts (`1 1`).
pub(super) const WEB_CONNECTS: &str = "/sys/fs/selinux/booleans/httpd_can_network_connect";

/// What nginx calls each of its processes.
const NGINX: &str = "nginx: ";

const TEXTS: [&str; 11] = [
    WEB_CONNECTS,
    CONTAINER,
    SELINUX,
    APPARMOR,
    NR_OPEN,
    FILE_MAX,
    THREADS_MAX,
    PID_MAX,
    ENTROPY,
    PORT_RANGE,
    RESERVED,
];

/// Returns the question who listens on the ports of these nodes.
pub(in crate::apim) fn listeners(nodes: &[&Node]) -> Question {
    let mut ports: Vec<u16> =
        nodes.iter().flat_map(|node| port::ports(node.role, node.offset)).map(|port| port.number).collect();
    ports.sort_unstable();
    ports.dedup();
    Question::Listeners { ports, own: nodes.iter().map(|node| unit::process(node)).collect() }
}

/// Returns the question with the ports of the load balancer that we see to on `host`, if there is one.
fn with_balancer(cluster: &Cluster, host: &str, question: Question) -> Question {
    let Question::Listeners { mut ports, mut own } = question else { return question };
    let more = super::balanced_ports(cluster, host);
    if !more.is_empty() {
        ports.extend(more);
        ports.sort_unstable();
        ports.dedup();
        own.push(ProcessMatch { arguments: vec![NGINX.to_owned()] });
    }
    Question::Listeners { ports, own }
}

/// Returns what `host` is asked.
#[must_use]
pub fn examine(cluster: &Cluster, host: &str) -> Examine {
    let nodes: Vec<&Node> = cluster.nodes_on(host).collect();
    let mut questions = vec![Question::Agent];
    questions.push(with_balancer(cluster, host, listeners(&nodes)));
    let mut add = |question: Question| {
        if !questions.contains(&question) {
            questions.push(question);
        }
    };
    for node in &nodes {
        add(Question::Space(node.home.releases.clone()));
        add(Question::Entry { path: node.home.release.clone(), digest: false });
        if let Some(of) = jdk::version_of(&node.java_home) {
            add(Question::Version(of));
        }
    }
    for path in TEXTS {
        if let Ok(path) = AbsPath::parse(path) {
            add(Question::Text(path));
        }
    }
    add(Question::Names { names: names::wanted(cluster), marker: Some(hosts_file::MARKER.to_owned()) });
    let mut peers: Vec<(String, u16)> = Vec::new();
    for edge in nodes.iter().flat_map(|node| edges::of(cluster, node)) {
        let peer = (edge.host, edge.port);
        if !peers.contains(&peer) {
            peers.push(peer);
        }
    }
    add(Question::Reach(peers));
    // Last, so that the least time passes before it is heard.
    add(Question::Clock);
    Examine { questions }
}
