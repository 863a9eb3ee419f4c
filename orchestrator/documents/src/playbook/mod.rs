//! Playbooks: a strict subset of Ansible's format, bound to hosts when the plan is built.
//!
//! `load` is the entry. `files` finds files and built-in playbooks, `file` and `task` read plays and
//! tasks, with `keyword_reader`. `generic` converts Ansible's modules to operations. `expand` splits
//! hosts into batches. `bind` evaluates a task for one host. `order` checks the order of roles in
//! built-in playbooks. Nothing here depends on results of hosts.

pub mod bind;
mod builtin;
mod expand;
mod file;
mod files;
pub mod generic;
mod keyword_reader;
mod keywords;
mod load;
mod model;
mod order;
mod paths;
pub mod tags;
mod task;

pub use bind::{Bound, BoundTask, bind};
pub use builtin::{BUILT_IN, BuiltIn, built_in};
pub use expand::expand;
pub use load::{load, load_built_in, parse};
pub use model::{Batch, GenericTask, Module, Play, Playbook, Strategy, Task};
pub use order::{OrderError, RoleOrder, role_order};

#[cfg(test)]
mod tests;
