//! Ansible inventories: hosts, groups, variables, with typed settings for API Manager.
//!
//! `load` reads Ansible's YAML inventories (`file`, `range`, `extra`). `variables` merges the
//! variables of a host in Ansible's order. `connection` and `arguments` parse connection settings.
//! `pattern` selects hosts. `show` prints like `ansible-inventory`.

mod arguments;
mod connection;
mod draft;
mod extra;
mod file;
mod load;
mod model;
pub mod pattern;
mod range;
pub mod show;
mod sources;
mod spelling;
mod variables;

pub use extra::parse_extra;
pub use load::{Options, load};
pub use model::{Group, Host, Inventory};
pub use variables::merge;

#[cfg(test)]
mod tests;
