//! The managed block in `/etc/hosts`: every name in the cluster's configuration whose address is in
//! the inventory.
//!
//! Names must resolve on every node before its first start: they are stored in the databases and in
//! URLs for clients.

use std::net::Ipv4Addr;

use super::cluster::Cluster;

/// The text of the block's marker lines.
pub const MARKER: &str = "apim-deploy managed block";

/// Returns the lines, one per address in inventory order. Names without an address are left to DNS.
#[must_use]
pub fn lines(cluster: &Cluster) -> Vec<String> {
    let mut table: Vec<(Ipv4Addr, Vec<String>)> = Vec::new();
    let mut add = |address: Option<Ipv4Addr>, name: &str| {
        let Some(address) = address else { return };
        let is_name = name.parse::<Ipv4Addr>().is_err() && name != "localhost";
        let is_new = !table.iter().any(|(_, names)| names.iter().any(|known| known == name));
        if !is_name || !is_new {
            return;
        }
        match table.iter_mut().find(|(known, _)| *known == address) {
            Some((_, names)) => names.push(name.to_owned()),
            None => table.push((address, vec![name.to_owned()])),
        }
    };
    for host in cluster.hosts() {
        let carries_nodes = cluster.nodes_on(&host.name).next().is_some();
        if carries_nodes {
            add(host.address, &host.peer);
        }
    }
    for endpoint in cluster.all_endpoints() {
        add(endpoint.address, &endpoint.name);
    }
    for node in cluster.nodes() {
        if let Some(databases) = &node.settings.databases {
            add(database_address(cluster, &databases.host), &databases.host);
        }
        for (name, address) in &node.settings.hosts_file.extra {
            add(Some(address.value), name);
        }
    }
    table.into_iter().map(|(address, names)| format!("{address} {}", names.join(" "))).collect()
}

/// Returns the block with its marker lines.
#[must_use]
pub fn block(cluster: &Cluster) -> String {
    let lines: String = lines(cluster).iter().map(|line| format!("{line}\n")).collect();
    format!("# BEGIN {MARKER}\n{lines}# END {MARKER}\n")
}

/// Returns the address of the database server `name`: `name` itself if it is an address, the host
/// of that name, or the only database host.
#[must_use]
pub fn database_address(cluster: &Cluster, name: &str) -> Option<Ipv4Addr> {
    if let Ok(address) = name.parse() {
        return Some(address);
    }
    let named = cluster.hosts().iter().find(|host| host.name == name || host.peer == name);
    let mut servers = cluster.hosts().iter().filter(|host| host.is_database);
    let only = servers.next().filter(|_| servers.next().is_none());
    named.or(only).and_then(|host| host.address)
}
