//! Accounts and groups by name: `/etc/passwd` and `/etc/group` first, then `getent` for directories such as LDAP.
//!
//! Nothing is loaded into the agent for this (a static binary cannot), and nothing is changed here.

use std::path::Path;

use apim_protocol::value::{AbsPath, Owner};

use super::error::SystemError;
use super::host::System;
use super::process::Program;

/// Numbers of owner and group; what is `None` is left as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ids {
    /// The account's number.
    pub uid: Option<u32>,
    /// The group's number.
    pub gid: Option<u32>,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// Its primary group's number.
    pub gid: u32,
    /// Its home folder.
    pub home: String,
    /// Its login shell.
    pub shell: String,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupEntry {
    /// Its name.
    pub name: String,
    /// Its number.
    pub gid: u32,
}

/// A database of accounts is read up to this size.
const DATABASE_LIMIT: u64 = 8 * 1024 * 1024;

impl System {
    /// Returns the account `name`, or `None`.
    ///
    /// # Errors
    /// When the databases cannot be read.
    pub fn account(&self, name: &str) -> Result<Option<Entry>, SystemError> {
        self.look_up("passwd", name, |line| entry(line).filter(|entry| entry.name == name))
    }

    /// Returns the group `name`, or `None`.
    ///
    /// # Errors
    /// When the databases cannot be read.
    pub fn group(&self, name: &str) -> Result<Option<GroupEntry>, SystemError> {
        self.look_up("group", name, |line| group_entry(line).filter(|entry| entry.name == name))
    }

    /// Returns the name of the account with number `uid`, or the number as text.
    #[must_use]
    pub fn account_name(&self, uid: u32) -> String {
        let found =
            self.look_up("passwd", &uid.to_string(), |line| entry(line).filter(|entry| entry.uid == uid));
        found.ok().flatten().map_or_else(|| uid.to_string(), |entry| entry.name)
    }

    /// Returns the name of the group with number `gid`, or the number as text.
    #[must_use]
    pub fn group_name(&self, gid: u32) -> String {
        let found =
            self.look_up("group", &gid.to_string(), |line| group_entry(line).filter(|e| e.gid == gid));
        found.ok().flatten().map_or_else(|| gid.to_string(), |entry| entry.name)
    }

    /// Returns the numbers for `owner`; an account without a group named brings no group along.
    ///
    /// Below `--root` the accounts are those of the root's own databases; one that is not there (accounts are not made below a root),
    /// or that an agent without privileges could not give files to, is left out.
    ///
    /// # Errors
    /// When the account or group does not exist.
    pub fn ids(&self, owner: &Owner) -> Result<Ids, SystemError> {
        let pretend = self.is_rooted() && !self.is_privileged();
        let mut ids = Ids::default();
        if pretend {
            return Ok(ids);
        }
        if let Some(name) = &owner.user {
            ids.uid = self.required("account", name, self.account(name)?.map(|entry| entry.uid))?;
        }
        if let Some(name) = &owner.group {
            ids.gid = self.required("group", name, self.group(name)?.map(|entry| entry.gid))?;
        }
        Ok(ids)
    }

    fn required(&self, kind: &'static str, name: &str, id: Option<u32>) -> Result<Option<u32>, SystemError> {
        let numeric = || name.parse().ok();
        match id.or_else(numeric) {
            None if !self.is_rooted() => Err(SystemError::Unknown { kind, name: name.to_owned() }),
            id => Ok(id),
        }
    }

    fn look_up<T>(
        &self,
        database: &'static str,
        key: &str,
        find: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, SystemError> {
        let path = match database {
            "passwd" => AbsPath::parse("/etc/passwd"),
            _ => AbsPath::parse("/etc/group"),
        };
        if let Ok(path) = path {
            let bytes = self.read(&path, DATABASE_LIMIT)?.unwrap_or_default();
            if let Some(found) = String::from_utf8_lossy(&bytes).lines().find_map(&find) {
                return Ok(Some(found));
            }
        }
        let safe = !key.is_empty() && !key.starts_with('-') && !key.contains([':', '\n', '\0', '/']);
        if self.is_rooted() || !safe {
            return Ok(None);
        }
        let Some(getent) =
            ["/usr/bin/getent", "/bin/getent"].into_iter().find(|path| Path::new(path).exists())
        else {
            return Ok(None);
        };
        let program = Program { timeout_secs: 20, ..Program::new([getent, database, key]) };
        let answer = self.run(&program)?;
        Ok(if answer.ended.is_success() { answer.stdout.lines().find_map(find) } else { None })
    }
}

fn entry(line: &str) -> Option<Entry> {
    let mut fields = line.split(':');
    let name = fields.next()?.to_owned();
    let (_password, uid, gid) = (fields.next()?, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let (_comment, home, shell) = (fields.next()?, fields.next()?.to_owned(), fields.next()?.to_owned());
    Some(Entry { name, uid, gid, home, shell })
}

fn group_entry(line: &str) -> Option<GroupEntry> {
    let mut fields = line.split(':');
    let name = fields.next()?.to_owned();
    let (_password, gid) = (fields.next()?, fields.next()?.parse().ok()?);
    Some(GroupEntry { name, gid })
}
