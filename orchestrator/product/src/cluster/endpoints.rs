//! Endpoints: the public name and ports of each role and each environment.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use super::Cluster;
use crate::load_balancer::is_managed;
use crate::port;
use crate::role::Role;
use crate::settings::endpoint::EndpointSetting;
use crate::settings::environments::Environment;
use crate::topology::{Calls, Endpoint, Node};
use crate::yaml::{Mistakes, Span};

/// Sets the endpoints of the cluster: as configured, or those of the only node.
pub(super) fn resolve(cluster: &mut Cluster, mistakes: &mut Mistakes) {
    let first = cluster.nodes.first().map(|node| Arc::clone(&node.settings));
    // Invalid endpoints have their own errors, and are not reported as missing.
    let endpoints_fit = first.as_ref().is_none_or(|settings| settings.endpoints_fit);
    let mut unread = Mistakes::default();
    let none = BTreeMap::new();
    let mut resolver = Resolver {
        cluster,
        written: first.as_ref().map_or(&none, |settings| &settings.endpoints),
        block: first.as_ref().and_then(|settings| settings.place_of("endpoints")),
        place: cluster.nodes.first().map_or_else(Span::nowhere, |node| node.place.clone()),
        balancer: cluster.hosts.iter().find(|host| host.is_load_balancer).and_then(|host| host.address),
        is_managed: cluster.hosts.iter().any(is_managed),
        mistakes: if endpoints_fit { mistakes } else { &mut unread },
        notes: Vec::new(),
    };
    let roles = resolver.roles();
    let environments = resolver.environments();
    let notes = resolver.notes;
    cluster.endpoints.extend(roles);
    cluster.environment_endpoints.extend(environments);
    cluster.notes.extend(notes);
    set_virtual_hosts(cluster);
    warn_about_shared_endpoints(cluster);
}

/// Context for finding endpoints.
struct Resolver<'a> {
    cluster: &'a Cluster,
    /// The configured endpoints.
    written: &'a BTreeMap<Role, EndpointSetting>,
    /// The location of `apim.endpoints`, if it is set.
    block: Option<&'a Span>,
    /// The location of the first node.
    place: Span,
    /// The address of the load balancer, if the inventory contains it.
    balancer: Option<Ipv4Addr>,
    /// Whether apim-deploy manages the load balancer.
    is_managed: bool,
    mistakes: &'a mut Mistakes,
    notes: Vec<String>,
}

