//! Compares every rendered value that refers to another node with an independent model of the
//! nodes.

use std::collections::BTreeMap;

use proptest::prelude::*;
use regex::Regex;
use toml_edit::DocumentMut;

use super::{at, render};
use crate::testing::{basics, cluster};

/// The expected node. Its ports are computed here from the documentation, independently of the
/// code.
#[derive(Debug, Clone)]
struct Expected {
    role: &'static str,
    host: String,
    offset: u16,
    environments: Vec<usize>,
}

impl Expected {
    fn url(&self, scheme: &str, base: u16) -> String {
        format!("{scheme}://{}:{}", self.host, base + self.offset)
    }
}

/// A public endpoint: its name and the ports of management, HTTP, HTTPS, WS, WSS.
#[derive(Debug, Clone)]
struct Front {
    name: String,
    ports: [u16; 5],
}

#[derive(Debug, Clone)]
struct World {
    nodes: Vec<Expected>,
    environments: usize,
    /// The endpoint ports of control planes, key managers and traffic managers.
    ports: [Option<u16>; 3],
    tls: bool,
}

const ROLES: [&str; 4] = ["control_plane", "key_manager", "gateway", "traffic_manager"];

fn world() -> impl Strategy<Value = World> {
    let counts = (1_usize..=4, 0_usize..=4, 1_usize..=4, 0_usize..=4);
    let offsets = prop::collection::vec(0_u16..300, 16);
    let names = prop::collection::vec(0_u8..5, 16);
    let labels = prop::collection::vec(prop::collection::vec(0_usize..3, 1..=2), 4);
    let ports = (
        prop::option::of(1025_u16..9000),
        prop::option::of(1025_u16..9000),
        prop::option::of(1025_u16..9000),
    );
    (counts, offsets, names, labels, 1_usize..=3, ports, any::<bool>()).prop_map(
        |((cps, kms, gws, tms), offsets, names, labels, environments, ports, tls)| {
            let environments = environments.min(gws);
            let mut nodes = Vec::new();
            for (role, count) in ROLES.iter().zip([cps, kms, gws, tms]) {
                for index in 0..count {
                    let at = nodes.len();
                    let host = match names[at] {
                        0 => format!("10.9.{at}.{index}"),
                        1 => format!("{}{index}", role.replace('_', "-")),
                        2 => format!("N{at}.Example.COM"),
                        3 => format!("0-{at}.a--b.example"),
                        _ => format!("xn--{at}-4ga.very.long.zone-{index}.internal"),
                    };
                    // Every environment has a gateway, some have more, and some gateways serve two
                    // environments.
                    let mut serves = vec![index % environments];
                    if *role == "gateway" {
                        let more = labels.iter().skip(index).take(1).flatten();
                        serves.extend(more.map(|label| label % environments));
                        let mut kept = Vec::new();
                        serves.retain(|one| {
                            !kept.contains(one) && {
                                kept.push(*one);
                                true
                            }
                        });
                    }
                    nodes.push(Expected { role, host, offset: offsets[at], environments: serves });
                }
            }
            World { nodes, environments, ports: [ports.0, ports.1, ports.2], tls }
        },
    )
}

impl World {
    fn of(&self, role: &str) -> Vec<&Expected> {
        self.nodes.iter().filter(|node| node.role == role).collect()
    }

    fn serving(&self, environment: usize) -> Vec<&Expected> {
        self.of("gateway").into_iter().filter(|node| node.environments.contains(&environment)).collect()
    }

    fn broker(&self) -> u16 {
        if self.tls { 8672 } else { 5672 }
    }

    /// The endpoint of a role; two or more nodes are behind a load balancer.
    fn front(&self, role: &str) -> Front {
        let nodes = self.of(role);
        let index =
            ["control_plane", "key_manager", "traffic_manager"].iter().position(|known| *known == role);
        match nodes.as_slice() {
            [] => self.front("control_plane"),
            [only] => Front { name: only.host.clone(), ports: [9443 + only.offset, 0, 0, 0, 0] },
            _ => {
                let port = index.and_then(|index| self.ports[index]).unwrap_or(443);
                Front { name: format!("{}.lb.example", role.replace('_', "-")), ports: [port, 0, 0, 0, 0] }
            }
        }
    }

    fn environment_front(&self, environment: usize) -> Front {
        match self.serving(environment).as_slice() {
            [only] => Front {
                name: only.host.clone(),
                ports: [9443, 8280, 8243, 9099, 8099].map(|base| base + only.offset),
            },
            _ => Front { name: format!("env{environment}.lb.example"), ports: [443, 80, 443, 9099, 8099] },
        }
    }

