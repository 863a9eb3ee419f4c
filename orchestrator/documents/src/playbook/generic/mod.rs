//! The supported modules of Ansible: same names, options and behaviour. Unsupported options are
//! errors.
//!
//! A module is one function and one line: a submodule converts its rendered options to operations,
//! and a row of the table in `name` lists its names, its options and that function. Only a module
//! that supports `become_user` or `changed_when` is named elsewhere as well (`GenericName::runs_as`
//! and `task`).

mod accounts;
mod asserts;
mod commands;
mod fetch;
mod files;
mod lines;
mod lower;
mod name;
mod options;
mod services;
mod site;
mod waits;

pub(super) use lower::lower;
pub use name::GenericName;
pub(super) use site::Site;
