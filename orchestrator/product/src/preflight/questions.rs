//! The questions to a host: all in one request, without slow ones on a healthy host.

use std::net::Ipv4Addr;

use apim_protocol::operation::unit::ProcessMatch;
use apim_protocol::query::examine::{Examine, Question};
use apim_protocol::value::AbsPath;

use super::edges;
use super::paths::TEXTS;
use crate::cluster::Cluster;
use crate::topology::Node;
use crate::{hosts_file, jdk, load_balancer, port, unit};

/// The prefix of nginx process titles.
const NGINX: &str = "nginx: ";

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
    let more = load_balancer::managed_ports(cluster, host);
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
    add(Question::Names { names: wanted(cluster), marker: Some(hosts_file::MARKER.to_owned()) });
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

/// Returns all names that nodes look up, without duplicates.
fn wanted(cluster: &Cluster) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut add = |name: &str| {
        let is_name = name.parse::<Ipv4Addr>().is_err() && name != "localhost";
        if is_name && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    };
    cluster.nodes().iter().for_each(|node| add(&node.peer));
    cluster.all_endpoints().for_each(|endpoint| add(&endpoint.name));
    cluster.nodes().iter().filter_map(|node| node.settings.databases.as_ref()).for_each(|d| add(&d.host));
    names
}
