//! When a node counts as healthy: the gates *started* and *complete*, as conditions that its host can look at.
//!
//! The start script exits with 0 whatever happens, ports answer before services do, and the log says "started" with a port taken; so a gate
//! asks for several signs at once (documentation, "basic health checks"; carbon-apimgt, gateway `server-startup-healthcheck`).

use apim_protocol::operation::wait::{Condition, Remedy, Scope, Service, Wait};
use apim_protocol::query::inspect::Inspect;

use super::causes;
use super::cluster::Cluster;
use super::port;
use super::role::Role;
use super::task::Gate;
use super::topology::Node;
use super::unit;

/// The line that ends a start; the log is appended to over restarts, so only what came since the last one counts.
pub const STARTED: &str = r"WSO2 Carbon started in \d+ sec";

/// What the JVM's argument with the largest heap begins with.
pub const MAXIMUM_HEAP: &str = "-Xmx";

/// How long a node must stay up after its log said that it started, before it counts as complete: some fall over right after.
const SETTLE_SECS: u64 = 3;

/// How long those that a node needs have to answer, before they count as away.
const SURROUNDINGS_SECS: u64 = 15;

/// Returns the wait for a gate of a node.
#[must_use]
pub fn wait(cluster: &Cluster, node: &Node, gate: Gate) -> Wait {
    let health = &node.settings.health;
    // Whatever release is in use: a node that is about to move to another one is as healthy as it was.
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

/// Returns the service that waits and looks are about. A cause is fatal to a start only: a node that has started logged it in some past hour.
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

/// Returns the look at a node that tells how it is: its unit, the release in use, and both gates' conditions.
#[must_use]
pub fn inspect(cluster: &Cluster, node: &Node) -> Inspect {
    // Whatever release is in use: how it is, is not a question of what is wished.
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

/// Returns what must hold of a node at a gate.
#[must_use]
pub fn conditions(cluster: &Cluster, node: &Node, gate: Gate) -> Vec<Condition> {
    let mut all = started(cluster, node);
    match gate {
        // A gateway that is restarted beside a running control plane must serve its APIs again before the next one is
        // taken down; one that is started before its control plane, as documented, cannot yet.
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
        // The certificate names the node, not the loopback address.
        verify: false,
        scope: Scope::Local,
    }
}

/// What must stand between a node and its peers. Subscriptions to brokers are connections that stay; those to data receivers are opened when there
/// is something to send and closed when idle, so there it is enough that they could be.
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

/// Returns the look at whom a node needs to be complete: from its host they can be reached, whatever the node itself makes of that.
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
        awaited: format!("whom {} needs", node.words()),
        conditions,
        deadline_secs: SURROUNDINGS_SECS,
        service: None,
        settle_secs: 0,
        remedy: None,
    }
}

/// A node that listens to brokers and was started before them may have given up for ever (4.5.0), or sleep for up to an hour before it tries again: a
/// restart is the cure for both.
fn remedy(node: &Node, gate: Gate) -> Option<Remedy> {
    let listens = matches!(node.role, Role::Gateway | Role::KeyManager | Role::TrafficManager);
    (gate == Gate::Complete && listens).then(|| Remedy {
        unit: node.unit.clone(),
        when_logged: Some(causes::LISTENER_DEATH.to_owned()),
        after_secs: node.settings.health.restart_after_secs,
        why: format!(
            "the {} was started before those it listens to, and does not find them by itself",
            node.role
        ),
        stop_timeout_secs: node.stop_secs(),
    })
}
