//! Names and ports that a load balancer serves, and the nodes behind them, independent of nginx
//! syntax.
//!
//! Source: the documentation's page on the load balancer ("configuring the proxy server and the
//! load balancer"): control planes sticky, management services of gateways and traffic managers
//! with a backup, brokers and data receivers never.

use std::collections::BTreeMap;

use crate::cluster::{Cluster, Host};
use crate::pki;
use crate::port;
use crate::role::Role;
use crate::settings::load_balancer::LoadBalancer;
use crate::topology::{Endpoint, Node, NodeName};

/// Management paths of a gateway that share name and port with its APIs. No API can have such a
/// context.
const MANAGEMENT_PATHS: [&str; 2] = ["/services/", "/api/am/gateway/"];
/// Health check path for external monitoring; needs no authentication and reveals nothing.
const GATEWAY_HEALTH: &str = "/api/am/gateway/v2/server-startup-healthcheck";

/// Nodes that serve the same requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Upstream {
    /// The name; valid as a file name.
    pub(super) key: String,
    /// Whether sessions are sticky.
    pub(super) sticky: bool,
    /// The nodes.
    pub(super) servers: Vec<Server>,
}

/// One node of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    /// The node.
    pub(super) node: NodeName,
    /// The name of its file, without extension.
    pub(super) file: String,
    /// `host:port`
    pub(super) reach: String,
    /// Whether it gets requests only while the others are down.
    pub(super) backup: bool,
}

/// A served name and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Site {
    /// The name.
    pub(super) name: String,
    /// The port.
    pub(super) port: u16,
    /// Whether it speaks TLS.
    pub(super) tls: bool,
    /// The display name.
    pub(super) what: String,
    /// Whether connections are long-lived and often idle.
    pub(super) is_websocket: bool,
    /// Whether users open it in a browser, possibly without `https://`.
    pub(super) is_portal: bool,
    /// Where requests go.
    pub(super) answer: Answer,
}

/// How requests are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Requests are proxied by path.
    Routes(Vec<Route>),
    /// Requests are redirected to this URL, with the path appended.
    Redirect(String),
}

/// Where requests for a path go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    /// The path.
    pub(super) path: Path,
    /// The key of the upstream.
    pub(super) to: String,
    /// The expected name in the nodes' certificates; `None` if they do not use TLS.
    pub(super) tls: Option<String>,
    /// Whether only control planes have access.
    pub(super) management: bool,
}

