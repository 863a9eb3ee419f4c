//! `[user_store]`, `[super_admin]`.

use super::context::RenderContext;
use super::databases::in_xml;
use super::tree::Table;

pub(super) fn section(context: &RenderContext<'_>, root: &mut Table) {
    // The default type enables none of the features that a user store needs (carbon-kernel,
    // infer.json).
    let store = &context.node.settings.features.user_store;
    let mut table = Table::default().set("type", store.kind).set_some("connection_url", store.url.as_ref());
    if let Some((user, password)) = &store.account {
        table = table.set("connection_name", user).set("connection_password", &in_xml(password));
    }
    root.put("user_store", table);
    if let Some(admin) = &context.node.settings.admin {
        root.put(
            "super_admin",
            Table::about(
                "from the inventory: apim.admin; created at the first start, later changed in the user store",
            )
            .set("username", &admin.username)
            .set("password", &admin.password)
            .set("create_admin_account", true),
        );
    }
}
