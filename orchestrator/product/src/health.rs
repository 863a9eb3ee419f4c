//! Health checks of a node: the gates *started* and *complete*, as conditions that its host can
//! check.
//!
//! The start script always exits with 0, ports open before services are ready, and the log reports
//! "started" even if a port is in use. So a gate combines several conditions (documentation, "basic
//! health checks"; carbon-apimgt, gateway `server-startup-healthcheck`).

use apim_protocol::operation::wait::{Condition, Remedy, Scope, Service, Wait};
use apim_protocol::query::inspect::Inspect;

use super::causes;
use super::cluster::Cluster;
use super::port;
use super::role::Role;
use super::task::Gate;
use super::topology::Node;
use super::unit;

/// The log line of a finished start. The log is appended across restarts, so only lines since the
/// last start count.
pub const STARTED: &str = r"WSO2 Carbon started in \d+ sec";

/// The prefix of the JVM argument for the maximum heap.
pub const MAXIMUM_HEAP: &str = "-Xmx";

/// How long a node must stay up after its start before it counts as complete: some crash shortly
/// after.
const SETTLE_SECS: u64 = 3;

/// How long a node's dependencies have to answer before they count as unreachable.
const SURROUNDINGS_SECS: u64 = 15;

/// Returns the wait for a gate of a node.
#[must_use]
pub fn wait(cluster: &Cluster, node: &Node, gate: Gate) -> Wait {
    let health = &node.settings.health;
    // Check the release in use: the node may be about to switch to another one.
    let mut there = node.clone();
    there.home.log = there.home.current_log.clone();
    let (word, deadline_secs, settle_secs) = match gate {
        Gate::Started => ("started", health.started_secs, 0),
        Gate::Complete => ("complete", health.complete_secs, SETTLE_SECS),
    };
    Wait {
        awaited: format!("{} {word}", node.words()),
        conditions: conditions(cluster, &there, gate),
        deadline_secs,
        service: Some(service(node, gate)),
        settle_secs,
        remedy: remedy(node, gate),
    }
}

/// Returns the service to wait for or inspect. Causes are fatal only during a start: later, the
/// lines may be old.
#[must_use]
pub fn service(node: &Node, gate: Gate) -> Service {
    let mut causes = causes::causes();
    if gate == Gate::Complete {
        causes.iter_mut().for_each(|cause| cause.fatal = false);
    }
    Service {
        unit: node.unit.clone(),
        process: unit::process(node),
        log: Some(node.home.log.clone()),
        causes,
    }
}

/// Returns the operation that inspects a node: unit, release in use, and the conditions of both
/// gates.
#[must_use]
pub fn inspect(cluster: &Cluster, node: &Node) -> Inspect {
    // Inspect the release in use, not the desired one.
    let mut there = node.clone();
    there.home.log = there.home.current_log.clone();
    Inspect {
        service: service(&there, Gate::Complete),
        links: vec![node.home.current.clone()],
        gates: conditions(cluster, &there, Gate::Complete),
        arguments: vec![MAXIMUM_HEAP.to_owned()],
        served: vec![node.port(port::HTTPS)],
    }
}

/// Returns the conditions of a gate.
#[must_use]
pub fn conditions(cluster: &Cluster, node: &Node, gate: Gate) -> Vec<Condition> {
    let mut all = started(cluster, node);
    match gate {
        // A gateway that restarts while a control plane is running must serve its APIs before the
        // next one is stopped. A gateway that starts before its control plane, as documented,
        // cannot.
        Gate::Started if node.role == Role::Gateway => {
            all.extend(cluster.hubs().map(|hub| Condition::Where {
                when: Box::new(Condition::Tcp { host: hub.reach(), port: hub.port(port::HTTPS) }),
                then: Box::new(apis_deployed(node)),
            }));
        }
        Gate::Started => {}
        Gate::Complete => all.extend(connections(cluster, node)),
    }
    all
}