/// A path pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Path {
    /// All paths with this prefix.
    Below(&'static str),
    /// Exactly this path.
    Is(&'static str),
}

/// All upstreams and sites of a load balancer.
#[derive(Debug, Clone, Default)]
pub(super) struct Layout {
    pub(super) upstreams: Vec<Upstream>,
    pub(super) sites: Vec<Site>,
    /// Conflicting sites, as error messages.
    pub(super) clashes: Vec<String>,
}

/// One kind of API call.
struct Call {
    key: &'static str,
    what: &'static str,
    base: u16,
    tls: bool,
    is_websocket: bool,
    port: fn(&Endpoint) -> u16,
}

const CALLS: [Call; 6] = [
    Call {
        key: "https",
        what: "APIs",
        base: port::GATEWAY_HTTPS,
        tls: true,
        is_websocket: false,
        port: |e| e.calls.https,
    },
    Call {
        key: "http",
        what: "APIs over HTTP",
        base: port::GATEWAY_HTTP,
        tls: false,
        is_websocket: false,
        port: |e| e.calls.http,
    },
    Call {
        key: "ws",
        what: "WebSocket APIs",
        base: port::WS,
        tls: false,
        is_websocket: true,
        port: |e| e.calls.ws,
    },
    Call {
        key: "wss",
        what: "WebSocket APIs over TLS",
        base: port::WSS,
        tls: true,
        is_websocket: true,
        port: |e| e.calls.wss,
    },
    Call {
        key: "websub-http",
        what: "WebSub",
        base: port::WEBSUB_HTTP,
        tls: false,
        is_websocket: false,
        port: |e| e.calls.websub_http,
    },
    Call {
        key: "websub-https",
        what: "WebSub over TLS",
        base: port::WEBSUB_HTTPS,
        tls: true,
        is_websocket: false,
        port: |e| e.calls.websub_https,
    },
];

impl Layout {
    /// Returns the layout of the load balancer on `host`.
    pub(super) fn of(cluster: &Cluster, host: &Host) -> Self {
        let mut layout = Self::default();
        let settings = &host.settings.load_balancer;
        for role in [Role::ControlPlane, Role::KeyManager, Role::TrafficManager] {
            layout.role(cluster, role, settings);
        }
        for environment in cluster.environments() {
            let websub = environment.websub;
            layout.environment(cluster, &environment.name.value, websub);
        }
        layout.redirects(settings);
        layout.clashing_ports();
        layout
    }

    /// Returns the ports that it listens on.
    pub(super) fn ports(&self) -> BTreeMap<u16, bool> {
        self.sites.iter().map(|site| (site.port, site.tls)).collect()
    }

    fn role(&mut self, cluster: &Cluster, role: Role, settings: &LoadBalancer) {
        let is_hub = role == Role::ControlPlane;
        let nodes: Vec<&Node> = if is_hub { cluster.hubs().collect() } else { cluster.of(role).collect() };
        let Some(endpoint) = cluster.endpoint(role).filter(|endpoint| endpoint.fronted && !nodes.is_empty())
        else {
            return;
        };
        let key = role.group();
        self.upstream(key, &nodes, port::HTTPS, role == Role::TrafficManager);
        if let Some(upstream) = self.upstreams.last_mut() {
            upstream.sticky = is_hub && settings.sticky;
        }
        self.add(Site {
            name: endpoint.name.to_ascii_lowercase(),
            port: endpoint.port,
            tls: true,
            what: format!("the {role}s"),
            is_websocket: false,
            is_portal: true,
            answer: Answer::Routes(vec![route(Path::Below("/"), key, Some(endpoint))]),
        });
    }

    fn environment(&mut self, cluster: &Cluster, name: &str, websub: Option<bool>) {
        let nodes: Vec<&Node> = cluster.gateways_of(name).collect();
        let Some(main) = cluster.environment_endpoint(name).filter(|main| main.fronted && !nodes.is_empty())
        else {
            return;
        };
        let key = |what: &str| format!("gateway-{name}.{what}");
        let is_own = |node: &&Node| node.role == Role::Gateway;
        let management = key("management");
        let has_websub = websub.unwrap_or_else(|| nodes.iter().any(|node| node.role == Role::AllInOne));
        for call in CALLS.iter().filter(|call| has_websub || !call.key.starts_with("websub")) {
            self.upstream(&key(call.key), &nodes, call.base, false);
            for endpoint in [main].into_iter().chain(cluster.virtual_hosts(name)) {
                let mut routes = vec![route(Path::Below("/"), &key(call.key), call.tls.then_some(main))];
                // With another name or port they are separate sites, see below.
                if call.key == "https" && call_is_management(main, endpoint) && nodes.iter().any(is_own) {
                    routes.extend(management_routes(&management, main));
                }
                self.add(Site {
                    name: endpoint.name.to_ascii_lowercase(),
                    port: (call.port)(endpoint),
                    tls: call.tls,
                    what: format!("{} of environment `{name}`", call.what),
                    is_websocket: call.is_websocket,
                    is_portal: false,
                    answer: Answer::Routes(routes),
                });
            }
        }
        // Those of an all-in-one are the control plane's.
        if !nodes.iter().any(is_own) {
            return;
        }
        self.upstream(&management, &nodes, port::HTTPS, true);
        if !call_is_management(main, main) {
            let mut routes =
                vec![Route { management: true, ..route(Path::Below("/"), &management, Some(main)) }];
            routes.push(route(Path::Is(GATEWAY_HEALTH), &management, Some(main)));
            self.add(Site {
                name: main.name.to_ascii_lowercase(),
                port: main.port,
                tls: true,
                what: format!("management of the gateways of environment `{name}`"),
                is_websocket: false,
                is_portal: false,
                answer: Answer::Routes(routes),
            });
        }
    }

    /// Adds an upstream. With `spare`, other nodes get requests only while the first is down.
    fn upstream(&mut self, key: &str, nodes: &[&Node], base: u16, spare: bool) {
        let servers = nodes.iter().enumerate().map(|(at, node)| Server {
            node: node.name.clone(),
            file: pki::name_of(node),
            reach: format!("{}:{}", node.reach(), node.port(base)),
            backup: spare && at > 0,
        });
        self.upstreams.push(Upstream { key: key.to_owned(), sticky: false, servers: servers.collect() });
    }

    fn add(&mut self, site: Site) {
        let same = |known: &&Site| known.name == site.name && known.port == site.port;
        match self.sites.iter().find(same) {
            Some(known) => self.clashes.push(format!(
                "`{}:{}` is used for {} and for {}",
                site.name, site.port, known.what, site.what
            )),
            None => self.sites.push(site),
        }
    }

    /// Redirects plain HTTP requests for portals and services to HTTPS, unless the port is in use.
    fn redirects(&mut self, settings: &LoadBalancer) {
        let Some(port) = settings.redirect_port else { return };
        let portals: Vec<Site> = self.sites.iter().filter(|site| site.is_portal).cloned().collect();
        for site in portals {
            let is_taken = |known: &Site| known.port == port && (known.tls || known.name == site.name);
            if self.sites.iter().any(is_taken) {
                continue;
            }
            let url = match site.port {
                443 => format!("https://{}", site.name),
                other => format!("https://{}:{other}", site.name),
            };
            let what = format!("redirect to {}", site.what);
            let answer = Answer::Redirect(url);
            self.sites.push(Site { port, tls: false, is_portal: false, what, answer, ..site });
        }
    }

    fn clashing_ports(&mut self) {
        let mut known: BTreeMap<u16, &Site> = BTreeMap::new();
        for site in &self.sites {
            let first = known.entry(site.port).or_insert(site);
            if first.tls != site.tls {
                let (with, without) = if site.tls { (site, *first) } else { (*first, site) };
                self.clashes.push(format!(
                    "port {} cannot use TLS for {} and plain HTTP for {}",
                    site.port, with.what, without.what
                ));
                break;
            }
        }
    }
}

/// Returns whether an environment's management services and the APIs at `endpoint` share name and
/// port.
fn call_is_management(main: &Endpoint, endpoint: &Endpoint) -> bool {
    main.name.eq_ignore_ascii_case(&endpoint.name) && main.port == endpoint.calls.https
}

fn management_routes(key: &str, main: &Endpoint) -> Vec<Route> {
    let below = MANAGEMENT_PATHS
        .iter()
        .map(|path| Route { management: true, ..route(Path::Below(path), key, Some(main)) });
    let mut routes: Vec<Route> = below.collect();
    routes.push(route(Path::Is(GATEWAY_HEALTH), key, Some(main)));
    routes
}

fn route(path: Path, to: &str, tls: Option<&Endpoint>) -> Route {
    // nginx verifies names in certificates, not addresses; issued certificates also contain
    // `localhost`.
    let name = |endpoint: &Endpoint| match endpoint.name.parse::<std::net::Ipv4Addr>() {
        Ok(_) => "localhost".to_owned(),
        Err(_) => endpoint.name.to_ascii_lowercase(),
    };
    Route { path, to: to.to_owned(), tls: tls.map(name), management: false }
}
