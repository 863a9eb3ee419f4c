//! What a step is about: a wish about the host that its agent sees to, or work that the orchestrator does for the host by itself.
//! Plain data; secrets in it stay secret when it is shown.

use std::sync::Arc;

use apim_protocol::message::Job;
use apim_protocol::operation::Operation;
use apim_protocol::query::Query;
use apim_protocol::value::{Secret, Sha256};

use super::hook::{Shift, ShiftWish};
use super::settings::databases::{Creation, DatabaseType, Tls};

/// The work of a step.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "nearly all work is the agent's")]
pub enum Work {
    /// The agent's.
    Host(Operation),
    /// The agent's: an observation.
    Query(Query),
    /// The orchestrator's, on the databases that the host uses, as seen from that host.
    Database(Arc<DatabaseWork>),
    /// The orchestrator's, on load balancers that hooks tell about a node.
    Shift(Shift),
}

impl Work {
    /// Returns the wish that the agent sees to, if it is one.
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

    /// Returns what the agent looks at to find out whether there is anything to do, if it is the agent who can tell.
    #[must_use]
    pub fn look(&self) -> Option<Job> {
        match self {
            Self::Host(operation) => Some(Job::check(operation.clone())),
            Self::Query(query) => Some(Job::Query(query.clone())),
            Self::Shift(Shift { hooks, wish: ShiftWish::Returned }) => Some(Job::check(hooks.unmarked())),
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
    /// What is wished for.
    pub wish: DatabaseWish,
}

/// A database server, as a host reaches it.
#[derive(Debug, Clone)]
pub struct Server {
    /// What kind.
    pub kind: DatabaseType,
    /// Its name, as people and certificates know it.
    pub name: String,
    /// The name or address that the host connects to.
    pub reach: String,
    /// Its port.
    pub port: u16,
    /// Whether our connections are encrypted.
    pub tls: Tls,
    /// A PEM file of this machine with those whom we trust; from the folder of the second where it is relative.
    pub ca: Option<(String, Option<String>)>,
}

/// What is wished for.
#[derive(Debug, Clone)]
pub enum DatabaseWish {
    /// The databases are there, with their users and the distribution's schema.
    Schemas(Schemas),
    /// These users can log in.
    Logins {
        /// Who, where.
        logins: Vec<Login>,
        /// Whether this run makes what is missing, before this is done.
        made_before: bool,
    },
}

/// Databases with the distribution's schema.
#[derive(Debug, Clone)]
pub struct Schemas {
    /// How databases are made.
    pub creation: Creation,
    /// The version whose schema it is.
    pub version: String,
    /// The zip that holds the scripts.
    pub zip: Sha256,
    /// Its file name.
    pub zip_name: String,
    /// What goes where.
    pub schemas: Vec<Schema>,
}

/// One database and what is loaded into it.
#[derive(Debug, Clone)]
pub struct Schema {
    /// Which of the product's databases it is: `apim_db` or `shared_db`.
    pub key: &'static str,
    /// The script, below the zip's top folder.
    pub script: String,
    /// Who uses it.
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
