//! `[apim.event_hub]`, `[apim.key_manager]`: where a node hears of changes, and who keeps the keys.

use super::Scene;
use super::tree::Table;
use crate::apim::port::{BROKER, RECEIVER, RECEIVER_AUTH};
use crate::apim::role::Role;

pub(super) fn section(scene: &Scene<'_>, root: &mut Table) {
    let (cluster, node) = (scene.cluster, scene.node);
    let hubs: Vec<_> = cluster.hubs().collect();
    let several = hubs.len() > 1;
    let about = if node.role.is_hub() {
        "this node runs an event hub and listens to its own"
    } else {
        "APIs, subscriptions and policies are pulled from service_url; changes are heard from every event hub directly,"
    };
    let mut hub = Table::about(about);
    if !node.role.is_hub() {
        hub = hub.also("not through the load balancer");
    }
    hub = hub
        .set("enable", true)
        .set("username", "$ref{super_admin.username}")
        .set("password", "$ref{super_admin.password}")
        .set_some("service_url", cluster.endpoint(Role::ControlPlane).map(|e| e.https("/services/")));
    let listened: Vec<String> = if node.role.is_hub() && several {
        vec![format!("tcp://localhost:{}", node.port(BROKER))]
    } else {
        hubs.iter().map(|hub| hub.url("tcp", BROKER)).collect()
    };
    hub = hub.set("event_listening_endpoints", listened);
    if node.role.is_hub() && several {
        let others: Vec<String> = cluster.peers(node).map(|peer| peer.url("tcp", BROKER)).collect();
        hub = hub.set("event_duplicate_url", others);
    }
    root.put("apim.event_hub", hub);
    if node.role.is_hub() {
        for hub in hubs {
            root.push(
                "apim.event_hub.publish.url_group",
                Table::about(format!("{}: every event goes to every hub", hub.words()))
                    .set("urls", vec![hub.url("tcp", RECEIVER)])
                    .set("auth_urls", vec![hub.url("ssl", RECEIVER_AUTH)]),
            );
        }
    }
    if let Some(domain) = &node.own.cache_invalidation {
        root.put(
            "apim.cache_invalidation",
            Table::about("from the inventory: cache_invalidation_domain")
                .set("enabled", true)
                .set("domain", domain),
        );
    }
}

pub(super) fn key_manager(scene: &Scene<'_>, root: &mut Table) {
    let (cluster, node) = (scene.cluster, scene.node);
    let has_own = cluster.of(Role::KeyManager).next().is_some();
    // Without key managers the control plane keeps the keys; for itself that is the default.
    let asks = match node.role {
        Role::Gateway => true,
        Role::ControlPlane | Role::AllInOne => has_own,
        Role::KeyManager | Role::TrafficManager => false,
    };
    if let (true, Some(endpoint)) = (asks, cluster.endpoint(Role::KeyManager)) {
        root.put(
            "apim.key_manager",
            Table::about("the key managers' endpoint")
                .set("service_url", endpoint.https("/services/"))
                .set("username", "$ref{super_admin.username}")
                .set("password", "$ref{super_admin.password}"),
        );
    }
    if node.role == Role::AllInOne {
        root.put(
            "apim.key_manager",
            Table::about("as shipped").set("enable_lightweight_apikey_generation", true),
        );
    }
}