    fn inventory(&self) -> String {
        let mut settings = format!("  broker_tls: {}\n", self.tls);
        let mut endpoints = String::new();
        for (role, index) in [("control_plane", 0), ("key_manager", 1), ("traffic_manager", 2)] {
            if self.of(role).len() > 1 {
                let port = self.ports[index].map(|port| format!(", port: {port}")).unwrap_or_default();
                let name = self.front(role).name;
                endpoints.push_str(&format!(
                    "    {role}: {{name: {name}, address: 10.8.0.{}{port}}}\n",
                    index + 1
                ));
            }
        }
        if !endpoints.is_empty() {
            settings.push_str(&format!("  endpoints:\n{endpoints}"));
        }
        settings.push_str("  environments:\n");
        for environment in 0..self.environments {
            let front = match self.serving(environment).len() {
                1 => String::new(),
                _ => format!(
                    ", endpoint: {{name: env{environment}.lb.example, address: 10.8.1.{}}}",
                    environment + 1
                ),
            };
            settings.push_str(&format!("    - {{name: E{environment}{front}}}\n"));
        }
        let mut text = basics(&settings) + "hosts:\n";
        for (at, node) in self.nodes.iter().enumerate() {
            let address = match node.host.parse::<std::net::Ipv4Addr>() {
                Ok(literal) => literal.to_string(),
                Err(_) => format!("10.7.0.{}", at + 1),
            };
            let labels: Vec<String> = node.environments.iter().map(|index| format!("E{index}")).collect();
            let serves = if node.role == "gateway" {
                format!(", environment: [{}]", labels.join(", "))
            } else {
                String::new()
            };
            text.push_str(&format!(
                "  '{}': {{address: {address}, groups: {role}, apim: {{host_name: '{}', {role}: {{port_offset: {}{serves}}}}}}}\n",
                node.host,
                node.host,
                node.offset,
                role = node.role,
            ));
        }
        text
    }
}

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
    let hubs = world.of("control_plane");
    let is_hub = node.role == "control_plane";
    let front = world.front("control_plane");
    let value = |path: &str| one(document, path);
    assert_eq!(at(document, "server.offset"), Some(node.offset.into()));

    // The event hub.
    let service = web("https", &front.name, front.ports[0], "/services/");
    assert_eq!(value("apim.event_hub.service_url"), Some(service));
    let all: Vec<String> = hubs.iter().map(|hub| hub.url("tcp", world.broker())).collect();
    let others = |nodes: &[&Expected]| -> Option<Vec<String>> {
        let others = nodes.iter().filter(|other| other.host != node.host);
        let urls: Vec<String> = others.map(|other| other.url("tcp", world.broker())).collect();
        (!urls.is_empty()).then_some(urls)
    };
    let own = vec![format!("tcp://localhost:{}", world.broker() + node.offset)];
    let listened = if is_hub && hubs.len() > 1 { own.clone() } else { all };
    assert_eq!(list(document, "apim.event_hub.event_listening_endpoints"), Some(listened));
    let duplicate = if is_hub { others(&hubs) } else { None };
    assert_eq!(list(document, "apim.event_hub.event_duplicate_url"), duplicate);
    for (index, hub) in hubs.iter().enumerate() {
        let group = format!("apim.event_hub.publish.url_group[{index}]");
        let expected = |scheme: &str, base: u16| is_hub.then(|| vec![hub.url(scheme, base)]);
        assert_eq!(list(document, &format!("{group}.urls")), expected("tcp", 9611));
        assert_eq!(list(document, &format!("{group}.auth_urls")), expected("ssl", 9711));
    }
    assert_eq!(at(document, &format!("apim.event_hub.publish.url_group[{}].urls", hubs.len())), None);

    // The key managers.
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

    // Throttling.
    let managers = world.of("traffic_manager");
    let (throttlers, throttles) = match managers.is_empty() {
        true => (hubs.clone(), is_hub),
        false => (managers, node.role == "traffic_manager"),
    };
    let decisions = match node.role {
        "gateway" => Some(throttlers.iter().map(|other| other.url("tcp", world.broker())).collect()),
        _ if throttles && throttlers.len() > 1 => Some(own),
        _ => None,
    };
    assert_eq!(list(document, "apim.throttling.throttle_decision_endpoints"), decisions);
    let duplicate = if throttles { others(&throttlers) } else { None };
    assert_eq!(list(document, "apim.throttling.event_duplicate_url"), duplicate);
    for (index, other) in throttlers.iter().enumerate() {
        let group = format!("apim.throttling.url_group[{index}]");
        let expected =
            |scheme: &str, base: u16| (node.role == "gateway").then(|| vec![other.url(scheme, base)]);
        assert_eq!(list(document, &format!("{group}.traffic_manager_urls")), expected("tcp", 9611));
        assert_eq!(list(document, &format!("{group}.traffic_manager_auth_urls")), expected("ssl", 9711));
    }

    // Environments and labels.
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

    // The broker over TLS, on nodes with subscribers.
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
