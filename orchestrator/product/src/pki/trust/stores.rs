//! Access to the keystores of a node.

use std::sync::Arc;

use crate::keystore::{Certificate, EntryKind, Opened};
use crate::settings::keystores::{Keystore, Purpose};
use crate::topology::Node;
use crate::yaml::Span;

/// Returns a node's opened keystore for a purpose; the primary one if the purpose has no separate
/// keystore.
#[must_use]
pub fn store_of(node: &Node, purpose: Purpose) -> Option<(&Keystore, &Arc<Opened>)> {
    let settings = &node.settings.keystores;
    let store = settings.of(purpose).or_else(|| {
        settings.of(Purpose::Primary).filter(|_| matches!(purpose, Purpose::Tls | Purpose::Internal))
    })?;
    Some((store, opened(node, store)?))
}

pub(super) fn opened<'a>(node: &'a Node, store: &Keystore) -> Option<&'a Arc<Opened>> {
    node.keystores.iter().find(|file| file.path.name() == store.file_name)?.opened.as_ref()
}

/// Returns the chain of a keystore's key, its own certificate first.
#[must_use]
pub fn chain<'a>(store: &Keystore, opened: &'a Opened) -> &'a [Certificate] {
    let entry = store.alias.as_ref().and_then(|alias| opened.entry(alias));
    match entry.map(|entry| &entry.kind) {
        Some(EntryKind::Key(chain)) => chain,
        Some(EntryKind::Trusted(_) | EntryKind::Other) | None => &[],
    }
}

/// Returns the source position of a keystore's file setting.
pub(super) fn file_span(store: &Keystore) -> &Span {
    store.file.as_ref().map_or(&store.places.whole, |file| &file.span)
}

/// Returns setting and file of a keystore, for messages.
pub(super) fn shown(store: &Keystore) -> String {
    let file = store.file.as_ref().map_or(store.file_name.as_str(), |file| file.value.as_str());
    format!("`apim.keystores.{}`: `{file}`", store.purpose.key())
}
