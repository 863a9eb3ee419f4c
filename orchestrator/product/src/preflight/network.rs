//! Checks of ports and connections.

use apim_protocol::observation::Listener;

use super::edges::{self, Edge, Target};
use super::{Context, Finding, Pairs};
use crate::topology::{Node, NodeName};
use crate::{load_balancer, port};

pub(super) fn ports(context: &Context<'_>, host: &str, pairs: &Pairs<'_>) -> Vec<Finding> {
    let Some(listeners) = pairs.listeners() else {
        return vec![Finding::unknown("listening processes are unknown")];
    };
    let mut findings = Vec::new();
    let (mut free, mut own) = (0, 0);
    for node in context.cluster.nodes_on(host) {
        for port in port::ports(node.role, node.offset) {
            let there: Vec<&Listener> = listeners.iter().filter(|one| one.port == port.number).collect();
            match there.iter().find(|one| one.own.is_none()) {
                None if there.is_empty() => free += 1,
                None => own += 1,
                Some(other) => findings.push(taken(node, port, other)),
            }
        }
    }
    for port in crate::load_balancer::managed_ports(context.cluster, host) {
        let there: Vec<&Listener> = listeners.iter().filter(|one| one.port == port).collect();
        match there.iter().find(|one| one.own.is_none()) {
            None if there.is_empty() => free += 1,
            None => own += 1,
            Some(other) => findings.push(Finding::fail(
                format!("port {port} of the load balancer is in use by {}", holder(other)),
                "stop it, or set another port for the endpoint (`apim.endpoints`, `load_balancer: {redirect_port: …}`)",
            )),
        }
    }
    if findings.is_empty() {
        let whose = if super::is_bare(context.cluster, host) { "nginx" } else { "the cluster's nodes" };
        findings.push(Finding::ok(match (free, own) {
            (free, 0) => format!("{free} ports are free"),
            (0, own) => format!("{own} ports are in use by {whose}"),
            (free, own) => format!("{free} ports are free, {own} in use by {whose}"),
        }));
    }
    findings
}

/// Returns the listening process for display.
fn holder(listener: &Listener) -> String {
    match listener.pid {
        Some(pid) if listener.account.is_empty() => format!("pid {pid} ({})", listener.name),
        Some(pid) => format!("pid {pid} ({}, {})", listener.name, listener.account),
        None => "an unknown process (not visible to this account)".to_owned(),
    }
}

fn taken(node: &Node, port: port::Port, listener: &Listener) -> Finding {
    let process = holder(listener);
    let found =
        format!("port {} ({}) of the {} is in use by {process}", port.number, port.purpose, node.words());
    let remedy = format!("stop it, or shift the node's ports: `{}: {{port_offset: 10}}`", node.role.group());
    // Ports that are not awaited: the product starts without them and logs an error.
    if port.awaited { Finding::fail(found, remedy) } else { Finding::warn(found, remedy) }
}

pub(super) fn reach(context: &Context<'_>, host: &str, pairs: &Pairs<'_>) -> Vec<Finding> {
    let (mut good, mut later) = (0, 0);
    let mut findings = Vec::new();
    let mut seen: Vec<(String, u16)> = Vec::new();
    for edge in context.cluster.nodes_on(host).flat_map(|node| edges::of(context.cluster, node)) {
        let at = (edge.host.clone(), edge.port);
        if seen.contains(&at) {
            continue;
        }
        seen.push(at);
        match pairs.reached(&edge.host, edge.port) {
            None => later += 1,
            Some(reached) => match &reached.problem {
                None => good += 1,
                Some(problem) => match broken(context, &edge, problem) {
                    Some(finding) => findings.push(finding),
                    None => later += 1,
                },
            },
        }
    }
    if findings.is_empty() {
        findings.push(Finding::ok(match (good, later) {
            (good, 0) => format!("all {good} connections"),
            (good, later) => format!("{good} connections; {later} not testable yet (no listener)"),
        }));
    }
    findings
}

/// Returns the finding for a failed connection, or `None` if no server is expected to listen yet.
fn broken(context: &Context<'_>, edge: &Edge, problem: &str) -> Option<Finding> {
    let to = format!("{}:{}", edge.host, edge.port);
    match &edge.target {
        Target::Database => Some(Finding::fail(
            format!("database server at {to}: {problem}"),
            "check that it is running and listens on that address, and that firewalls allow this host",
        )),
        Target::Node(name) => listens(context, name, edge.port).then(|| {
            Finding::fail(
                format!("{name} at {to} ({}): {problem}, although the node is listening", edge.purpose),
                "open the port between the hosts: nodes connect to brokers and data receivers directly, never through the load balancer",
            )
        }),
        Target::Endpoint { name, fronted, behind } => {
            let is_up = behind.iter().any(|node| listens_on_https(context, node));
            // A managed load balancer is configured later in the same run; an external one must
            // exist already.
            let is_managed = load_balancer::hosts(context.cluster).next().is_some();
            if *fronted && (is_up || !is_managed) {
                let what = format!("{name} at {to} ({}): {problem}", edge.purpose);
                return Some(Finding::warn(
                    what,
                    "check the load balancer: running nodes also use this name to reach each other",
                ));
            }
            (is_up && !fronted).then(|| {
                Finding::fail(
                    format!("{name} at {to} ({}): {problem}, although the node is listening", edge.purpose),
                    "open the port between the hosts",
                )
            })
        }
    }
}

/// Returns whether the node's own process listens on `port`, on a non-loopback address.
fn listens(context: &Context<'_>, name: &NodeName, port: u16) -> bool {
    let node = context.cluster.nodes().iter().find(|node| node.name == *name);
    let listeners = node.and_then(|node| context.hosts.get(node.host.as_str())?.listeners());
    let is_open = |one: &&Listener| one.port == port && one.own.is_some() && !one.address.starts_with("127.");
    listeners.is_some_and(|listeners| listeners.iter().any(|one| is_open(&one)))
}

fn listens_on_https(context: &Context<'_>, name: &NodeName) -> bool {
    let node = context.cluster.nodes().iter().find(|node| node.name == *name);
    node.is_some_and(|node| listens(context, name, node.port(port::HTTPS)))
}
