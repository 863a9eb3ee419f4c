//! Databases, spoken to with their own protocols through the connection to a host: logins are tried, databases made, schemas loaded.
//!
//! ```text
//! errand    what a plan's step asks for: logins, schemas
//! session   one user's session, of either kind: mysql (forward: a loopback port that leads into the tunnel), postgres; tls, scram
//! judge     what is to be done with a database, given what was found in it (pure; outline: tables and columns)
//! script    the distribution's scripts out of the verified zip, cut into statements (split)
//! upgrade   how the scripts of two distributions differ
//! by_hand   what an administrator runs where we may not
//! ```
//!
//! No password leaves this process but inside the protocols; nothing is run in a shell.

pub mod by_hand;
mod errand;
mod error;
mod forward;
mod judge;
mod mysql;
mod outline;
mod postgres;
mod scram;
mod script;
mod server;
mod session;
mod split;
mod tls;
mod upgrade;

pub use errand::Databases;
pub use upgrade::{SchemaChange, schema_changes};

/// Hears how far a load is: what, done, total.
type Progress<'a> = dyn Fn(&str, u64, u64) + Send + Sync + 'a;

/// What a server's lists of sessions call us.
const fn who() -> &'static str {
    "apim-deploy"
}
