//! Conversations with hosts beside a plan: opened when first needed, kept open from one round of questions to the next, and
//! opened again when a host that was away is back. What is asked, and what the answers mean, is decided above.
//!
//! ```text
//! peer     one host: its conversation, asked one batch of operations at a time
//! terms    who asks, what for, how long to wait
//! ```

mod peer;
mod terms;
#[cfg(test)]
mod tests;

pub use peer::{Asked, Away, Peer};
pub use terms::{Heard, Listener, Stop, Terms};

use std::future::Future;

use futures_util::StreamExt as _;

/// Does `work` with every peer, `at_once` of them at a time, and returns what came of it, in the order of the peers.
pub async fn with_all<'a, T, F, W>(peers: &'a mut [Peer], at_once: usize, work: W) -> Vec<T>
where
    F: Future<Output = T> + 'a,
    W: Fn(&'a mut Peer) -> F,
{
    let mut done: Vec<(usize, T)> = futures_util::stream::iter(peers.iter_mut().enumerate())
        .map(|(at, peer)| {
            let work = work(peer);
            async move { (at, work.await) }
        })
        .buffer_unordered(at_once.max(1))
        .collect()
        .await;
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}
