//! Judging ports and connections.

use apim_protocol::observation::Listener;

use super::edges::{self, Edge, Target};
use super::{Finding, Pairs, Scene};
use crate::apim::topology::{Node, NodeName};
use crate::apim::{balancer, port};

pub(super) fn ports(scene: &Scene<'_>, host: &str, pairs: &Pairs<'_>) -> Vec<Finding> {
    let Some(listeners) = pairs.listeners() else {
        return vec![Finding::unknown("who listens was not told")];
    };
    let mut findings = Vec::new();
    let (mut free, mut own) = (0, 0);
    for node in scene.cluster.nodes_on(host) {
        for port in port::ports(node.role, node.offset) {
            let there: Vec<&Listener> = listeners.iter().filter(|one| one.port == port.number).collect();
            match there.iter().find(|one| one.own.is_none()) {
                None if there.is_empty() => free += 1,
                None => own += 1,
                Some(other) => findings.push(taken(node, port, other)),
            }
        }
    }
    for port in super::balanced_ports(scene.cluster, host) {
        let there: Vec<&Listener> = listeners.iter().filter(|one| one.port == port).collect();
        match there.iter().find(|one| one.own.is_none()) {
            None if there.is_empty() => free += 1,
            None => own += 1,
            Some(other) => findings.push(Finding::fail(
                format!("port {port} of the load balancer is held by {}", holder(other)),
                "stop it, or give the endpoint another port (`apim.endpoints`, `load_balancer: {redirect_port: …}`)",
            )),
        }
    }
    if findings.is_empty() {
        let whose = if super::is_bare(scene.cluster, host) { "nginx" } else { "our own nodes" };
        findings.push(Finding::ok(match (free, own) {
            (free, 0) => format!("{free} ports are free"),
            (0, own) => format!("{own} ports are held by {whose}"),
            (free, own) => format!("{free} ports are free, {own} held by {whose}"),
        }));
    }
    findings
}

/// Returns who listens, in words.
fn holder(listener: &Listener) -> String {
    match listener.pid {
        Some(pid) if listener.account.is_empty() => format!("pid {pid} ({})", listener.name),
        Some(pid) => format!("pid {pid} ({}, {})", listener.name, listener.account),
        None => "a process that cannot be seen from here".to_owned(),
    }
}

fn taken(node: &Node, port: port::Port, listener: &Listener) -> Finding {
    let who = holder(listener);
    let found = format!("port {} ({}) of the {} is held by {who}", port.number, port.purpose, node.words());
    let remedy = format!("stop it, or move the node's ports: `{}: {{port_offset: 10}}`", node.role.group());
    // The product starts without these and only logs it.
    if port.awaited { Finding::fail(found, remedy) } else { Finding::warn(found, remedy) }
}

pub(super) fn reach(scene: &Scene<'_>, host: &str, pairs: &Pairs<'_>) -> Vec<Finding> {
    let (mut good, mut later) = (0, 0);
    let mut findings = Vec::new();
    let mut told: Vec<(String, u16)> = Vec::new();
    for edge in scene.cluster.nodes_on(host).flat_map(|node| edges::of(scene.cluster, node)) {
        let at = (edge.host.clone(), edge.port);
        if told.contains(&at) {
            continue;
        }
        told.push(at);
        match pairs.reached(&edge.host, edge.port) {
            None => later += 1,
            Some(reached) => match &reached.problem {
                None => good += 1,
                Some(problem) => match broken(scene, &edge, problem) {
                    Some(finding) => findings.push(finding),
                    None => later += 1,
                },
            },
        }
    }
    if findings.is_empty() {
        findings.push(Finding::ok(match (good, later) {
            (good, 0) => format!("all {good} connections"),
            (good, later) => format!("{good} connections; {later} cannot be tried yet, nobody listens there"),
        }));
    }
    findings
}

/// Returns what a connection that failed means; nothing where there is nobody to answer yet.
fn broken(scene: &Scene<'_>, edge: &Edge, problem: &str) -> Option<Finding> {
    let to = format!("{}:{}", edge.host, edge.port);
    match &edge.target {
        Target::Database => Some(Finding::fail(
            format!("the database server at {to}: {problem}"),
            "start it, let it listen on that address, and open its port in firewalls for this host",
        )),
        Target::Node(name) => listens(scene, name, edge.port).then(|| {
            Finding::fail(
                format!("{name} at {to} ({}): {problem}, although it listens there", edge.purpose),
                "open the port between the hosts: brokers and data receivers are reached directly, never through the load balancer",
            )
        }),
        Target::Endpoint { name, fronted, behind } => {
            let is_up = behind.iter().any(|node| listens_on_https(scene, node));
            // One that we see to comes later in the same run; somebody else's must be there.
            let ours = balancer::hosts(scene.cluster).next().is_some();
            if *fronted && (is_up || !ours) {
                let what = format!("{name} at {to} ({}): {problem}", edge.purpose);
                return Some(Finding::warn(
                    what,
                    "see to the load balancer: nodes reach each other under this name too, once they are started",
                ));
            }
            (is_up && !fronted).then(|| {
                Finding::fail(
                    format!("{name} at {to} ({}): {problem}, although it listens there", edge.purpose),
                    "open the port between the hosts",
                )
            })
        }
    }
}

/// Says whether the node's own process was seen listening on `port`, for others too.
fn listens(scene: &Scene<'_>, name: &NodeName, port: u16) -> bool {
    let node = scene.cluster.nodes().iter().find(|node| node.name == *name);
    let listeners = node.and_then(|node| scene.hosts.get(node.host.as_str())?.listeners());
    let is_open = |one: &&Listener| one.port == port && one.own.is_some() && !one.address.starts_with("127.");
    listeners.is_some_and(|listeners| listeners.iter().any(|one| is_open(&one)))
}

fn listens_on_https(scene: &Scene<'_>, name: &NodeName) -> bool {
    let node = scene.cluster.nodes().iter().find(|node| node.name == *name);
    node.is_some_and(|node| listens(scene, name, node.port(port::HTTPS)))
}