fn started(cluster: &Cluster, node: &Node) -> Vec<Condition> {
    let process = unit::process(node);
    let mut all = vec![
        Condition::Process(process.clone()),
        Condition::Logged {
            log: node.home.log.clone(),
            pattern: STARTED.to_owned(),
            since_start_of: node.unit.clone(),
        },
        Condition::Http {
            url: format!("http://127.0.0.1:{}/services/Version", node.port(port::HTTP)),
            status: 200,
            body_holds: Some(node.role.product().to_owned()),
            verify: true,
            scope: Scope::Local,
        },
    ];
    all.extend(
        port::ports(node.role, node.offset)
            .into_iter()
            .filter(|port| port.awaited)
            .map(|port| Condition::Listens { port: port.number, process: process.clone() }),
    );
    let broker = cluster.broker();
    if broker == port::BROKER_TLS && cluster.serves_broker(node) {
        all.push(Condition::Listens { port: node.port(broker), process });
    }
    all
}

fn apis_deployed(node: &Node) -> Condition {
    let port = node.port(port::HTTPS);
    Condition::Http {
        url: format!("https://127.0.0.1:{port}/api/am/gateway/v2/server-startup-healthcheck"),
        status: 200,
        body_holds: None,
        // The certificate is for the node's name, not for the loopback address.
        verify: false,
        scope: Scope::Local,
    }
}

/// The connections of a node to its peers. Broker subscriptions are permanent connections.
/// Connections to data receivers open on demand and close when idle, so it is enough that the port
/// is reachable.
fn connections(cluster: &Cluster, node: &Node) -> Vec<Condition> {
    let mut all = Vec::new();
    let process = unit::process(node);
    let subscribed = |to: &Node| Condition::Connected {
        host: to.reach(),
        port: to.port(cluster.broker()),
        process: process.clone(),
    };
    let reachable = |to: &Node, base: u16| Condition::Tcp { host: to.reach(), port: to.port(base) };
    match node.role {
        Role::Gateway => {
            all.push(apis_deployed(node));
            all.extend(cluster.hubs().map(subscribed));
            for throttler in cluster.throttlers().into_iter().filter(|other| !other.role.is_hub()) {
                all.push(subscribed(throttler));
            }
            for throttler in cluster.throttlers() {
                all.push(reachable(throttler, port::RECEIVER));
                all.push(reachable(throttler, port::RECEIVER_AUTH));
            }
        }
        Role::KeyManager => all.extend(cluster.hubs().map(subscribed)),
        Role::TrafficManager => {
            all.extend(cluster.hubs().map(subscribed));
            all.extend(cluster.peers(node).map(|peer| reachable(peer, cluster.broker())));
        }
        Role::ControlPlane | Role::AllInOne => {
            if node.role == Role::AllInOne {
                all.push(apis_deployed(node));
            }
            for peer in cluster.peers(node) {
                all.extend(
                    [cluster.broker(), port::RECEIVER, port::RECEIVER_AUTH].map(|base| reachable(peer, base)),
                );
            }
        }
    }
    all
}

/// Returns the check that a node's dependencies are reachable from its host, independent of the
/// node's own state.
#[must_use]
pub fn surroundings(cluster: &Cluster, node: &Node) -> Wait {
    let mut conditions: Vec<Condition> = Vec::new();
    let served = cluster.hubs().filter(|hub| hub.name != node.name);
    let served = served.map(|hub| Condition::Tcp { host: hub.reach(), port: hub.port(port::HTTPS) });
    let connections = connections(cluster, node).into_iter().filter_map(|condition| match condition {
        Condition::Connected { host, port, .. } | Condition::Tcp { host, port } => {
            Some(Condition::Tcp { host, port })
        }
        _ => None,
    });
    for condition in served.chain(connections) {
        if !conditions.contains(&condition) {
            conditions.push(condition);
        }
    }
    Wait {
        awaited: format!("dependencies of {}", node.words()),
        conditions,
        deadline_secs: SURROUNDINGS_SECS,
        service: None,
        settle_secs: 0,
        remedy: None,
    }
}

/// A node that subscribes to brokers and started before them may never reconnect (4.5.0), or wait
/// for up to an hour. A restart fixes both.
fn remedy(node: &Node, gate: Gate) -> Option<Remedy> {
    let listens = matches!(node.role, Role::Gateway | Role::KeyManager | Role::TrafficManager);
    (gate == Gate::Complete && listens).then(|| Remedy {
        unit: node.unit.clone(),
        when_logged: Some(causes::LISTENER_DEATH.to_owned()),
        after_secs: node.settings.health.restart_after_secs,
        why: format!("the {} was started before its brokers and does not reconnect", node.role),
        stop_timeout_secs: node.stop_secs(),
    })
}
