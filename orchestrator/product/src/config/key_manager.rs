//! `[apim.key_manager]`: the key managers.

use super::context::RenderContext;
use super::tree::Table;
use crate::role::Role;

pub(super) fn section(context: &RenderContext<'_>, root: &mut Table) {
    let (cluster, node) = (context.cluster, context.node);
    let has_own = cluster.of(Role::KeyManager).next().is_some();
    // Without key managers the control plane acts as one, which is its own default.
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
