//! The context in which a module is converted.

use crate::template::Scope;

/// The context of a module.
pub(in crate::playbook) struct Site<'a> {
    pub(in crate::playbook) title: &'a str,
    pub(in crate::playbook) scope: &'a Scope,
    pub(in crate::playbook) changes: Option<bool>,
    pub(in crate::playbook) run_as: Option<&'a str>,
}
