//! `[apim.throttling]`: where requests are counted, and where throttling decisions come from.

use super::context::RenderContext;
use super::event_hub::OVER_TLS;
use super::tree::Table;
use crate::port::{BROKER_TLS, RECEIVER, RECEIVER_AUTH};
use crate::role::Role;
use crate::topology::Node;

pub(super) fn section(context: &RenderContext<'_>, root: &mut Table) {
    let (cluster, node) = (context.cluster, context.node);
    let throttlers = cluster.throttlers();
    let decides = throttlers.iter().any(|other| other.name == node.name);
    let several = throttlers.len() > 1;
    let broker = cluster.broker();
    if decides && several {
        let others: Vec<String> = throttlers
            .iter()
            .filter(|other| other.name != node.name)
            .map(|other| other.url("tcp", broker))
            .collect();
        root.put(
            "apim.throttling",
            Table::about("this node decides, and sends its decisions to every other traffic manager")
                .set("event_duplicate_url", others)
                .set("throttle_decision_endpoints", vec![format!("tcp://localhost:{}", node.port(broker))]),
        );
        if broker == BROKER_TLS {
            root.put("apim.throttling.jms", Table::default().set("ssl", OVER_TLS));
        }
    }
    if !node.own.skip_redeploying_policies.is_empty() {
        root.put(
            "apim.throttling",
            Table::about("from the inventory: skip_redeploying_policies")
                .set("skip_redeploying_policies", node.own.skip_redeploying_policies.clone()),
        );
    }
    let counts = node.role == Role::Gateway || (node.role == Role::AllInOne && several);
    if !counts {
        return;
    }
    if node.role == Role::Gateway {
        let decisions: Vec<String> = throttlers.iter().map(|other| other.url("tcp", broker)).collect();
        if broker == BROKER_TLS {
            let factory = Table::about("over TLS: apim.broker_tls")
                .set("topic_connection_factory", factory_over_tls(&decisions));
            root.put("apim.throttling.jms", factory);
        }
        root.put(
            "apim.throttling",
            Table::about("decisions come from every traffic manager directly")
                .set("throttle_decision_endpoints", decisions),
        );
    }
    counted(context, &throttlers, root);
}

/// The traffic managers that count requests: one group for each, or one group of all.
fn counted(context: &RenderContext<'_>, throttlers: &[&Node], root: &mut Table) {
    const GROUP: &str = "apim.throttling.url_group";
    let kind = context.node.settings.messaging.throttling.group_type().filter(|_| throttlers.len() > 1);
    if let Some(kind) = kind {
        let urls =
            |scheme: &str, base| throttlers.iter().map(|other| other.url(scheme, base)).collect::<Vec<_>>();
        root.push(
            GROUP,
            Table::about(
                "from the inventory: apim.throttling.distribution; every request is counted at one traffic manager",
            )
            .set("type", kind)
            .set("traffic_manager_urls", urls("tcp", RECEIVER))
            .set("traffic_manager_auth_urls", urls("ssl", RECEIVER_AUTH)),
        );
        return;
    }
    for other in throttlers {
        root.push(
            GROUP,
            Table::about(format!("{}: every request is counted at each traffic manager", other.words()))
                .set("traffic_manager_urls", vec![other.url("tcp", RECEIVER)])
                .set("traffic_manager_auth_urls", vec![other.url("ssl", RECEIVER_AUTH)]),
        );
    }
}

/// Returns the full URL of the brokers, since the list alone does not support options
/// (wso2/docs-apim, "enabling TLS for Traffic Manager JMS communications").
fn factory_over_tls(brokers: &[String]) -> String {
    let options = OVER_TLS.replace("&amp;", "%26");
    let list: Vec<String> = brokers.iter().map(|broker| format!("{broker}?ssl='{options}'")).collect();
    format!(
        "amqp://$ref{{super_admin.username}}:$ref{{super_admin.password}}@clientid/carbon?brokerlist='{}'",
        list.join(";")
    )
}
