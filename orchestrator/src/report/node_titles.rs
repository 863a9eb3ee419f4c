//! Titles of nodes, such as `gateway gw1`.

use std::collections::BTreeMap;

use apim_product::NodeName;
use apim_rollout::plan::model::Step;

/// Titles of nodes, by name.
#[derive(Debug, Clone, Default)]
pub struct NodeTitles(BTreeMap<NodeName, String>);

impl FromIterator<(NodeName, String)> for NodeTitles {
    fn from_iter<T: IntoIterator<Item = (NodeName, String)>>(titles: T) -> Self {
        Self(titles.into_iter().collect())
    }
}

impl NodeTitles {
    /// Returns the title of the node of `step`; the title of a step without a node.
    pub(super) fn of<'a>(&'a self, step: &'a Step) -> &'a str {
        match &step.node {
            Some(node) => self.0.get(node).map_or(node.0.as_str(), String::as_str),
            None => &step.title,
        }
    }

    /// Returns the title of `step` without its node, so that the same step of two nodes has the
    /// same title.
    pub(super) fn without_node<'a>(&self, step: &'a Step) -> &'a str {
        let node = step.node.as_ref().and_then(|node| self.0.get(node));
        let rest = node.and_then(|node| step.title.strip_prefix(node.as_str())?.strip_prefix(": "));
        rest.unwrap_or(&step.title)
    }
}
