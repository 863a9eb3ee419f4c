//! Templates: strict and lazy, over inventory variables only, with Ansible's common filters.
//!
//! `scope` contains the variables, `renderer` renders values with them. `view` exposes values to the engine
//! (minijinja) and detects the use of secrets: a value that is derived from a secret is a secret.
//! `observed` records that use, and the names that are missing, for `error`.
//! `named` detects secrets by variable name. `engine` configures the engine, `filters` adds
//! Ansible's filters.

mod engine;
mod error;
mod filters;
mod named;
mod observed;
mod python;
mod renderer;
mod scope;
mod view;

pub use scope::{Magic, Rendered, Scope};

#[cfg(test)]
mod tests;
