//! Database tasks over the databases' own protocols, tunnelled through the connection to a host:
//! test logins, create databases, load schemas.
//!
//! ```text
//! task      steps of a plan: logins, schemas (schema_task: one database; schema_state: what it contains)
//! session   one user's session: mysql (forward: a loopback port to the tunnel), postgres; tls, scram
//! verdict   pending work for a database (pure; outline: tables and columns)
//! script    the distribution's scripts from the verified zip, split into statements (split)
//! upgrade   differences between the scripts of two distributions
//! by_hand   statements for an administrator
//! ```
//!
//! Passwords leave this process only inside the database protocols; no shell is used.

pub mod by_hand;
mod error;
mod forward;
mod mysql;
mod outline;
mod postgres;
mod schema_state;
mod schema_task;
mod scram;
mod script;
mod server;
mod session;
mod split;
mod task;
mod tls;
mod upgrade;
mod verdict;

pub use task::Databases;
pub use upgrade::{SchemaChange, schema_changes};
