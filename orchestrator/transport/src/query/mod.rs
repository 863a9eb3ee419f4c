//! Queries: sessions with hosts outside a plan. A session is opened on first use, reused by later
//! queries, and reopened after a host was unavailable. The callers decide what to query and
//! interpret the answers.
//!
//! ```text
//! client   one host: its session, which runs one batch of operations at a time
//! options   options of a query: operator, purpose, timeouts
//! ```

mod client;
mod options;
#[cfg(test)]
mod tests;

pub use client::{HostClient, HostQuery, HostUnavailable};
pub use options::{ClientEvent, Listener, QueryOptions, Stop};

use std::future::Future;

use futures_util::StreamExt as _;

/// Runs `work` for every peer, at most `at_once` at a time, and returns the results in the order of
/// the peers.
pub async fn with_all<'a, T, F, W>(peers: &'a mut [HostClient], at_once: usize, work: W) -> Vec<T>
where
    F: Future<Output = T> + 'a,
    W: Fn(&'a mut HostClient) -> F,
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
