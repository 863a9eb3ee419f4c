//! What every section is rendered from.

use crate::cluster::Cluster;
use crate::topology::Node;

/// Context for rendering a section.
pub(super) struct RenderContext<'a> {
    /// The cluster of the node.
    pub cluster: &'a Cluster,
    /// The node whose file is rendered.
    pub node: &'a Node,
}
