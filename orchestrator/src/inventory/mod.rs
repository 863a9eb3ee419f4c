//! The inventory: hosts, groups, variables; an Ansible inventory with typed settings inside.

pub mod host;
