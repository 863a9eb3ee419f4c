//! Compares every rendered value that refers to another node with an independent model of the
//! nodes.

use std::collections::BTreeMap;

use proptest::prelude::*;
use regex::Regex;
use toml_edit::DocumentMut;

use super::world::{Expected, Front, World, world};
use super::{at, render};
use crate::testing::{basics, cluster};

fn list(document: &DocumentMut, path: &str) -> Option<Vec<String>> {
    let found = at(document, path)?;
    Some(found.as_array()?.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect())
}

fn one(document: &DocumentMut, path: &str) -> Option<String> {
    at(document, path)?.as_str().map(str::to_owned)
}

fn web(scheme: &str, name: &str, port: u16, path: &str) -> String {
    match (scheme, port) {
        ("https", 443) | ("http", 80) => format!("{scheme}://{name}{path}"),
        _ => format!("{scheme}://{name}:{port}{path}"),
    }
}

fn check(world: &World, node: &Expected, document: &DocumentMut) {
    assert_eq!(at(document, "server.offset"), Some(node.offset.into()));
    check_event_hub(world, node, document);
    check_key_managers(world, node, document);
    check_throttling(world, node, document);
    check_environments(world, node, document);
    check_broker_tls(world, node, document);
}

fn check_event_hub(world: &World, node: &Expected, document: &DocumentMut) {
    let hubs = world.of("control_plane");
    let is_hub = node.role == "control_plane";
    let front = world.front("control_plane");
    let value = |path: &str| one(document, path);
    let service = web("https", &front.name, front.ports[0], "/services/");
    assert_eq!(value("apim.event_hub.service_url"), Some(service));
    let all: Vec<String> = hubs.iter().map(|hub| hub.url("tcp", world.broker())).collect();
    let listened = if is_hub && hubs.len() > 1 { world.own_broker(node) } else { all };
    assert_eq!(list(document, "apim.event_hub.event_listening_endpoints"), Some(listened));
    let duplicate = if is_hub { world.other_brokers(node, &hubs) } else { None };
    assert_eq!(list(document, "apim.event_hub.event_duplicate_url"), duplicate);
    for (index, hub) in hubs.iter().enumerate() {
        let group = format!("apim.event_hub.publish.url_group[{index}]");
        let expected = |scheme: &str, base: u16| is_hub.then(|| vec![hub.url(scheme, base)]);
        assert_eq!(list(document, &format!("{group}.urls")), expected("tcp", 9611));
        assert_eq!(list(document, &format!("{group}.auth_urls")), expected("ssl", 9711));
    }
    assert_eq!(at(document, &format!("apim.event_hub.publish.url_group[{}].urls", hubs.len())), None);
}

fn check_key_managers(world: &World, node: &Expected, document: &DocumentMut) {
    let is_hub = node.role == "control_plane";
    let front = world.front("control_plane");
    let value = |path: &str| one(document, path);
    let keys = world.front("key_manager");
    let asks = node.role == "gateway" || is_hub && !world.of("key_manager").is_empty();
    let expected = asks.then(|| web("https", &keys.name, keys.ports[0], "/services/"));
    assert_eq!(value("apim.key_manager.service_url"), expected);
    let notified = match node.role {
        "key_manager" => Some(web("https", &front.name, front.ports[0], "/internal/data/v1/notify")),
        "control_plane" => {
            Some("https://localhost:${mgt.transport.https.port}/internal/data/v1/notify".to_owned())
        }
        _ => None,
    };
    assert_eq!(value("event_listener[0].properties.notification_endpoint"), notified);
}

fn check_throttling(world: &World, node: &Expected, document: &DocumentMut) {
    let hubs = world.of("control_plane");
    let is_hub = node.role == "control_plane";
    let managers = world.of("traffic_manager");
    let (throttlers, throttles) = match managers.is_empty() {
        true => (hubs.clone(), is_hub),
        false => (managers, node.role == "traffic_manager"),
    };
    let decisions = match node.role {
        "gateway" => Some(throttlers.iter().map(|other| other.url("tcp", world.broker())).collect()),
        _ if throttles && throttlers.len() > 1 => Some(world.own_broker(node)),
        _ => None,
    };
    assert_eq!(list(document, "apim.throttling.throttle_decision_endpoints"), decisions);
    let duplicate = if throttles { world.other_brokers(node, &throttlers) } else { None };
    assert_eq!(list(document, "apim.throttling.event_duplicate_url"), duplicate);
    for (index, other) in throttlers.iter().enumerate() {
        let group = format!("apim.throttling.url_group[{index}]");
        let expected =
            |scheme: &str, base: u16| (node.role == "gateway").then(|| vec![other.url(scheme, base)]);
        assert_eq!(list(document, &format!("{group}.traffic_manager_urls")), expected("tcp", 9611));
        assert_eq!(list(document, &format!("{group}.traffic_manager_auth_urls")), expected("ssl", 9711));
    }
}

