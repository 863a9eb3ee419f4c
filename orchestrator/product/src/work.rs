//! The work of a step: an agent operation on the host, or a local task of the orchestrator for the
//! host. Plain data; secrets are never shown.

use std::sync::Arc;

use apim_protocol::message::Job;
use apim_protocol::operation::Operation;
use apim_protocol::query::Query;
use apim_protocol::value::{Secret, Sha256};

use super::hook::{Shift, ShiftSpec};
use super::settings::databases::{Creation, DatabaseType, Tls};

/// The work of a step.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "almost all work is an agent operation")]
pub enum Work {
    /// An agent operation.
    Host(Operation),
    /// A query that the host's agent answers.
    Query(Query),
    /// A local task on the host's databases, connected through that host.
    Database(Arc<DatabaseWork>),
    /// A local task that calls load balancer hooks for a node.
    Shift(Shift),
}

impl Work {
    /// Returns the agent operation, if it is one.
    #[must_use]
    pub const fn operation(&self) -> Option<&Operation> {
        match self {
            Self::Host(operation) => Some(operation),
            Self::Query(_) | Self::Database(_) | Self::Shift(_) => None,
        }
    }

    /// Returns the query that the agent answers, if it is one.
    #[must_use]
    pub const fn query(&self) -> Option<&Query> {
        match self {
            Self::Query(query) => Some(query),
            Self::Host(_) | Self::Database(_) | Self::Shift(_) => None,
        }
    }

    /// Returns the agent operation that checks for pending changes, if the agent can check that.
    #[must_use]
    pub fn look(&self) -> Option<Job> {
        match self {
            Self::Host(operation) => Some(Job::check(operation.clone())),
            Self::Query(query) => Some(Job::Query(query.clone())),
            Self::Shift(Shift { hooks, spec: ShiftSpec::UndrainIfDrained }) => {
                Some(Job::check(hooks.unmarked()))
            }
            Self::Database(_) | Self::Shift(_) => None,
        }
    }
}

impl From<Operation> for Work {
    fn from(operation: Operation) -> Self {
        Self::Host(operation)
    }
}

impl From<Query> for Work {
    fn from(query: Query) -> Self {
        Self::Query(query)
    }
}

/// Work on a database server.
#[derive(Debug, Clone)]
pub struct DatabaseWork {
    /// The server.
    pub server: Server,
    /// The desired state.
    pub spec: DatabaseSpec,
}

/// A database server, as seen from a host.
#[derive(Debug, Clone)]
pub struct Server {
    /// The type.
    pub kind: DatabaseType,
    /// Its name for display and certificate verification.
    pub name: String,
    /// The name or address that the host connects to.
    pub reach: String,
    /// Its port.
    pub port: u16,
    /// How connections are encrypted.
    pub tls: Tls,
    /// A PEM file on this machine with trusted certificates. A relative path starts at the folder
    /// of the second element.
    pub ca: Option<(String, Option<String>)>,
}

/// The desired state.
#[derive(Debug, Clone)]
pub enum DatabaseSpec {
    /// The databases exist, with their users and the distribution's schema.
    Schemas(Schemas),
    /// These users can log in.
    Logins {
        /// Users with their databases.
        logins: Vec<Login>,
        /// Whether this run creates missing databases and users before this check.
        created_before: bool,
    },
}

/// Databases with the distribution's schema.
#[derive(Debug, Clone)]
pub struct Schemas {
    /// How databases are created.
    pub creation: Creation,
    /// The product version of the schema.
    pub version: String,
    /// The digest of the zip that contains the scripts.
    pub zip: Sha256,
    /// Its file name.
    pub zip_name: String,
    /// The databases with their scripts.
    pub schemas: Vec<Schema>,
}

/// A database and the script that creates its schema.
#[derive(Debug, Clone)]
pub struct Schema {
    /// Which of the product's databases it is: `apim_db` or `shared_db`.
    pub key: &'static str,
    /// The script, below the zip's top folder.
    pub script: String,
    /// The user of the database.
    pub login: Login,
}

/// A user of a database.
#[derive(Debug, Clone)]
pub struct Login {
    /// The database.
    pub database: String,
    /// The user.
    pub username: String,
    /// The password.
    pub password: Secret,
}
