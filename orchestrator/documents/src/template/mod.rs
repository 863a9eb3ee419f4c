//! Templates: strict and lazy, over inventory variables only, with Ansible's common filters.
//!
//! `scope` contains the variables and renders values. `view` exposes values to the engine
//! (minijinja) and detects the use of secrets: a value that is derived from a secret is a secret.
//! `named` detects secrets by variable name. `engine` configures the engine, `filters` adds
//! Ansible's filters.

mod engine;
mod filters;
mod named;
mod python;
mod scope;
mod view;

pub use scope::{Magic, Rendered, Scope};

#[cfg(test)]
mod tests;
