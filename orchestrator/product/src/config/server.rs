//! `[server]`, `[transport.*]`: the public name and ports of a node.

use super::context::RenderContext;
use super::tree::Table;
use crate::port;
use crate::role::Role;

pub(super) fn section(context: &RenderContext<'_>, root: &mut Table) {
    let (cluster, node) = (context.cluster, context.node);
    let endpoint = cluster.endpoint_of(node);
    let name = endpoint.map_or(node.peer.as_str(), |endpoint| endpoint.name.as_str());
    let from = if endpoint.is_some_and(|endpoint| endpoint.name != node.peer) {
        "hostname: the public name of this role, from the inventory (apim.endpoints)"
    } else {
        "hostname: this node's own name; no endpoint is configured for it"
    };
    let mut server = Table::about(from).set("hostname", name);
    if node.role != Role::KeyManager {
        // Only used as a default for clustering, which 4.5 and later do not need
        // (wso2/product-apim, default.json).
        let address =
            node.settings.node_ip.map_or_else(|| "127.0.0.1".to_owned(), |address| address.to_string());
        server = server.set("node_ip", address);
    }
    // "default" enables the features of each component (wso2/product-apim, infer.json), so it is
    // always set.
    server = server.set("server_role", "default");
    if node.role.is_hub() {
        server = server.set("base_path", "${carbon.protocol}://${carbon.host}:${carbon.management.port}");
    }
    root.put("server", server.set("offset", node.offset));

    let Some(endpoint) = endpoint else { return };
    // The server adds its offset to these ports itself.
    let (own_https, own_http) = node.own.proxy_ports;
    let proxy = own_https.or_else(|| endpoint.proxy_port(node.port(port::HTTPS)));
    match node.role {
        Role::Gateway => {
            if let Some(https) = proxy {
                let about = "ports of this node, and of the load balancer in front of it";
                root.put(
                    "transport.http.properties",
                    Table::about(about)
                        .set("port", port::HTTP)
                        .set("proxyPort", own_http.unwrap_or(endpoint.calls.http)),
                );
                root.put(
                    "transport.https.properties",
                    Table::default().set("port", port::HTTPS).set("proxyPort", https),
                );
            }
        }
        Role::ControlPlane | Role::TrafficManager | Role::AllInOne => {
            if let Some(https) = proxy {
                root.put(
                    "transport.https.properties",
                    Table::about("the load balancer's port for this node's HTTPS").set("proxyPort", https),
                );
            }
        }
        Role::KeyManager => {}
    }
}
