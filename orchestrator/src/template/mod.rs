//! Templates: strict, rendered from the inventory alone, lazily, with Ansible's meaning of the common filters.
//!
//! `scope` holds variables and renders values; `view` shows values with places to the engine (minijinja) and notices when a
//! secret was touched: what is made from a secret is a secret. `named` knows secrets by their names. `engine` sets the engine up; `filters` are Ansible's.

mod engine;
mod filters;
mod named;
mod python;
mod scope;
mod view;

pub use scope::{Magic, Rendered, Scope};

#[cfg(test)]
mod tests;
