//! The questions to a host: all in one request, without slow ones on a healthy host.

use apim_protocol::operation::unit::ProcessMatch;
use apim_protocol::query::examine::{Examine, Question};
use apim_protocol::value::AbsPath;

use super::{edges, names};
use crate::cluster::Cluster;
use crate::topology::Node;
use crate::{hosts_file, jdk, port, unit};

/// The type of container, if systemd detected one.
pub(super) const CONTAINER: &str = "/run/systemd/container";
/// Whether `SELinux` is available and enforcing (`1`).
pub(super) const SELINUX: &str = "/sys/fs/selinux/enforce";
/// Whether `AppArmor` is enabled (`Y`).
pub(super) const APPARMOR: &str = "/sys/module/apparmor/parameters/enabled";
/// The upper limit of open files per process.
pub(super) const NR_OPEN: &str = "/proc/sys/fs/nr_open";
/// The limit of open files of all processes.
pub(super) const FILE_MAX: &str = "/proc/sys/fs/file-max";
/// The limit of threads and processes.
pub(super) const THREADS_MAX: &str = "/proc/sys/kernel/threads-max";
/// The largest process id.
pub(super) const PID_MAX: &str = "/proc/sys/kernel/pid_max";
/// Available entropy in bits.
pub(super) const ENTROPY: &str = "/proc/sys/kernel/random/entropy_avail";
/// The ephemeral port range.
pub(super) const PORT_RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";
/// Ports that are excluded from the ephemeral range.
pub(super) const RESERVED: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";

/// Whether `SELinux` allows a web server to connect to other hosts (`1 1`).
pub(super) const WEB_CONNECTS: &str = "/sys/fs/selinux/booleans/httpd_can_network_connect";

/// The prefix of nginx process titles.
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

/// Returns the question for the processes that listen on the ports of these nodes.
pub(crate) fn listeners(nodes: &[&Node]) -> Question {
    let mut ports: Vec<u16> =
        nodes.iter().flat_map(|node| port::ports(node.role, node.offset)).map(|port| port.number).collect();
    ports.sort_unstable();
    ports.dedup();
    Question::Listeners { ports, own: nodes.iter().map(|node| unit::process(node)).collect() }
}

/// Adds the ports of a managed load balancer on `host`, if any.
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

/// Returns the questions to `host`.
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
    // Last, to minimize the time until the answer arrives.
    add(Question::Clock);
    Examine { questions }
}
