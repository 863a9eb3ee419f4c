//! `[database.*]`.

use apim_protocol::value::Secret;

use super::context::RenderContext;
use super::tree::{Table, Value};
use crate::release::Series;
use crate::role::Role;
use crate::settings::databases::{Database, DatabaseType, Databases, PoolValue};

pub(super) fn section(context: &RenderContext<'_>, root: &mut Table) {
    let node = context.node;
    let Some(databases) = &node.settings.databases else {
        for (key, file) in [("apim_db", "WSO2AM_DB"), ("shared_db", "WSO2SHARED_DB")] {
            root.put(&format!("database.{key}"), shipped(file));
        }
        local(context, root);
        return;
    };
    // Gateways and traffic managers get APIs and policies from the control plane, so they use the
    // shared database only.
    if matches!(node.role, Role::ControlPlane | Role::KeyManager | Role::AllInOne) {
        put(root, "database.apim_db", databases, &databases.apim_db);
    }
    put(root, "database.shared_db", databases, &databases.shared_db);
    local(context, root);
}

fn put(root: &mut Table, path: &str, databases: &Databases, database: &Database) {
    root.put(path, external(databases, database));
    if !database.pool.is_empty() {
        let pool = database.pool.iter().fold(Table::default(), |table, (key, value)| match value {
            PoolValue::Number(number) => table.set(key, Value::Int(*number)),
            PoolValue::Flag(flag) => table.set(key, *flag),
        });
        root.put(&format!("{path}.pool_options"), pool);
    }
}

fn external(databases: &Databases, database: &Database) -> Table {
    let mut table = Table::about("from the inventory: apim.databases; the same on every node")
        .set("type", databases.kind.word())
        .set("hostname", &databases.host);
    table = match databases.kind {
        // A service name is set in the URL only.
        DatabaseType::Oracle if databases.oracle_service || database.url.is_some() => table,
        DatabaseType::Oracle => table.set("sid", &database.name),
        DatabaseType::Mysql
        | DatabaseType::Mariadb
        | DatabaseType::Postgresql
        | DatabaseType::Mssql
        | DatabaseType::Db2 => table.set("name", &database.name),
    };
    table
        .set("port", databases.port.to_string())
        .set_some("url", databases.url(database))
        .set("username", &database.username)
        .set("password", &in_xml(&database.password))
        .set_some("driver", databases.driver_class())
        .set_some("validationQuery", databases.validation_query.as_deref().map(escaped))
}

fn shipped(file: &str) -> Table {
    Table::about(
        "as shipped: an H2 file of this node, for evaluation only; set apim.databases for production",
    )
    .set("type", "h2")
    .set("url", format!("jdbc:h2:./repository/database/{file};DB_CLOSE_ON_EXIT=FALSE"))
    .set("username", "wso2carbon")
    .set("password", "wso2carbon")
}

/// The node's own registry, which the control plane distributions enable by default
/// (wso2/product-apim, deployment.toml).
fn local(context: &RenderContext<'_>, root: &mut Table) {
    if !context.node.role.is_hub() {
        return;
    }
    let end = if context.node.version.series() >= Series::V4_7 { ";DB_CLOSE_DELAY=-1" } else { "" };
    let url = format!("jdbc:h2:./repository/database/WSO2CARBON_DB;DB_CLOSE_ON_EXIT=FALSE{end}");
    root.put("database.local", Table::about("as shipped: this node's own registry").set("url", url));
}

/// Wraps a password so that the product can write it unescaped into an XML element.
pub(super) fn in_xml(password: &Secret) -> Secret {
    if password.expose().contains(['&', '<', '>']) {
        Secret::new(format!("<![CDATA[{}]]>", password.expose()))
    } else {
        password.clone()
    }
}

/// Escapes a statement, which the product writes unescaped into an XML element.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
