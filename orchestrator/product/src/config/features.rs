//! Sections of `settings::features`: CORS, analytics, backend JWT, mail, storage of tokens.

use super::context::RenderContext;
use super::databases::in_xml;
use super::tree::{Table, Value};
use crate::release::Series;
use crate::role::Role;
use crate::topology::Node;

/// The shipped rules of control planes and gateways (wso2/product-apim, deployment.toml),
/// overridden by the inventory.
pub(super) fn cors(node: &Node) -> Table {
    let cors = &node.settings.features.cors;
    let is_set = *cors != crate::settings::features::Cors::default();
    let listed = |own: &Option<Vec<String>>, shipped: &[&str]| -> Vec<String> {
        own.clone().unwrap_or_else(|| shipped.iter().map(|text| (*text).to_owned()).collect())
    };
    let origins = match &cors.allow_origins {
        Some(origins) if origins.len() != 1 => Value::from(origins.clone()),
        Some(origins) => Value::from(origins.concat()),
        None => Value::from("*"),
    };
    const METHODS: [&str; 6] = ["GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"];
    const HEADERS: [&str; 6] = [
        "authorization",
        "Access-Control-Allow-Origin",
        "Content-Type",
        "SOAPAction",
        "apikey",
        "Internal-Key",
    ];
    Table::about(if is_set { "from the inventory: apim.cors; the rest as shipped" } else { "as shipped" })
        .set_some("enable", cors.enabled)
        .set("allow_origins", origins)
        .set("allow_methods", listed(&cors.allow_methods, &METHODS))
        .set("allow_headers", listed(&cors.allow_headers, &HEADERS))
        .set_some("expose_headers", cors.expose_headers.clone())
        .set("allow_credentials", cors.allow_credentials.unwrap_or(false))
}

/// Analytics of a gateway; disabled by default.
pub(super) fn analytics(node: &Node) -> Table {
    let settings = &node.settings.features.analytics;
    let series = node.version.series();
    let about = if settings.enabled { "from the inventory: apim.analytics" } else { "as shipped: off" };
    let mut table = Table::about(about).set("enable", settings.enabled);
    let endpoint = settings.config_endpoint.as_deref();
    match series {
        Series::V4_5 => {
            let shipped = Some("https://localhost:8080/auth/v1").filter(|_| node.role == Role::Gateway);
            table = table
                .set_some("config_endpoint", endpoint.or(shipped))
                .set_some("type", settings.kind.as_ref());
            table = match &settings.auth_token {
                Some(token) => table.set("auth_token", &in_xml(token)),
                None => table.set("auth_token", ""),
            };
        }
        Series::V4_6 | Series::V4_7 => {
            table = table
                .set("type", settings.kind.as_deref().unwrap_or("moesif"))
                .set_some("config_endpoint", endpoint)
                .set_some("auth_token", settings.auth_token.as_ref().map(in_xml).as_ref());
        }
    }
    if !settings.properties.is_empty() {
        let set = |table: Table, (key, value): &(String, _)| table.set(key, &in_xml(value));
        table.put("properties", settings.properties.iter().fold(Table::default(), set));
    }
    table
}

/// The JWT that gateways send to backends.
pub(super) fn of_gateway(context: &RenderContext<'_>, root: &mut Table) {
    let jwt = &context.node.settings.features.backend_jwt;
    if !jwt.enabled {
        return;
    }
    root.put(
        "apim.jwt",
        Table::about("from the inventory: apim.backend_jwt; identifies the caller to backends")
            .set("enable", true)
            .set_some("header", jwt.header.as_ref())
            .set_some("encoding", jwt.encoding)
            .set_some("claim_dialect", jwt.claim_dialect.as_ref())
            .set_some("signing_algorithm", jwt.signing_algorithm)
            .set_some("enable_user_claims", jwt.user_claims),
    );
}

/// Storage of tokens, and mail, on control planes and key managers.
pub(super) fn section(context: &RenderContext<'_>, root: &mut Table) {
    if !matches!(context.node.role, Role::ControlPlane | Role::KeyManager | Role::AllInOne) {
        return;
    }
    let features = &context.node.settings.features;
    if features.oauth.encrypt_tokens || features.oauth.hash_tokens {
        root.put(
            "apim.oauth_config",
            Table::about(
                "from the inventory: apim.oauth; how access tokens, client secrets and codes are stored",
            )
            .set_some("enable_token_encryption", features.oauth.encrypt_tokens.then_some(true))
            .set_some("enable_token_hashing", features.oauth.hash_tokens.then_some(true)),
        );
    }
    let Some(mail) = &features.mail else { return };
    let mut table = Table::about("from the inventory: apim.mail")
        .set("hostname", &mail.host)
        .set_some("port", mail.port)
        .set("from_address", &mail.from)
        .set_some("reply_to", mail.reply_to.as_ref())
        .set("enable_start_tls", mail.start_tls)
        .set("enable_authentication", mail.account.is_some());
    if let Some((user, password)) = &mail.account {
        table = table.set("username", user).set("password", &in_xml(password));
    }
    root.put("output_adapter.email", table);
}
