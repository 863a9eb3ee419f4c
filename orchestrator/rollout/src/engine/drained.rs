//! The nodes that are drained, and why.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};

use tokio::sync::Mutex;

use apim_product::NodeName;
use apim_product::hook::Hooks;

/// The drained nodes.
#[derive(Default)]
pub(super) struct Drained {
    state: StdMutex<State>,
    /// One load balancer is changed at a time, because each configuration is tested as it will be
    /// read.
    pub(super) turn: Mutex<()>,
}

#[derive(Default)]
pub(super) struct State {
    /// Nodes that this run drained or found drained, and has not undrained.
    pub(super) out: BTreeMap<NodeName, Out>,
    /// Nodes of `out` that hooks drained.
    pub(super) hooked: BTreeMap<NodeName, Arc<Hooks>>,
    /// Nodes that a hook of an earlier run drained.
    pub(super) left_out: BTreeSet<NodeName>,
}

/// Why a node is drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Out {
    /// It is about to be taken down.
    Leaving,
    /// It is down, or was.
    Down,
}

impl Drained {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether `node` is drained.
    pub(super) fn is_out(&self, node: &NodeName) -> bool {
        self.state().out.contains_key(node)
    }

    /// Records that `node` may go down now: it stays drained until it is healthy.
    pub(super) fn goes_down(&self, node: &NodeName) {
        if let Some(out) = self.state().out.get_mut(node) {
            *out = Out::Down;
        }
    }

    /// Records that hooks of an earlier run drained a node: it is undrained once it is healthy.
    pub(super) fn was_left_out(&self, hooks: &Arc<Hooks>) {
        let mut state = self.state();
        state.out.insert(hooks.node.clone(), Out::Down);
        state.hooked.insert(hooks.node.clone(), Arc::clone(hooks));
        state.left_out.insert(hooks.node.clone());
    }

    pub(super) fn is_leaving(&self, node: &NodeName) -> bool {
        self.state().out.get(node) == Some(&Out::Leaving)
    }

    pub(super) fn hooked(&self, node: &NodeName) -> Option<Arc<Hooks>> {
        self.state().hooked.get(node).cloned()
    }

    pub(super) fn is_back(&self, node: &NodeName) {
        let mut state = self.state();
        state.out.remove(node);
        state.hooked.remove(node);
    }
}
