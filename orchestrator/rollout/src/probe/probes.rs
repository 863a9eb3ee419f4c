//! What to probe, and the check of the URLs before a run.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::expected::{Expected, ProbeFailure};
use crate::http::{TargetUrl, Trust, UrlClient, UrlClientOptions};

/// Attempts before a URL counts as unhealthy at the start.
const TRIES: usize = 3;

/// What to probe, and how.
#[derive(Debug, Clone)]
pub struct Probes {
    /// The URLs.
    pub targets: Vec<Arc<TargetUrl>>,
    /// Interval between two requests to a URL.
    pub interval: Duration,
    /// Timeout of one request.
    pub limit: Duration,
    /// Expected statuses.
    pub expected: Expected,
    /// Trusted certificates; required for HTTPS URLs.
    pub trust: Option<Trust>,
    /// Addresses of names, overriding DNS.
    pub addresses: BTreeMap<String, Vec<IpAddr>>,
    /// Halts the rollout after this many failed requests, over all URLs.
    pub stop_after: Option<u64>,
}

impl Probes {
    pub(super) fn client(&self, target: &Arc<TargetUrl>, keeps: bool) -> UrlClient {
        let addresses = self.addresses.get(&target.name).cloned().unwrap_or_default();
        let options = UrlClientOptions { trust: self.trust.clone(), addresses, limit: self.limit };
        UrlClient::new(Arc::clone(target), options, keeps)
    }

    /// Requests every URL, with a few retries. Returns the unhealthy ones, each with the reason.
    pub async fn check(&self) -> Vec<(Arc<TargetUrl>, ProbeFailure)> {
        let mut checks = JoinSet::new();
        for (at, target) in self.targets.iter().enumerate() {
            let (mut client, probes) = (self.client(target, false), self.clone());
            checks.spawn(async move {
                let mut failure = None;
                for _ in 0..TRIES {
                    failure = probes.expected.check(client.get().await.outcome).err();
                    if failure.is_none() {
                        break;
                    }
                    tokio::time::sleep(probes.interval).await;
                }
                (at, failure)
            });
        }
        let mut unhealthy = checks.join_all().await;
        unhealthy.sort_unstable_by_key(|(at, _)| *at);
        let named = |(at, failure): (usize, Option<ProbeFailure>)| {
            Some((Arc::clone(self.targets.get(at)?), failure?))
        };
        unhealthy.into_iter().filter_map(named).collect()
    }
}