impl Resolver<'_> {
    fn roles(&mut self) -> Vec<(Role, Endpoint)> {
        let roles = [Role::ControlPlane, Role::KeyManager, Role::TrafficManager];
        roles.into_iter().filter_map(|role| Some((role, self.role(role)?))).collect()
    }

    fn role(&mut self, role: Role) -> Option<Endpoint> {
        let is_hub = role == Role::ControlPlane;
        let nodes: Vec<&Node> =
            if is_hub { self.cluster.hubs().collect() } else { self.cluster.of(role).collect() };
        let setting = self.written.get(&role);
        if let Some(setting) = setting.filter(|_| nodes.is_empty() && !is_hub) {
            self.notes.push(format!(
                "apim.endpoints.{} (`{}`) is not used: the group has no hosts",
                role.group(),
                setting.name
            ));
        }
        let search = self.search(&nodes, setting, format!("the {role}s"));
        let place = missing_at(self.block, &nodes, &self.place);
        let hint = format!("set `endpoints: {{{}: NAME}}` to the name of the load balancer", role.group());
        search.endpoint(&mut self.notes, &mut |what| self.mistakes.add_hint(place, what, hint.clone()))
    }

    fn environments(&mut self) -> Vec<(String, Endpoint)> {
        let cluster = self.cluster;
        let mut found = Vec::new();
        for environment in &cluster.environments {
            let endpoint = self.environment(environment);
            found.extend(endpoint.map(|endpoint| (environment.name.value.clone(), endpoint)));
        }
        found
    }

    fn environment(&mut self, environment: &Environment) -> Option<Endpoint> {
        let name = &environment.name.value;
        let nodes: Vec<&Node> = self.cluster.gateways_of(name).collect();
        let is_only = self.cluster.environments.len() == 1;
        let is_all_in_one = nodes.iter().all(|node| node.role == Role::AllInOne);
        let setting = environment
            .endpoint
            .as_ref()
            .or_else(|| self.written.get(&Role::Gateway).filter(|_| is_only))
            .or_else(|| self.written.get(&Role::ControlPlane).filter(|_| is_all_in_one && !nodes.is_empty()));
        let named = Some(&environment.name.span).filter(|span| span.file_name().is_some());
        let span = named.unwrap_or_else(|| missing_at(self.block, &nodes, &self.place));
        if nodes.is_empty() {
            if setting.is_none() && !self.cluster.nodes.is_empty() {
                self.mistakes.add_hint(
                    span,
                    format!("environment `{name}` has no gateway"),
                    format!("assign `{name}` to a gateway (`gateway: {{environment: {name}}}`), or set the `endpoint` of gateways outside this inventory"),
                );
            }
            let setting = setting?;
            self.notes.push(format!(
                "environment `{name}` has no gateway in this inventory; it is expected at `{}`",
                setting.name
            ));
            return Some(elsewhere(setting));
        }
        let search = self.search(&nodes, setting, format!("the gateways of environment `{name}`"));
        let hint = if is_only {
            "set `endpoints: {gateway: NAME}` to the name of the load balancer"
        } else {
            "set `endpoint: NAME` in the environment to the name of the load balancer"
        };
        search.endpoint(&mut self.notes, &mut |what| self.mistakes.add_hint(span, what, hint))
    }

    fn search<'s>(
        &self,
        nodes: &'s [&'s Node],
        setting: Option<&'s EndpointSetting>,
        what: String,
    ) -> Search<'s> {
        Search { nodes, setting, balancer: self.balancer, is_managed: self.is_managed, what }
    }
}

/// Sets the additional endpoints of environments.
fn set_virtual_hosts(cluster: &mut Cluster) {
    for environment in &cluster.environments {
        let name = &environment.name.value;
        let Some(main) = cluster.environment_endpoints.get(name) else { continue };
        let hosts = environment.virtual_hosts.iter().map(|setting| Endpoint {
            name: setting.name.clone(),
            address: setting.address.or_else(|| setting.name.parse().ok()).or(main.address),
            calls: written_calls(setting, main.calls),
            ..main.clone()
        });
        cluster.virtual_hosts.insert(name.clone(), hosts.collect());
    }
}

/// Adds warnings for environments that share a name and port but have different gateways: requests
/// cannot be assigned to one of them.
fn warn_about_shared_endpoints(cluster: &mut Cluster) {
    let gateways = |name: &str| cluster.gateways_of(name).map(|node| node.name.0.clone()).collect::<Vec<_>>();
    let names = |environment: &Environment| {
        let name = &environment.name.value;
        let main = cluster.environment_endpoints.get(name).into_iter();
        let all = main.chain(cluster.virtual_hosts(name));
        all.map(|endpoint| (endpoint.name.to_ascii_lowercase(), endpoint.calls.https)).collect::<Vec<_>>()
    };
    let mut warnings = Mistakes::default();
    for (at, environment) in cluster.environments.iter().enumerate() {
        let (own_names, own) = (names(environment), &environment.name);
        for other in cluster.environments.iter().take(at) {
            let shared = names(other).into_iter().find(|name| own_names.contains(name));
            let Some((host, port)) = shared else { continue };
            if gateways(&own.value) != gateways(&other.name.value) {
                warnings.add_hint(
                    &own.span,
                    format!(
                        "the environments `{}` and `{}` share the endpoint `{host}:{port}`, but have different gateways",
                        other.name.value, own.value
                    ),
                    "set a different `endpoint` for one of them: the host name of a request selects the environment",
                );
            }
        }
    }
    cluster.warnings.0.extend(warnings.0);
}

