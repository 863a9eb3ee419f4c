//! `[apim.throttling]`: who counts, who decides, who is told.

use super::Scene;
use super::tree::Table;
use crate::apim::port::{BROKER, RECEIVER, RECEIVER_AUTH};
use crate::apim::role::Role;

pub(super) fn section(scene: &Scene<'_>, root: &mut Table) {
    let (cluster, node) = (scene.cluster, scene.node);
    let throttlers = cluster.throttlers();
    let decides = throttlers.iter().any(|other| other.name == node.name);
    let several = throttlers.len() > 1;
    if decides && several {
        let others: Vec<String> = throttlers
            .iter()
            .filter(|other| other.name != node.name)
            .map(|other| other.url("tcp", BROKER))
            .collect();
        root.put(
            "apim.throttling",
            Table::about("decisions are made here, and told to every other traffic manager")
                .set("event_duplicate_url", others)
                .set("throttle_decision_endpoints", vec![format!("tcp://localhost:{}", node.port(BROKER))]),
        );
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
        let decisions: Vec<String> = throttlers.iter().map(|other| other.url("tcp", BROKER)).collect();
        root.put(
            "apim.throttling",
            Table::about("decisions are heard from every traffic manager, directly")
                .set("throttle_decision_endpoints", decisions),
        );
    }
    for other in throttlers {
        root.push(
            "apim.throttling.url_group",
            Table::about(format!("{}: every request is counted at every one", other.words()))
                .set("traffic_manager_urls", vec![other.url("tcp", RECEIVER)])
                .set("traffic_manager_auth_urls", vec![other.url("ssl", RECEIVER_AUTH)]),
        );
    }
}
