//! The files that people write, read and typed: inventories, playbooks, templates, vaults. No network, no process.

pub mod inventory;
pub mod playbook;
pub mod template;
pub mod vault;
