//! `[[apim.gateway.environment]]` on the control plane, and the labels of a gateway.

use super::context::RenderContext;
use super::features;
use super::tree::Table;
use crate::role::Role;
use crate::settings::environments::Environment;
use crate::topology::{Endpoint, url};

pub(super) fn section(context: &RenderContext<'_>, root: &mut Table) {
    let node = context.node;
    if node.role.is_hub() {
        for (at, environment) in context.cluster.environments().iter().enumerate() {
            if let Some(endpoint) = context.cluster.environment_endpoint(&environment.name.value) {
                let hosts = context.cluster.virtual_hosts(&environment.name.value);
                let websub = environment.websub.unwrap_or(node.role == Role::AllInOne);
                let mut table = block(environment, endpoint, websub, at == 0);
                for host in hosts {
                    let more = Table::about(format!("{}: additional name", environment.name.value));
                    table.push("virtual_host", addresses(more, host, websub));
                }
                root.push("apim.gateway.environment", table);
            }
        }
    }
    if !node.role.is_gateway() {
        return;
    }
    let labels = node.environments.iter().chain(node.own.labels.iter().map(|label| &label.value));
    let retrieval = node.own.retrieval;
    root.put(
        "apim.sync_runtime_artifacts.gateway",
        Table::about("environments of this gateway")
            .set("gateway_labels", labels.cloned().collect::<Vec<_>>())
            .set_some("data_retrieval_mode", retrieval.mode)
            .set_some("deployment_retry_duration", retrieval.retry_ms)
            .set_some("event_waiting_time", retrieval.event_waiting_ms)
            .set_some("enable_on_demand_loading", retrieval.on_demand),
    );
    features::of_gateway(context, root);
    if let Some(list) = &node.own.skip_list {
        let mut table =
            Table::about("from the inventory: skip_list; manually deployed artifacts that are kept");
        for (key, files) in [
            ("apis", &list.apis),
            ("endpoints", &list.endpoints),
            ("sequences", &list.sequences),
            ("local_entries", &list.local_entries),
        ] {
            if !files.is_empty() {
                table = table.set(key, files.clone());
            }
        }
        root.put("apim.sync_runtime_artifacts.gateway.skip_list", table);
    }
    shipped(context, root);
}

fn block(environment: &Environment, endpoint: &Endpoint, websub: bool, is_first: bool) -> Table {
    let mut table = Table::about(format!(
        "gateways of environment {}, with the name that clients use",
        environment.name.value
    ))
    .set("name", &environment.name.value)
    .set("type", environment.kind.word())
    .set_some("display_name", environment.display_name.as_ref())
    .set("gateway_type", "Regular")
    .set("provider", "wso2")
    .set("display_in_api_console", environment.display_in_api_console)
    .set("description", &environment.description)
    .set("show_as_token_endpoint_url", environment.show_as_token_endpoint_url.unwrap_or(is_first))
    .set("service_url", endpoint.https("/services/"))
    .set("username", "${admin.username}")
    .set("password", "${admin.password}");
    table = addresses(table, endpoint, websub);
    if !environment.visibility.is_empty() {
        table = table.set("visibility", environment.visibility.clone());
    }
    table
}

/// Adds the URLs for API calls of an endpoint.
fn addresses(table: Table, endpoint: &Endpoint, websub: bool) -> Table {
    let (name, calls) = (&endpoint.name, endpoint.calls);
    let table = table
        .set("ws_endpoint", format!("ws://{name}:{}", calls.ws))
        .set("wss_endpoint", format!("wss://{name}:{}", calls.wss))
        .set("http_endpoint", url("http", name, calls.http, ""))
        .set("https_endpoint", url("https", name, calls.https, ""));
    if !websub {
        return table;
    }
    table
        .set("websub_event_receiver_http_endpoint", format!("http://{name}:{}", calls.websub_http))
        .set("websub_event_receiver_https_endpoint", format!("https://{name}:{}", calls.websub_https))
}

/// Features that the gateway's shipped `deployment.toml` enables, so the generated one must too
/// (wso2/product-apim, tags v4.5.0 to v4.7.0), except one key that the product does not read.
fn shipped(context: &RenderContext<'_>, root: &mut Table) {
    let node = context.node;
    root.put("apim.analytics", features::analytics(node));
    if node.role == Role::Gateway {
        root.put(
            "apim.cache.gateway_token",
            Table::about("as shipped").set("enable", true).set("expiry_time", 15_u16),
        );
        root.put("apim.cache.resource", Table::default().set("enable", true));
        root.put("apim.cache.jwt_claim", Table::default().set("enable", true).set("expiry_time", 900_u16));
        root.put("apim.oauth_config", Table::about("as shipped").set("auth_header", "Authorization"));
        root.put("apim.cors", features::cors(node));
    }
}
