//! The production checklist, evaluated on evidence from the inventory and the hosts. Pure: takes
//! answers, returns items.
//!
//! `offline` evaluates the inventory; `hosts` evaluates the hosts' answers to `questions`.

use super::cluster::Cluster;

mod hosts;
mod model;
mod offline;
mod questions;
#[cfg(test)]
mod tests;

pub use model::{Evidence, HostAnswers, Item, State};
pub use questions::examine;

/// Returns the checklist. `seen` is `None` if no host was queried; `open` lists files with secrets
/// that other users can read.
#[must_use]
pub fn items(cluster: &Cluster, seen: Option<&[HostAnswers<'_>]>, open: &[String]) -> Vec<Item> {
    let mut items = offline::items(cluster, open);
    if let Some(seen) = seen {
        items.extend(hosts::items(cluster, seen));
    }
    items
}
