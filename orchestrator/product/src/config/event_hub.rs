//! `[apim.event_hub]`: sources of events.

use super::context::RenderContext;
use super::tree::Table;
use crate::port::{BROKER_TLS, RECEIVER, RECEIVER_AUTH};
use crate::role::Role;

/// Value that enables TLS for a broker connection. The product inserts it between the quotes of a
/// broker URL option, so it closes the quotes and appends further options (wso2/docs-apim,
/// "enabling TLS for event hub JMS communications").
pub(super) const OVER_TLS: &str = concat!(
    "true'&amp;ssl_cert_alias='$ref{keystore.tls.alias}",
    "'&amp;trust_store='repository/resources/security/$ref{truststore.file_name}",
    "'&amp;trust_store_password='$ref{truststore.password}",
    "'&amp;key_store='repository/resources/security/$ref{keystore.tls.file_name}",
    "'&amp;key_store_password='$ref{keystore.tls.password}",
);

pub(super) fn section(context: &RenderContext<'_>, root: &mut Table) {
    let (cluster, node) = (context.cluster, context.node);
    let hubs: Vec<_> = cluster.hubs().collect();
    let several = hubs.len() > 1;
    let broker = cluster.broker();
    let about = if node.role.is_hub() {
        "this node runs an event hub and subscribes to it"
    } else {
        "APIs, subscriptions and policies are pulled from service_url; events come from every event hub directly,"
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
        vec![format!("tcp://localhost:{}", node.port(broker))]
    } else {
        hubs.iter().map(|hub| hub.url("tcp", broker)).collect()
    };
    hub = hub.set("event_listening_endpoints", listened);
    if node.role.is_hub() && several {
        let others: Vec<String> = cluster.peers(node).map(|peer| peer.url("tcp", broker)).collect();
        hub = hub.set("event_duplicate_url", others);
    }
    if broker == BROKER_TLS {
        hub = hub.also("brokers are reached over TLS: apim.broker_tls").set("ssl", OVER_TLS);
        hub.put("jms", Table::default().set("ssl", OVER_TLS));
    }
    root.put("apim.event_hub", hub);
    if node.role.is_hub() {
        published(context, root);
    }
    if broker == BROKER_TLS && cluster.serves_broker(node) {
        // The default is TLSv1 only, which no current JDK supports (wso2/product-apim,
        // default.json). The server adds its offset to the port.
        root.put(
            "broker.transport.amqp.ssl_connection",
            Table::about("from the inventory: apim.broker_tls; uses the keystores of this node")
                .set("enabled", true)
                .set("port", BROKER_TLS.to_string())
                .set("ssl_enabled_protocols", "TLSv1.2"),
        );
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

/// The event hubs that a control plane publishes to: one group for each hub, or one group of all
/// hubs.
fn published(context: &RenderContext<'_>, root: &mut Table) {
    const GROUP: &str = "apim.event_hub.publish.url_group";
    let hubs: Vec<_> = context.cluster.hubs().collect();
    let one_group = context.node.settings.messaging.event_hub.group_type().filter(|_| hubs.len() > 1);
    if let Some(kind) = one_group {
        let urls = |scheme: &str, base| hubs.iter().map(|hub| hub.url(scheme, base)).collect::<Vec<_>>();
        root.push(
            GROUP,
            Table::about(
                "from the inventory: apim.event_hub.distribution; every event goes to one of the hubs",
            )
            .set("type", kind)
            .set("urls", urls("tcp", RECEIVER))
            .set("auth_urls", urls("ssl", RECEIVER_AUTH)),
        );
        return;
    }
    for hub in hubs {
        root.push(
            GROUP,
            Table::about(format!("{}: every event goes to every hub", hub.words()))
                .set("urls", vec![hub.url("tcp", RECEIVER)])
                .set("auth_urls", vec![hub.url("ssl", RECEIVER_AUTH)]),
        );
    }
}
