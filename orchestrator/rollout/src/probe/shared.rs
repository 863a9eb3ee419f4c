//! What to probe, and the state that all probers share.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::activity::Activity;
use super::expected::Expected;
use crate::http::{Caller, Place, Terms, Trust};

/// What to probe, and how.
#[derive(Debug, Clone)]
pub struct Probes {
    /// The URLs.
    pub places: Vec<Arc<Place>>,
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
    pub(super) fn caller(&self, place: &Arc<Place>, keeps: bool) -> Caller {
        let addresses = self.addresses.get(&place.name).cloned().unwrap_or_default();
        let terms = Terms { trust: self.trust.clone(), addresses, limit: self.limit };
        Caller::new(Arc::clone(place), terms, keeps)
    }
}

/// State shared by all probers.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) doing: Mutex<Activity>,
    pub(super) sent: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) stop_after: Option<u64>,
    pub(super) halt: watch::Sender<Option<String>>,
}

impl Shared {
    /// Describes what the run is doing.
    pub(super) fn doing(&self) -> String {
        self.doing.lock().unwrap_or_else(PoisonError::into_inner).words()
    }

    /// Counts a request. Halts the rollout after too many failures.
    pub(super) fn count(&self, is_good: bool) {
        self.sent.fetch_add(1, Ordering::Relaxed);
        if is_good {
            return;
        }
        let failed = self.failed.fetch_add(1, Ordering::Relaxed) + 1;
        if self.stop_after.is_some_and(|most| failed >= most) {
            let words = if failed == 1 { "1 probe request" } else { &format!("{failed} probe requests") };
            self.halt.send_if_modified(|halt| {
                let is_first = halt.is_none();
                halt.get_or_insert_with(|| format!("{words} failed (--probe-stop-after)"));
                is_first
            });
        }
    }
}
