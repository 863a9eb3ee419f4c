//! The loaded inventory and its queries.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::template::Scope;
use apim_product::HostInput;
use apim_product::yaml::{Mistakes, Node, Span};
use apim_transport::host::{Connection, HostName};

/// All hosts and groups, with their variables.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// The path of the file or folder, as the user wrote it.
    pub name: String,
    /// Hosts in order of first appearance, group by group.
    pub hosts: Vec<Host>,
    /// Groups in order of first appearance, after `all` and `ungrouped`.
    pub groups: Vec<Group>,
    /// Group names with a meaning even if the inventory lacks them (roles).
    pub known_groups: &'static [&'static str],
    /// All files that were read, in order.
    pub files: Vec<PathBuf>,
    /// Probable typos that are not errors.
    pub warnings: Mistakes,
    /// Variables from `-e` only. A play's `hosts` may use them.
    pub extra: Scope,
}

/// A host with its merged variables.
#[derive(Debug, Clone)]
pub struct Host {
    /// The inventory name, which is not always the address.
    pub name: HostName,
    /// Position of the first mention.
    pub span: Span,
    /// Names of all groups of the host, direct and inherited. `all` is first; later groups override
    /// earlier ones.
    pub groups: Vec<String>,
    /// Merged variables of the host and its groups (a map). Templates are not rendered and secrets
    /// not opened.
    pub variables: Node,
    /// The merged `apim` map, rendered, with secrets opened. Empty if the host has none.
    pub apim: Node,
    /// The unrendered part of `apim`: a map of templates that need a node (see `variables::part`).
    pub later: Node,
    /// Connection settings.
    pub connection: Connection,
    /// The variables for templates of this host.
    pub scope: Scope,
}

/// A group of hosts and child groups.
#[derive(Debug, Clone)]
pub struct Group {
    /// The group's name, unique in the inventory.
    pub name: String,
    /// Position of the first mention.
    pub span: Span,
    /// Direct members.
    pub hosts: Vec<HostName>,
    /// Direct child groups.
    pub children: Vec<String>,
    /// Length of the longest path from `all`.
    pub depth: usize,
    /// `ansible_group_priority`.
    pub priority: i64,
}

impl Inventory {
    /// Returns all hosts as input for [`Cluster::build`](apim_product::Cluster::build).
    #[must_use]
    pub fn host_inputs(&self) -> Vec<HostInput> {
        let input = |host: &Host| HostInput {
            name: host.name.0.clone(),
            address: host.connection.address.clone(),
            groups: host.groups.clone(),
            apim: host.apim.clone(),
            place: host.span.clone(),
        };
        self.hosts.iter().map(input).collect()
    }

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

    /// Returns the hosts of a group and its descendants without duplicates: its own first, then
    /// level by level.
    #[must_use]
    pub fn hosts_of(&self, group: &str) -> Vec<&Host> {
        let by_name: HashMap<&str, &Host> =
            self.hosts.iter().map(|host| (host.name.0.as_str(), host)).collect();
        let names = members(&self.groups, group);
        names.into_iter().filter_map(|name| by_name.get(name).copied()).collect()
    }
}

/// Returns the names of the hosts of a group and its descendants, in Ansible's order.
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
    /// Returns the host's variable, rendered, or `None` if it is not set.
    ///
    /// # Errors
    /// When it cannot be rendered, with its position.
    pub fn variable(&self, name: &str) -> Option<Result<Node, Mistakes>> {
        self.scope.variable(name)
    }

    /// Returns whether the host is in the group, directly or through a child group.
    #[must_use]
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|name| name == group)
    }
}
