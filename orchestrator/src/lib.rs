//! apim-deploy deploys WSO2 API Manager clusters from an inventory.
//!
//! Modules in layers, top to bottom. A module may only use modules below it (`tests/tidy.rs` has
//! the complete table and checks it):
//!
//! ```text
//! main > cli > report > engine > plan > { inventory | playbook | artifact } > apim
//!        apim > agent(lib), keystore, yaml
//!        cli > report > probing > engine, plan, http
//!        cli > database > engine, session
//!        cli > rounds > session
//!        cli > ssh > inventory::host, session > agent(lib)
//!        engine > session
//! ```

pub mod apim;
pub mod artifact;
pub mod binding;
pub mod cli;
pub mod database;
pub mod engine;
pub mod history;
pub mod hooks;
pub mod http;
pub mod inventory;
pub mod keystore;
pub mod plan;
pub mod playbook;
pub mod probing;
pub mod report;
pub mod rounds;
pub mod session;
pub mod ssh;
pub mod state;
pub mod template;
pub mod vault;
pub mod yaml;
