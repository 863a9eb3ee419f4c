//! All product knowledge; pure: no I/O, no async, no clock.
//!
//! `settings` reads one host's `apim` variable, `cluster` builds the nodes of all hosts and
//! validates them, `config` renders `deployment.toml`, and `steps` translates tasks into
//! operations.

pub mod artifact;
pub mod audit;
pub mod availability;
pub(crate) mod catalogue;
pub mod causes;
pub mod cluster;
pub mod config;
pub mod files;
pub mod graph;
pub mod hardening;
pub mod health;
pub mod home;
pub mod hook;
pub mod host_name;
pub mod hosts_file;
pub mod inventory_template;
pub mod jdk;
pub mod keystore;
pub mod load_balancer;
pub mod logs;
pub mod pki;
mod placed_file;
pub mod port;
pub mod preflight;
pub mod release;
pub mod role;
pub mod sealing;
pub mod settings;
pub mod step_options;
pub mod steps;
pub mod task;
pub mod testing;
pub mod topology;
pub mod unit;
pub mod work;
pub mod yaml;

pub use artifact::{Artifact, ArtifactName};
pub use cluster::{Cluster, FileError, FileReader, Host, HostInput};
pub use files::{PlacedFile, files};
pub use role::{Role, StartOrder};
pub use step_options::StepOptions;
pub use steps::Draft;
pub use task::{ApimTask, Gate, ServiceState};
pub use topology::{Node, NodeName};
