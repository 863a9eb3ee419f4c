//! The certificates that a cluster needs: the shared one, and one for each node and load balancer.

use std::net::Ipv4Addr;

use super::model::{PRIMARY, RequiredCertificate};
use crate::cluster::Cluster;
use crate::host_name;
use crate::keystore;
use crate::role::Role;
use crate::settings::keystores::{IssuedSettings, KeystoreMode};
use crate::topology::Node;

/// Returns all required certificates: the shared one, and one for each node and load balancer.
#[must_use]
pub fn required(cluster: &Cluster) -> Vec<RequiredCertificate> {
    let mut all = vec![RequiredCertificate {
        name: PRIMARY.to_owned(),
        words: "the shared key of all nodes".to_owned(),
        common_name: "API Manager cluster".to_owned(),
        names: Vec::new(),
        purpose: keystore::Purpose::Encipherment,
    }];
    for node in cluster.nodes().iter().filter(|node| node.settings.keystores.mode == KeystoreMode::Issued) {
        all.push(RequiredCertificate {
            name: name_of(node),
            words: node.words(),
            common_name: shortened(&node.peer),
            names: names_of(cluster, node),
            purpose: keystore::Purpose::Tls,
        });
    }
    let balancers = cluster.hosts().iter().filter(|host| host.is_load_balancer);
    for host in balancers.filter(|host| host.settings.load_balancer.certificate.is_none()) {
        let mut names: Vec<String> = vec![host.name.clone(), host.peer.clone()];
        names.extend(host.address.map(|address| address.to_string()));
        names.extend(cluster.all_endpoints().map(|endpoint| endpoint.name.clone()));
        names.extend(more_names(host.settings.keystores.issued.as_ref()));
        all.push(RequiredCertificate {
            name: balancer_name(&host.name),
            words: format!("load balancer {}", host.name),
            common_name: shortened(&host.peer),
            names: normalized(names),
            purpose: keystore::Purpose::Tls,
        });
    }
    all
}

/// Returns the name of a node's certificate.
#[must_use]
pub fn name_of(node: &Node) -> String {
    file_stem(&format!("{}-{}", node.host, node.component))
}

/// Returns the name of a load balancer's certificate.
#[must_use]
pub fn balancer_name(host: &str) -> String {
    file_stem(&format!("{host}-load-balancer"))
}

fn file_stem(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect()
}

/// All names that peers and clients use for a node.
fn names_of(cluster: &Cluster, node: &Node) -> Vec<String> {
    let mut names =
        vec![node.peer.clone(), node.host.clone(), "localhost".to_owned(), "127.0.0.1".to_owned()];
    names.extend(node.address.map(|address| address.to_string()));
    names.extend(cluster.endpoint_of(node).map(|endpoint| endpoint.name.clone()));
    if node.role.is_hub() {
        names.extend(cluster.endpoint(Role::ControlPlane).map(|endpoint| endpoint.name.clone()));
    }
    for environment in node.environments.iter().filter(|_| node.role.is_gateway()) {
        names.extend(cluster.environment_endpoint(environment).map(|endpoint| endpoint.name.clone()));
        names.extend(cluster.virtual_hosts(environment).iter().map(|endpoint| endpoint.name.clone()));
    }
    names.extend(more_names(node.settings.keystores.issued.as_ref()));
    normalized(names)
}

fn more_names(settings: Option<&IssuedSettings>) -> impl Iterator<Item = String> {
    settings.into_iter().flat_map(|settings| &settings.names).map(|name| name.value.clone())
}

/// Returns the valid host names and addresses among `names`, in lower case, sorted, without
/// duplicates.
pub(super) fn normalized(names: Vec<String>) -> Vec<String> {
    let fits = |name: &String| name.parse::<Ipv4Addr>().is_ok() || host_name::check(name).is_ok();
    let mut names: Vec<String> = names.into_iter().map(|name| name.to_lowercase()).filter(fits).collect();
    names.sort();
    names.dedup();
    names
}

/// X.520 allows 64 characters.
fn shortened(name: &str) -> String {
    name.chars().take(64).collect()
}
