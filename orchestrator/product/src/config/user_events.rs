//! `[[event_handler]]`, `[[event_listener]]`: handlers for user registration and token revocation.

use super::context::RenderContext;
use super::tree::Table;
use crate::role::Role;

pub(super) fn section(context: &RenderContext<'_>, root: &mut Table) {
    let node = context.node;
    let notified = match node.role {
        Role::Gateway | Role::TrafficManager => return,
        // The node's own port, so the placeholder is correct here.
        Role::ControlPlane | Role::AllInOne => {
            "https://localhost:${mgt.transport.https.port}/internal/data/v1/notify".to_owned()
        }
        Role::KeyManager => match context.cluster.endpoint(Role::ControlPlane) {
            Some(endpoint) => endpoint.https("/internal/data/v1/notify"),
            None => return,
        },
    };
    root.push(
        "event_handler",
        Table::default().set("name", "userPostSelfRegistration").set("subscriptions", ["POST_ADD_USER"]),
    );
    let about = if node.role == Role::KeyManager {
        "revoked tokens are sent to the control plane"
    } else {
        "revoked tokens are sent to this node's event hub"
    };
    let mut listener = Table::about(about)
        .set("id", "token_revocation")
        .set("type", "org.wso2.carbon.identity.core.handler.AbstractIdentityHandler")
        .set("name", "org.wso2.is.notification.ApimOauthEventInterceptor");
    listener = listener.set("order", 1_u16);
    // `$ref{}` is not resolved inside arrays of tables; `${admin.*}` is resolved at run time.
    listener.put(
        "properties",
        Table::default()
            .set("notification_endpoint", notified)
            .set("username", "${admin.username}")
            .set("password", "${admin.password}")
            .set("header.X-WSO2-KEY-MANAGER", "default"),
    );
    root.push("event_listener", listener);
    if node.role.is_hub() {
        root.put("service_provider", Table::about("as shipped").set("sp_name_regex", r"^[\sa-zA-Z0-9._-]*$"));
    }
}
