//! An independent model of a cluster, and a strategy that generates it.

use proptest::prelude::*;

use crate::testing::basics;

/// The expected node. Its ports are computed here from the documentation, independently of the
/// code.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    pub role: &'static str,
    pub host: String,
    pub offset: u16,
    pub environments: Vec<usize>,
}

impl Expected {
    pub(super) fn url(&self, scheme: &str, base: u16) -> String {
        format!("{scheme}://{}:{}", self.host, base + self.offset)
    }
}

/// A public endpoint: its name and the ports of management, HTTP, HTTPS, WS, WSS.
#[derive(Debug, Clone)]
pub(super) struct Front {
    pub name: String,
    pub ports: [u16; 5],
}

#[derive(Debug, Clone)]
pub(super) struct World {
    pub nodes: Vec<Expected>,
    pub environments: usize,
    /// The endpoint ports of control planes, key managers and traffic managers.
    pub ports: [Option<u16>; 3],
    pub tls: bool,
}

const ROLES: [&str; 4] = ["control_plane", "key_manager", "gateway", "traffic_manager"];

/// Returns clusters of up to 16 nodes. Every environment has a gateway, some have more, and some
/// gateways serve two environments.
pub(super) fn world() -> impl Strategy<Value = World> {
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
            let counts = ROLES.iter().zip([cps, kms, gws, tms]);
            for (role, index) in counts.flat_map(|(role, count)| (0..count).map(move |index| (role, index))) {
                let at = nodes.len();
                let host = host_name(names[at], role, at, index);
                let more = labels.get(index).filter(|_| *role == "gateway").into_iter().flatten();
                let mut serves = vec![index % environments];
                for environment in more.map(|label| label % environments) {
                    if !serves.contains(&environment) {
                        serves.push(environment);
                    }
                }
                nodes.push(Expected { role, host, offset: offsets[at], environments: serves });
            }
            World { nodes, environments, ports: [ports.0, ports.1, ports.2], tls }
        },
    )
}

/// Returns a host name of one of five forms.
fn host_name(form: u8, role: &str, at: usize, index: usize) -> String {
    match form {
        0 => format!("10.9.{at}.{index}"),
        1 => format!("{}{index}", role.replace('_', "-")),
        2 => format!("N{at}.Example.COM"),
        3 => format!("0-{at}.a--b.example"),
        _ => format!("xn--{at}-4ga.very.long.zone-{index}.internal"),
    }
}

impl World {
    pub(super) fn of(&self, role: &str) -> Vec<&Expected> {
        self.nodes.iter().filter(|node| node.role == role).collect()
    }

    pub(super) fn serving(&self, environment: usize) -> Vec<&Expected> {
        self.of("gateway").into_iter().filter(|node| node.environments.contains(&environment)).collect()
    }

    pub(super) fn broker(&self) -> u16 {
        if self.tls { 8672 } else { 5672 }
    }

    /// The node's own broker.
    pub(super) fn own_broker(&self, node: &Expected) -> Vec<String> {
        vec![format!("tcp://localhost:{}", self.broker() + node.offset)]
    }

    /// The brokers of the nodes other than `node`, if any.
    pub(super) fn other_brokers(&self, node: &Expected, nodes: &[&Expected]) -> Option<Vec<String>> {
        let others = nodes.iter().filter(|other| other.host != node.host);
        let urls: Vec<String> = others.map(|other| other.url("tcp", self.broker())).collect();
        (!urls.is_empty()).then_some(urls)
    }

    /// The endpoint of a role; two or more nodes are behind a load balancer.
    pub(super) fn front(&self, role: &str) -> Front {
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

    pub(super) fn environment_front(&self, environment: usize) -> Front {
        match self.serving(environment).as_slice() {
            [only] => Front {
                name: only.host.clone(),
                ports: [9443, 8280, 8243, 9099, 8099].map(|base| base + only.offset),
            },
            _ => Front { name: format!("env{environment}.lb.example"), ports: [443, 80, 443, 9099, 8099] },
        }
    }

    pub(super) fn inventory(&self) -> String {
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