fn check_environments(world: &World, node: &Expected, document: &DocumentMut) {
    let is_hub = node.role == "control_plane";
    let value = |path: &str| one(document, path);
    let labels: Vec<String> = node.environments.iter().map(|index| format!("E{index}")).collect();
    let path = "apim.sync_runtime_artifacts.gateway.gateway_labels";
    assert_eq!(list(document, path), (node.role == "gateway").then_some(labels));
    for environment in 0..world.environments {
        let Front { name, ports } = world.environment_front(environment);
        let key = |key: &str| value(&format!("apim.gateway.environment[{environment}].{key}"));
        let when = |text: String| is_hub.then_some(text);
        assert_eq!(key("name"), when(format!("E{environment}")));
        assert_eq!(key("service_url"), when(web("https", &name, ports[0], "/services/")));
        assert_eq!(key("http_endpoint"), when(web("http", &name, ports[1], "")));
        assert_eq!(key("https_endpoint"), when(web("https", &name, ports[2], "")));
        assert_eq!(key("ws_endpoint"), when(format!("ws://{name}:{}", ports[3])));
        assert_eq!(key("wss_endpoint"), when(format!("wss://{name}:{}", ports[4])));
    }
}

fn check_broker_tls(world: &World, node: &Expected, document: &DocumentMut) {
    let is_hub = node.role == "control_plane";
    let value = |path: &str| one(document, path);
    let serves = is_hub || node.role == "traffic_manager";
    let port = value("broker.transport.amqp.ssl_connection.port");
    assert_eq!(port, (world.tls && serves).then(|| "8672".to_owned()), "the server adds its offset itself");
    assert_eq!(value("apim.event_hub.ssl").is_some(), world.tls);
}

/// Every URL in a file refers to a port of a node or of a load balancer.
fn every_url_is_known(world: &World, node: &Expected, text: &str) {
    let mut known: BTreeMap<String, Vec<u16>> = BTreeMap::new();
    for other in &world.nodes {
        let bases: &[u16] = match other.role {
            "gateway" => &[9443, 8243, 8280, 9099, 8099, 9021, 8021],
            _ => &[9443, 5672, 8672, 9611, 9711],
        };
        let ports = bases.iter().map(|base| base + other.offset);
        known.entry(other.host.clone()).or_default().extend(ports.clone());
        if other.host == node.host {
            known.entry("localhost".to_owned()).or_default().extend(ports);
        }
    }
    for role in ["control_plane", "key_manager", "traffic_manager"] {
        let front = world.front(role);
        known.entry(front.name).or_default().push(front.ports[0]);
    }
    for environment in 0..world.environments {
        let front = world.environment_front(environment);
        known.entry(front.name).or_default().extend(front.ports);
    }
    let urls = Regex::new(r"\b(tcp|ssl|https?|wss?)://([A-Za-z0-9.-]+)(?::(\d+|\$\{[a-z.]+\}))?")
        .expect("a pattern");
    let mut checked = 0;
    for found in urls.captures_iter(text) {
        let port = match found.get(3).map(|port| port.as_str()) {
            Some(port) if port.starts_with('$') => continue,
            Some(port) => port.parse().expect("a port"),
            None => {
                if &found[1] == "http" {
                    80
                } else {
                    443
                }
            }
        };
        let ports = known
            .get(&found[2])
            .unwrap_or_else(|| panic!("{} refers to an unknown host:\n{text}", &found[0]));
        assert!(ports.contains(&port), "{}: not a port of that host: {ports:?}", &found[0]);
        checked += 1;
    }
    assert!(checked > 1, "no URL in\n{text}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn references_to_nodes_follow_the_topology(world in world()) {
        let cluster = cluster(&world.inventory());
        prop_assert_eq!(cluster.nodes().len(), world.nodes.len());
        for expected in &world.nodes {
            let node = cluster.nodes().iter().find(|node| node.peer == expected.host).expect("its node");
            let text = render(&cluster, node).text;
            let document: DocumentMut = text.parse().expect("TOML");
            check(&world, expected, &document);
            every_url_is_known(&world, expected, &text);
        }
    }
}

#[test]
fn documented_offset_sample_on_one_machine() {
    // SEED2: gateways at offsets 2 and 5 of the machine that runs the publisher.
    let text =
        basics("  environments: [{name: Production, type: production}, {name: Sandbox, type: sandbox}]\n")
            + "hosts:
  one:
    address: 10.0.0.1
    groups: control_plane
  two:
    address: 10.0.0.1
    groups: gateway
    apim: {host_name: one, gateway: {port_offset: 2, environment: Production}}
  three:
    address: 10.0.0.1
    groups: gateway
    apim: {host_name: one, gateway: {port_offset: 5, environment: Sandbox}}
";
    let cluster = cluster(&text);
    let hub = cluster.hubs().next().expect("a control plane");
    let document: DocumentMut = render(&cluster, hub).text.parse().expect("TOML");
    let value = |path: &str| one(&document, &format!("apim.gateway.environment{path}"));
    assert_eq!(value("[0].service_url").as_deref(), Some("https://one:9445/services/"));
    assert_eq!(value("[0].http_endpoint").as_deref(), Some("http://one:8282"));
    assert_eq!(value("[0].https_endpoint").as_deref(), Some("https://one:8245"));
    assert_eq!(value("[1].service_url").as_deref(), Some("https://one:9448/services/"));
    assert_eq!(value("[1].http_endpoint").as_deref(), Some("http://one:8285"));
    assert_eq!(value("[1].https_endpoint").as_deref(), Some("https://one:8248"));
}
