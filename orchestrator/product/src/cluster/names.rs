//! Checks that each name has one address, the same on every host. Otherwise an entry of
//! `/etc/hosts` would be dropped silently.

use std::net::Ipv4Addr;

use super::{Cluster, Host};
use crate::hosts_file::database_address;
use crate::role::Role;
use crate::settings::endpoint::EndpointSetting;
use crate::topology::Endpoint;
use crate::yaml::{Mistakes, Span};

/// A name with an address, and the setting that assigns it.
struct Claim<'a> {
    name: &'a str,
    address: Ipv4Addr,
    by: String,
    span: &'a Span,
}

/// Adds errors for hosts that share a name, endpoints with the name of one of several nodes, and
/// names with two addresses.
pub(super) fn one_address_each(cluster: &Cluster, mistakes: &mut Mistakes) {
    let hosts: Vec<&Host> =
        cluster.hosts.iter().filter(|host| cluster.nodes_on(&host.name).next().is_some()).collect();
    for (at, host) in hosts.iter().enumerate() {
        for other in hosts.iter().take(at).filter(|other| share_a_name(host, other)) {
            let written = [host, other].into_iter().find_map(|host| host.settings.host_name.as_ref());
            mistakes.add_hint(
                written.map_or(&host.place, |name| &name.span),
                format!("hosts `{}` and `{}` have the same name `{}`", other.name, host.name, host.peer),
                "set a unique name with `apim: {host_name: …}`; case is ignored",
            );
        }
    }
    let mut claims = Claims { known: Vec::new(), mistakes };
    for host in &hosts {
        // Hosts with the same name were reported above.
        let is_first = !claims.known.iter().any(|claim| claim.name.eq_ignore_ascii_case(&host.peer));
        if let Some(address) = host.address.filter(|_| is_first) {
            let span = host.settings.host_name.as_ref().map_or(&host.place, |name| &name.span);
            claims.add(Claim { name: &host.peer, address, by: format!("host `{}`", host.name), span });
        }
    }
    for (by, setting, endpoint, nodes) in endpoints(cluster) {
        let called = hosts.iter().find(|host| host.peer.eq_ignore_ascii_case(&setting.name));
        if let Some(host) = called.filter(|host| nodes > 1 && !host.is_load_balancer) {
            let what = format!(
                "{by} is used for {nodes} nodes, but `{}` is the name of host `{}`",
                setting.name, host.name
            );
            claims.mistakes.add_hint(&setting.span, what, "use a separate name, that of the load balancer");
        } else if let Some(address) = explicit_address(cluster, setting, endpoint) {
            claims.add(Claim { name: &setting.name, address, by, span: &setting.span });
        }
    }
    for node in cluster.nodes() {
        if let Some(databases) = &node.settings.databases
            && let Some(address) = database_address(cluster, &databases.host)
        {
            let by = "`apim.databases.host`".to_owned();
            claims.add(Claim { name: &databases.host, address, by, span: &databases.span });
        }
        for (name, address) in &node.settings.hosts_file.extra {
            let by = "`apim.hosts_file.extra`".to_owned();
            claims.add(Claim { name, address: address.value, by, span: &address.span });
        }
    }
}

struct Claims<'a, 'm> {
    known: Vec<Claim<'a>>,
    mistakes: &'m mut Mistakes,
}

impl<'a> Claims<'a, '_> {
    fn add(&mut self, claim: Claim<'a>) {
        let is_address = claim.name.parse::<Ipv4Addr>().is_ok();
        let same_name = self.known.iter().find(|known| known.name.eq_ignore_ascii_case(claim.name));
        match same_name {
            Some(known) if !is_address && known.address != claim.address => self.mistakes.add_hint(
                claim.span,
                format!(
                    "`{}` would have two addresses: {} ({}) and {} ({})",
                    claim.name, known.address, known.by, claim.address, claim.by
                ),
                "use a different name, or the same address",
            ),
            Some(_) => {}
            None => self.known.push(claim),
        }
    }
}

/// Returns whether two machines have the same name. Hosts with the same address, or with the same
/// DNS name as their SSH address, are one machine.
fn share_a_name(host: &Host, other: &Host) -> bool {
    let is_named = host.settings.host_name.is_some() || other.settings.host_name.is_some();
    let one_machine = host.address == other.address && (host.address.is_some() || !is_named);
    host.peer.eq_ignore_ascii_case(&other.peer) && !one_machine
}

/// Returns every configured endpoint that is used, with its name in messages and its number of
/// nodes.
fn endpoints(cluster: &Cluster) -> Vec<(String, &EndpointSetting, &Endpoint, usize)> {
    let written = cluster.nodes().first().map(|node| &node.settings.endpoints);
    let setting = |role: Role| written.and_then(|written| written.get(&role));
    let mut all = Vec::new();
    for (role, endpoint) in &cluster.endpoints {
        if let Some(setting) = setting(*role) {
            let nodes =
                if *role == Role::ControlPlane { cluster.hubs().count() } else { cluster.of(*role).count() };
            all.push((format!("`apim.endpoints.{}`", role.group()), setting, endpoint, nodes));
        }
    }
    for environment in cluster.environments() {
        let name = &environment.name.value;
        let gateway = setting(Role::Gateway).filter(|_| cluster.environments.len() == 1);
        if let Some(setting) = environment.endpoint.as_ref().or(gateway)
            && let Some(endpoint) = cluster.environment_endpoint(name)
        {
            let by = format!("the endpoint of environment `{name}`");
            all.push((by, setting, endpoint, cluster.gateways_of(name).count()));
        }
    }
    all
}

/// Returns the address of an endpoint if it is set explicitly; a fallback address is not checked.
fn explicit_address(cluster: &Cluster, setting: &EndpointSetting, endpoint: &Endpoint) -> Option<Ipv4Addr> {
    let has_balancer = cluster.hosts.iter().any(|host| host.is_load_balancer && host.address.is_some());
    let is_explicit = setting.address.is_some() || has_balancer || !endpoint.fronted;
    endpoint.address.filter(|_| is_explicit)
}
