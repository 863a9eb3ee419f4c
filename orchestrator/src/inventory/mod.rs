//! The inventory: hosts, groups, variables; an Ansible inventory with typed settings inside.
//!
//! `load` reads files in the shape of Ansible's YAML inventories (`file`, `range`, `extra`), `variables` finds what applies to a
//! host in Ansible's order, `connection` and `arguments` type how it is reached, `pattern` picks hosts, `show` prints as
//! `ansible-inventory` does.

mod arguments;
mod connection;
mod draft;
mod extra;
mod file;
pub mod host;
mod load;
mod model;
pub mod pattern;
mod range;
pub mod show;
mod sources;
mod spelling;
mod variables;

pub use extra::parse_extra;
pub use load::{Options, ROLE_GROUPS, load};
pub use model::{Group, Host, Inventory};
pub use variables::merge;

#[cfg(test)]
mod tests;
