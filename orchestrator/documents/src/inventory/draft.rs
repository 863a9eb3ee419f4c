//! Groups and hosts while inventory files are being read.

use std::collections::HashMap;

use super::model::Group;
use apim_product::yaml::{Key, Mistakes, Node, Span};
use apim_transport::host::HostName;

/// The groups and hosts read so far.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) groups: Vec<Group>,
    pub(super) hosts: Vec<DraftHost>,
    /// Variables of groups by group name, as written in the files.
    pub(super) group_variables: HashMap<String, Vec<(Key, Node)>>,
    /// Groups that appear below `children` without content.
    pub(super) only_named: Vec<String>,
    group_index: HashMap<String, usize>,
    host_index: HashMap<String, usize>,
}

#[derive(Debug)]
pub(super) struct DraftHost {
    pub(super) name: HostName,
    pub(super) span: Span,
    pub(super) variables: Vec<(Key, Node)>,
}

impl Draft {
    /// Returns a draft with `all` and `ungrouped`.
    pub(super) fn new() -> Self {
        let mut draft = Self::default();
        draft.group("all", &Span::nowhere());
        draft.group("ungrouped", &Span::nowhere());
        draft.child("all", "ungrouped");
        draft
    }

    pub(super) fn group(&mut self, name: &str, span: &Span) -> &mut Group {
        let next = self.groups.len();
        let at = *self.group_index.entry(name.to_owned()).or_insert(next);
        if at == next {
            self.groups.push(Group {
                name: name.to_owned(),
                span: span.clone(),
                hosts: Vec::new(),
                children: Vec::new(),
                depth: 0,
                priority: 1,
            });
        }
        // `at` is either in the index or the position of the group that was just pushed.
        #[expect(clippy::indexing_slicing, reason = "the index is updated with the list")]
        &mut self.groups[at]
    }

    pub(super) fn has_group(&self, name: &str) -> bool {
        self.group_index.contains_key(name)
    }

    pub(super) fn find_group(&self, name: &str) -> Option<&Group> {
        self.group_index.get(name).and_then(|at| self.groups.get(*at))
    }

    /// Adds `child` to `parent`. Returns false if it is already a child.
    pub(super) fn child(&mut self, parent: &str, child: &str) -> bool {
        let group = self.group(parent, &Span::nowhere());
        let is_new = !group.children.iter().any(|name| name == child);
        if is_new {
            group.children.push(child.to_owned());
        }
        is_new
    }

    pub(super) fn host(&mut self, name: &str, group: &str, span: &Span) -> &mut DraftHost {
        let next = self.hosts.len();
        let at = *self.host_index.entry(name.to_owned()).or_insert(next);
        if at == next {
            let name = HostName(name.to_owned());
            self.hosts.push(DraftHost { name, span: span.clone(), variables: Vec::new() });
        }
        let group = self.group(group, span);
        if !group.hosts.iter().any(|host| host.0 == name) {
            group.hosts.push(HostName(name.to_owned()));
        }
        #[expect(clippy::indexing_slicing, reason = "the index is updated with the list")]
        &mut self.hosts[at]
    }

    /// Returns whether `name` is `group` or one of its descendants.
    pub(super) fn reaches(&self, group: &str, name: &str) -> bool {
        let mut waiting = vec![group];
        let mut seen = std::collections::HashSet::new();
        while let Some(next) = waiting.pop() {
            if next == name {
                return true;
            }
            if seen.insert(next) {
                waiting.extend(
                    self.find_group(next).into_iter().flat_map(|group| &group.children).map(String::as_str),
                );
            }
        }
        false
    }

    /// Does what Ansible does after reading all files: groups without a parent go below `all`,
    /// hosts without a group into `ungrouped`. Then computes the depth of each group.
    pub(super) fn finish(&mut self, mistakes: &mut Mistakes) {
        let below: std::collections::HashSet<String> =
            self.groups.iter().flat_map(|group| group.children.iter().cloned()).collect();
        let top: Vec<String> = self
            .groups
            .iter()
            .map(|g| g.name.clone())
            .filter(|name| name != "all" && !below.contains(name))
            .collect();
        for name in top {
            self.child("all", &name);
        }
        let special = |name: &str| name == "all" || name == "ungrouped";
        let grouped: std::collections::HashSet<String> = self
            .groups
            .iter()
            .filter(|group| !special(&group.name))
            .flat_map(|group| group.hosts.iter().map(|host| host.0.clone()))
            .collect();
        let without_group: Vec<(String, Span)> = self
            .hosts
            .iter()
            .filter(|host| !grouped.contains(&host.name.0))
            .map(|host| (host.name.0.clone(), host.span.clone()))
            .collect();
        self.group("ungrouped", &Span::nowhere()).hosts.retain(|host| !grouped.contains(&host.0));
        for (name, span) in without_group {
            self.host(&name, "ungrouped", &span);
        }
        self.depths();
        for host in &self.hosts {
            if let Some(group) = self.find_group(&host.name.0) {
                let what = format!("`{}` is the name of both a host and a group ({})", host.name, group.span);
                mistakes.add_hint(
                    &host.span,
                    what,
                    "rename one of them, because a host pattern would be ambiguous",
                );
            }
        }
    }

    /// A group's depth is its longest path from `all`. There are no cycles (`file` rejects them),
    /// so no path is longer than the number of groups.
    fn depths(&mut self) {
        for _ in 0..self.groups.len() {
            let mut changed = false;
            let known: Vec<(Vec<String>, usize)> =
                self.groups.iter().map(|group| (group.children.clone(), group.depth + 1)).collect();
            for (children, depth) in known {
                for child in children {
                    let group = self.group(&child, &Span::nowhere());
                    if group.depth < depth {
                        group.depth = depth;
                        changed = true;
                    }
                }
            }
            if !changed {
                break;
            }
        }
    }
}
