//! Playbooks: Ansible's shape, strictly read, bound to hosts when the plan is made.
//!
//! `load` finds files and built-in playbooks, `file` and `task` read them, `generic` lowers Ansible's modules to operations,
//! `expand` makes batches of hosts, `bind` decides for one host what a task means. What a host answers takes no part in any of it.

pub mod bind;
mod builtin;
mod expand;
mod file;
pub mod generic;
mod keywords;
mod load;
mod model;
pub mod tags;
mod task;

pub use bind::{Bound, BoundTask, bind};
pub use builtin::{BUILT_IN, built_in};
pub use expand::expand;
pub use load::{load, parse};
pub use model::{Batch, GenericTask, Module, Play, Playbook, Strategy, Task};

#[cfg(test)]
mod tests;