/// Returns the location for a missing endpoint: the block, else the second node, which made the
/// endpoint necessary.
fn missing_at<'a>(block: Option<&'a Span>, nodes: &[&'a Node], otherwise: &'a Span) -> &'a Span {
    block.or_else(|| nodes.get(1).or(nodes.first()).map(|node| &node.place)).unwrap_or(otherwise)
}

struct Search<'a> {
    nodes: &'a [&'a Node],
    setting: Option<&'a EndpointSetting>,
    balancer: Option<Ipv4Addr>,
    /// Whether apim-deploy manages the load balancer: it serves every configured name, even for a
    /// single node.
    is_managed: bool,
    what: String,
}

impl Search<'_> {
    fn endpoint(&self, notes: &mut Vec<String>, missing: &mut dyn FnMut(String)) -> Option<Endpoint> {
        let first = self.nodes.first()?;
        let own_port = first.port(port::HTTPS);
        let several = self.nodes.len() > 1;
        let Some(setting) = self.setting else {
            if several {
                missing(format!("no endpoint is set for {} ({} nodes)", self.what, self.nodes.len()));
                return None;
            }
            return Some(Endpoint {
                name: first.peer.clone(),
                port: own_port,
                fronted: false,
                address: first.address,
                calls: own_calls(first),
            });
        };
        let is_served = several || (self.is_managed && setting.name != first.peer);
        let port = setting.port.unwrap_or(if is_served { 443 } else { own_port });
        let fronted = several || port != own_port;
        let address = if setting.name == first.peer && !several {
            first.address
        } else {
            setting
                .address
                .or_else(|| setting.name.parse().ok())
                .or(self.balancer.filter(|_| fronted))
                .or_else(|| {
                    if fronted && setting.name.parse::<Ipv4Addr>().is_err() {
                        notes.push(format!(
                        "no host is in `load_balancer`, and `{}` has no `address`: the address of {} is used",
                        setting.name, first.host
                    ));
                    }
                    first.address
                })
        };
        let calls =
            if fronted { written_calls(setting, FRONTED) } else { written_calls(setting, own_calls(first)) };
        Some(Endpoint { name: setting.name.clone(), port, fronted, address, calls })
    }
}

/// Ports for API calls at a load balancer: the standard ports of HTTP and HTTPS; the product's
/// ports of WebSocket and `WebSub`.
const FRONTED: Calls = Calls {
    http: 80,
    https: 443,
    ws: port::WS,
    wss: port::WSS,
    websub_http: port::WEBSUB_HTTP,
    websub_https: port::WEBSUB_HTTPS,
};

fn own_calls(node: &Node) -> Calls {
    Calls {
        http: node.port(port::GATEWAY_HTTP),
        https: node.port(port::GATEWAY_HTTPS),
        ws: node.port(port::WS),
        wss: node.port(port::WSS),
        websub_http: node.port(port::WEBSUB_HTTP),
        websub_https: node.port(port::WEBSUB_HTTPS),
    }
}

fn written_calls(setting: &EndpointSetting, default: Calls) -> Calls {
    let written = setting.calls;
    Calls {
        http: written.http.unwrap_or(default.http),
        https: written.https.unwrap_or(default.https),
        ws: written.ws.unwrap_or(default.ws),
        wss: written.wss.unwrap_or(default.wss),
        websub_http: written.websub_http.unwrap_or(default.websub_http),
        websub_https: written.websub_https.unwrap_or(default.websub_https),
    }
}

fn elsewhere(setting: &EndpointSetting) -> Endpoint {
    Endpoint {
        name: setting.name.clone(),
        port: setting.port.unwrap_or(443),
        fronted: true,
        address: setting.address.or_else(|| setting.name.parse().ok()),
        calls: written_calls(setting, FRONTED),
    }
}
