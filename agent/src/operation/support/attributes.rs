//! Compares the mode and owner of an entry with the desired ones.

use apim_protocol::outcome::Failure;
use apim_protocol::value::{FileMode, Owner};

use crate::system::{Attributes, Ids, Stat, System, SystemError};

/// Returns one statement for each of mode, owner and group that differs.
///
/// An account that does not exist yet is a difference, not a failure: an earlier step may be about to make it.
pub(crate) fn differences(
    system: &System,
    found: &Stat,
    mode: Option<FileMode>,
    owner: &Owner,
) -> Result<Vec<String>, Failure> {
    let mut items = Vec::new();
    if let Some(mode) = mode.filter(|mode| *mode != found.mode) {
        items.push(format!("mode {} -> {mode}", found.mode));
    }
    let user = Owner { user: owner.user.clone(), group: None };
    let group = Owner { user: None, group: owner.group.clone() };
    if let Some(name) = &owner.user
        && known(system, &user)?.is_none_or(|ids| ids.uid.is_some_and(|uid| uid != found.uid))
    {
        items.push(format!("owner {} -> {name}", system.account_name(found.uid)));
    }
    if let Some(name) = &owner.group
        && known(system, &group)?.is_none_or(|ids| ids.gid.is_some_and(|gid| gid != found.gid))
    {
        items.push(format!("group {} -> {name}", system.group_name(found.gid)));
    }
    Ok(items)
}

/// Returns the numbers of `owner`, or `None` when there is no such account or group yet.
fn known(system: &System, owner: &Owner) -> Result<Option<Ids>, SystemError> {
    match system.ids(owner) {
        Ok(ids) => Ok(Some(ids)),
        Err(SystemError::Unknown { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns what to give to a write.
pub(crate) fn desired(system: &System, mode: Option<FileMode>, owner: &Owner) -> Result<Attributes, Failure> {
    Ok(Attributes { mode, ids: system.ids(owner)? })
}
