//! The typed `apim` settings of one host, read from its inventory variables. `cluster` checks them
//! across hosts.
//!
//! `read` has the readers of values that all files share. Each other file reads one section, and
//! `model` composes them.

mod account;
mod admin;
pub mod databases;
pub mod endpoint;
pub mod environments;
pub mod features;
pub mod hardening;
mod health;
pub mod hooks;
mod hosts_file;
pub mod keystores;
pub mod load_balancer;
pub mod messaging;
mod model;
pub mod node;
pub mod preflight;
mod raw;
mod read;
pub mod secrets;
pub mod source;

pub use admin::Admin;
pub use health::Health;
pub use hosts_file::HostsFile;
pub use model::Settings;
pub use read::Spanned;
pub(crate) use read::one_of;
