//! `apim_database` and `apim_database_login`: the server answers, databases and schemas are there, and everybody can log in.

use std::sync::Arc;

use apim_protocol::operation::Operation;
use apim_protocol::operation::wait::{Condition, Wait};

use super::Draft;
use crate::apim::artifact::ArtifactName;
use crate::apim::cluster::Cluster;
use crate::apim::hosts_file;
use crate::apim::role::Role;
use crate::apim::settings::databases::{Database, Databases};
use crate::apim::topology::Node;
use crate::apim::work::{DatabaseWish, DatabaseWork, Login, Schema, Schemas, Server, Work};

/// Whether the database server answers, asked on the host itself: a server that only we can reach is of no use to it. On one host
/// of the cluster also: databases, users and schemas, where they are to be made.
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
    let title = format!("database server {} answers", databases.host);
    let mut drafts = vec![Draft::new(title, Operation::Wait(Box::new(wait)))];
    let leads = leader(cluster).filter(|node| node.host == host);
    drafts.extend(leads.and_then(|node| schemas(cluster, node, databases)));
    drafts
}

/// Whether the users of the host's nodes can log in, tried from that host.
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
    let wish = DatabaseWish::Logins { logins, made_before: databases.create.is_some() };
    let work = DatabaseWork { server: server(cluster, databases), wish };
    vec![Draft::new(format!("log in to {names} on {}", databases.host), Work::Database(Arc::new(work)))]
}

/// Returns the node on whose host databases are made: one for the cluster, that holds all scripts and reaches both databases.
fn leader(cluster: &Cluster) -> Option<&Node> {
    let first = |role| cluster.of(role).next();
    first(Role::ControlPlane).or_else(|| first(Role::AllInOne)).or_else(|| first(Role::KeyManager))
}

/// Gateways and traffic managers take APIs and policies from the control plane, so they log in to the shared database only.
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
    let wish = DatabaseWish::Schemas(Schemas {
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
    let work = DatabaseWork { server: server(cluster, databases), wish };
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
