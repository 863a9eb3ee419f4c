//! Connections to hosts: over SSH (the only module that uses russh), or as a child process on this
//! machine.
//!
//! ```text
//! destination (inventory + ssh configuration) -> dial or jump -> client (handshake, host_key verified) -> authenticate
//!     -> launch (script, opening; uploads a missing agent) -> carry -> session::Link
//! ```

pub mod agent_binary;
mod agent_keys;
mod attempt;
mod authenticate;
mod carry;
mod client;
mod config;
mod connect;
mod connection;
mod connector;
mod destination;
mod dial;
mod error;
mod host_key;
mod keyring;
mod known_hosts;
mod launch;
mod learn;
mod local;
mod opening;
mod script;
mod stream;
mod tunnel;
mod wire;

#[cfg(test)]
mod tests;

pub use agent_binary::{AgentBinaries, AgentBinary, locate};
pub use connect::{Settings, SshConnect};
pub use connector::Connector;
pub use destination::Surroundings;
pub use error::{ExitCause, LaunchError, SettingError, SshError, SudoError, TunnelError, UnreachableError};
pub use host_key::{KeyFault, UnknownKey};
pub use keyring::{AskOnTerminal, AskPassphrase, NeverAsk};
pub use learn::learn_host_keys;
pub use local::LocalConnect;
pub use script::Unfit;
pub use wire::WireCounter;
