//! The inventory once read: plain data, and what it answers.

use std::collections::HashMap;
use std::path::PathBuf;

use super::host::{Connection, HostName};
use crate::template::Scope;
use crate::yaml::{Mistakes, Node, Span};

/// All hosts and groups, with their variables.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// The file or folder, as the user named it.
    pub name: String,
    /// Hosts in the order in which they were first named, group by group.
    pub hosts: Vec<Host>,
    /// Groups in the order in which they were first named; `all` and `ungrouped` first.
    pub groups: Vec<Group>,
    /// Group names that mean something although this inventory may lack them (roles).
    pub known_groups: &'static [&'static str],
    /// Every file that it was read from, in order.
    pub files: Vec<PathBuf>,
    /// What is very likely not meant, though it is no mistake.
    pub warnings: Mistakes,
    /// The variables given with `-e` alone: what a play's `hosts` may use.
    pub extra: Scope,
}

/// A host.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its name.
    pub name: HostName,
    /// Where it is named first.
    pub span: Span,
    /// Names of all groups that it is in, directly or not; those whose variables weigh more stand later. `all` is first.
    pub groups: Vec<String>,
    /// Its variables with those of its groups, as they were written (a map): templates and sealed secrets are still in.
    pub variables: Node,
    /// Its `apim` map, merged over its groups, rendered and opened; an empty map when there is none.
    pub apim: Node,
    /// What was parted from it, as it was written: values that are templates over a node (a map).
    pub later: Node,
    /// How it is reached.
    pub connection: Connection,
    /// What templates about this host see.
    pub scope: Scope,
}

/// A group.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Where it is named first.
    pub span: Span,
    /// Hosts right in it.
    pub hosts: Vec<HostName>,
    /// Groups right in it.
    pub children: Vec<String>,
    /// How far below `all` it is.
    pub depth: usize,
    /// `ansible_group_priority`.
    pub priority: i64,
}

impl Inventory {
    /// Returns the host of that name.
    #[must_use]
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.iter().find(|host| host.name.0 == name)
    }

    /// Returns the group of that name.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// Returns the hosts in a group or in the groups below it: its own first, then level by level; none twice.
    #[must_use]
    pub fn hosts_of(&self, group: &str) -> Vec<&Host> {
        let by_name: HashMap<&str, &Host> =
            self.hosts.iter().map(|host| (host.name.0.as_str(), host)).collect();
        let names = members(&self.groups, group);
        names.into_iter().filter_map(|name| by_name.get(name).copied()).collect()
    }
}

/// Names of the hosts in a group and below it, in Ansible's order.
pub(super) fn members<'a>(groups: &'a [Group], group: &str) -> Vec<&'a str> {
    let by_name: HashMap<&str, &Group> = groups.iter().map(|group| (group.name.as_str(), group)).collect();
    let mut level: Vec<&Group> = by_name.get(group).copied().into_iter().collect();
    let mut seen_groups: std::collections::HashSet<&str> =
        level.iter().map(|group| group.name.as_str()).collect();
    let mut seen = std::collections::HashSet::new();
    let mut names = Vec::new();
    while !level.is_empty() {
        for host in level.iter().flat_map(|group| &group.hosts) {
            if seen.insert(host.0.as_str()) {
                names.push(host.0.as_str());
            }
        }
        let below = level
            .iter()
            .flat_map(|group| &group.children)
            .filter_map(|name| by_name.get(name.as_str()).copied());
        level = below.filter(|group| seen_groups.insert(group.name.as_str())).collect();
    }
    names
}

impl Host {
    /// Returns the host's variable, rendered; `None` when there is none of that name.
    ///
    /// # Errors
    /// When it cannot be rendered, at its place.
    pub fn variable(&self, name: &str) -> Option<Result<Node, Mistakes>> {
        self.scope.variable(name)
    }

    /// Says whether the host is in the group, directly or not.
    #[must_use]
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|name| name == group)
    }
}
