//! The order in which a playbook handles roles, compared with the orders of the product.

use apim_product::{ApimTask, Role, StartOrder};

use super::model::{Module, Playbook};

/// The order of roles that a built-in playbook must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleOrder {
    /// Roles in this order.
    Start(StartOrder),
    /// Roles in the reverse order, consumers before producers.
    Stop(StartOrder),
}

impl RoleOrder {
    /// Returns the roles in this order.
    #[must_use]
    pub fn roles(self) -> Vec<Role> {
        match self {
            Self::Start(order) => order.roles().to_vec(),
            Self::Stop(order) => order.roles().into_iter().rev().collect(),
        }
    }
}

/// A playbook handles roles in another order than it must.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{playbook}` handles roles in the order {}, expected {}", words(.found), words(.expected))]
pub struct OrderError {
    /// The playbook.
    pub playbook: String,
    /// The order of the playbook.
    pub found: Vec<Role>,
    /// The order of the product.
    pub expected: Vec<Role>,
}

fn words(roles: &[Role]) -> String {
    roles.iter().map(|role| role.words()).collect::<Vec<_>>().join(", ")
}

/// Returns the roles in the order in which `playbook` starts, stops, restarts or rolls them back.
#[must_use]
pub fn role_order(playbook: &Playbook) -> Vec<Role> {
    let mut roles: Vec<Role> = Vec::new();
    for task in playbook.plays.iter().flat_map(|play| &play.tasks) {
        let Module::Apim(ApimTask::Service(_, Some(role)) | ApimTask::Rollback(Some(role))) = &task.module
        else {
            continue;
        };
        if !roles.contains(role) {
            roles.push(*role);
        }
    }
    roles
}

/// Checks that `playbook` handles roles in this order.
///
/// # Errors
/// When it does not.
pub(super) fn check(playbook: &Playbook, order: RoleOrder) -> Result<(), OrderError> {
    let (found, expected) = (role_order(playbook), order.roles());
    if found == expected {
        return Ok(());
    }
    Err(OrderError { playbook: playbook.name.clone(), found, expected })
}
