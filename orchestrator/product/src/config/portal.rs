//! Sections for portals: the developer portal's URL, cross-origin rules, and features that control
//! planes enable by default.

use super::context::RenderContext;
use super::features;
use super::tree::Table;
use crate::release::Series;
use crate::role::Role;

pub(super) fn section(context: &RenderContext<'_>, root: &mut Table) {
    let node = context.node;
    if !node.role.is_hub() {
        return;
    }
    let kinds = match node.version.series() {
        Series::V4_5 => "Regular,APK,AWS",
        Series::V4_6 => "Regular,APK,AWS,Azure,Kong,Envoy",
        Series::V4_7 => "Regular,APK,AWS,Azure,Kong,Envoy,APIPlatform",
    };
    root.put("apim", Table::about("as shipped").set("gateway_type", kinds));
    if let Some(endpoint) = context.cluster.endpoint(Role::ControlPlane) {
        let own = node.settings.features.devportal_url.clone();
        root.put(
            "apim.devportal",
            Table::about("stored in the database at the first start, as the callback URL of logins")
                .set("url", own.unwrap_or_else(|| endpoint.https("/devportal"))),
        );
    }
    root.put("apim.cors", features::cors(node));
    if node.role == Role::AllInOne {
        root.put("apim.ai", Table::about("as shipped").set("enable", true).set("key", ""));
        root.put(
            "oauth.grant_type.token_exchange",
            Table::about("as shipped")
                .set("enable", true)
                .set("allow_refresh_tokens", true)
                .set("iat_validity_period", "1h"),
        );
    }
    if node.version.series() >= Series::V4_7 {
        root.push(
            "oauth.extensions.token_types",
            Table::about("as shipped")
                .set("name", "JWT")
                .set("issuer", "org.wso2.is.key.manager.tokenpersistence.issuer.ExtendedJWTTokenIssuer"),
        );
    }
}
