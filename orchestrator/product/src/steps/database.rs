//! `apim_database` and `apim_database_login`: check the server, create databases and schemas, test
//! logins.

use std::sync::Arc;

use apim_protocol::operation::Operation;
use apim_protocol::operation::wait::{Condition, Wait};

use super::Draft;
use crate::artifact::ArtifactName;
use crate::cluster::Cluster;
use crate::hosts_file;
use crate::role::Role;
use crate::settings::databases::{Database, Databases};
use crate::topology::Node;
use crate::work::{DatabaseSpec, DatabaseWork, Login, Schema, Schemas, Server, Work};

/// Checks from the host itself that the database server is reachable. On one host of the cluster it
/// also creates databases, users and schemas, if configured.
pub(super) fn lower(cluster: &Cluster, host: &str) -> Vec<Draft> {
    let settings = cluster.hosts().iter().find(|known| known.name == host).map(|known| &known.settings);
    let Some((settings, databases)) = settings.and_then(|all| Some((all, all.databases.as_ref()?))) else {
        return Vec::new();
    };
    let wait = Wait {
        awaited: format!("database server {} on port {}", databases.host, databases.port),
        conditions: vec![Condition::Tcp { host: reach(cluster, databases), port: databases.port }],
        deadline_secs: settings.health.started_secs.min(60),
        service: None,
        settle_secs: 0,
        remedy: None,
    };
    let title = format!("database server {} reachable", databases.host);
    let mut drafts = vec![Draft::new(title, Operation::Wait(Box::new(wait)))];
    let leads = leader(cluster).filter(|node| node.host == host);
    drafts.extend(leads.and_then(|node| schemas(cluster, node, databases)));
    drafts
}

/// Tests the logins of the host's nodes from that host.
pub(super) fn lower_login(cluster: &Cluster, host: &str) -> Vec<Draft> {
    let mut nodes = cluster.nodes_on(host).peekable();
    let databases = nodes.peek().and_then(|node| node.settings.databases.as_ref());
    let Some(databases) = databases.filter(|all| all.login_check && all.kind.is_spoken()) else {
        return Vec::new();
    };
    let mut logins = Vec::new();
    if nodes.any(|node| uses_apim_db(node.role)) {
        logins.push(login(&databases.apim_db));
    }
    logins.push(login(&databases.shared_db));
    let names = logins.iter().map(|login| login.database.as_str()).collect::<Vec<_>>().join(" and ");
    let spec = DatabaseSpec::Logins { logins, created_before: databases.create.is_some() };
    let work = DatabaseWork { server: server(cluster, databases), spec };
    vec![Draft::new(format!("log in to {names} on {}", databases.host), Work::Database(Arc::new(work)))]
}

/// Returns the node on whose host databases are created: its zip contains all scripts, and it uses
/// both databases.
fn leader(cluster: &Cluster) -> Option<&Node> {
    let first = |role| cluster.of(role).next();
    first(Role::ControlPlane).or_else(|| first(Role::AllInOne)).or_else(|| first(Role::KeyManager))
}

/// Gateways and traffic managers get APIs and policies from the control plane, so they use the
/// shared database only.
const fn uses_apim_db(role: Role) -> bool {
    matches!(role, Role::ControlPlane | Role::KeyManager | Role::AllInOne)
}

fn schemas(cluster: &Cluster, node: &Node, databases: &Databases) -> Option<Draft> {
    let creation = databases.create.clone().filter(|_| databases.kind.is_spoken())?;
    let script = databases.kind.script();
    let schema = |key, folder, database: &Database| Schema {
        key,
        script: format!("dbscripts/{folder}{script}.sql"),
        login: login(database),
    };
    let schemas =
        vec![schema("shared_db", "", &databases.shared_db), schema("apim_db", "apimgt/", &databases.apim_db)];
    let zip_name = node.version.zip(node.role);
    let spec = DatabaseSpec::Schemas(Schemas {
        creation,
        version: node.version.to_string(),
        zip: node.zip,
        zip_name: zip_name.clone(),
        schemas,
    });
    let title = format!(
        "databases {} and {} on {}, with the schema of {}",
        databases.shared_db.name, databases.apim_db.name, databases.host, node.version
    );
    let work = DatabaseWork { server: server(cluster, databases), spec };
    let mut draft = Draft::new(title, Work::Database(Arc::new(work)));
    draft.files.push((node.zip, ArtifactName(zip_name)));
    Some(draft)
}

fn server(cluster: &Cluster, databases: &Databases) -> Server {
    let ca = databases.tls_ca.as_ref();
    Server {
        kind: databases.kind,
        name: databases.host.clone(),
        reach: reach(cluster, databases),
        port: databases.port,
        tls: databases.tls,
        ca: ca.map(|file| (file.value.clone(), file.span.file_name().map(str::to_owned))),
    }
}

fn reach(cluster: &Cluster, databases: &Databases) -> String {
    let address = hosts_file::database_address(cluster, &databases.host);
    address.map_or_else(|| databases.host.clone(), |address| address.to_string())
}

fn login(database: &Database) -> Login {
    Login {
        database: database.name.clone(),
        username: database.username.clone(),
        password: database.password.clone(),
    }
}
