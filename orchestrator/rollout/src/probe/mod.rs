//! Availability probes: requests to the cluster's service during a run. They measure how many
//! requests succeed, and how long the service was unavailable.
//!
//! ```text
//! expected    which responses count as successful
//! activity    what the run is doing, as text
//! tally       result of the requests to one URL: counts, longest gap, first failures; pure, bounded
//! url_prober  sends the requests to one URL: one client keeps its connection, the other opens a
//!             new one for each request
//! probing     starts and ends the probers of a run
//! ```
//!
//! A request that is retried over a new connection, because the kept connection was closed before
//! the first byte of the response, has not failed: every client does that with a GET.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

use crate::engine::event::Event;
use crate::http::Place;
use crate::plan::model::Plan;

mod activity;
mod expected;
mod shared;
mod tally;
#[cfg(test)]
mod tests;
mod url_prober;

use activity::Activity;
pub use expected::{Expected, Statuses};
pub use shared::Probes;
use shared::Shared;
pub use tally::{Failures, Gap, Slow, Sum};
use url_prober::{Shutdown, UrlProber};

/// Attempts before a URL counts as unhealthy at the start.
const TRIES: usize = 3;
/// Interval between two updates of the totals.
const REPORT_INTERVAL: Duration = Duration::from_millis(500);

impl Probes {
    /// Requests every URL, with a few retries. Returns the unhealthy ones, each with the reason.
    pub async fn look(&self) -> Vec<(Arc<Place>, String)> {
        let mut asked = JoinSet::new();
        for (at, place) in self.places.iter().enumerate() {
            let (mut caller, probes) = (self.caller(place, false), self.clone());
            asked.spawn(async move {
                let mut why = None;
                for _ in 0..TRIES {
                    why = probes.expected.judge(caller.get().await.outcome).err();
                    if why.is_none() {
                        break;
                    }
                    tokio::time::sleep(probes.interval).await;
                }
                (at, why)
            });
        }
        let mut unhealthy = asked.join_all().await;
        unhealthy.sort_unstable();
        let named = |(at, why): (usize, Option<String>)| Some((Arc::clone(self.places.get(at)?), why?));
        unhealthy.into_iter().filter_map(named).collect()
    }

    /// Starts probing. Failures and recoveries are sent to `events`.
    #[must_use]
    pub fn begin(&self, plan: &Plan, events: &mpsc::UnboundedSender<Event>) -> Probing {
        let (halt, halted) = watch::channel(None);
        let (stop, stopped) = watch::channel(Shutdown::Pending);
        let shared = Arc::new(Shared {
            doing: Mutex::new(Activity::new(plan)),
            sent: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            stop_after: self.stop_after,
            halt,
        });
        let prober = |place: &Arc<Place>| {
            let callers = [self.caller(place, true), self.caller(place, false)];
            let prober = UrlProber::new(place, self, (Arc::clone(&shared), events.clone()));
            tokio::spawn(prober.serve(callers, stopped.clone()))
        };
        let probers = self.places.iter().map(prober).collect();
        let reporter = tokio::spawn(report_totals(Arc::clone(&shared), events.clone()));
        Probing { shared, probers, reporter, stop, halted }
    }
}

/// Running probes.
#[derive(Debug)]
pub struct Probing {
    shared: Arc<Shared>,
    probers: Vec<JoinHandle<Sum>>,
    reporter: JoinHandle<()>,
    stop: watch::Sender<Shutdown>,
    halted: watch::Receiver<Option<String>>,
}

impl Probing {
    /// Tracks the events of the run and forwards them.
    #[must_use]
    pub fn hears(&self, mut events: mpsc::UnboundedReceiver<Event>) -> mpsc::UnboundedReceiver<Event> {
        let shared = Arc::clone(&self.shared);
        let (onward, heard) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                shared.doing.lock().unwrap_or_else(PoisonError::into_inner).hear(&event);
                // The receiver may have ended.
                drop(onward.send(event));
            }
        });
        heard
    }

    /// Returns a watch that receives the reason to halt the rollout.
    #[must_use]
    pub fn halted(&self) -> watch::Receiver<Option<String>> {
        self.halted.clone()
    }

    /// Ends the probes. Pending requests get extra time, or none if `at_once`.
    pub async fn end(self, at_once: bool) -> Vec<Sum> {
        let Self { probers, reporter, stop, .. } = self;
        stop.send_replace(if at_once { Shutdown::Immediate } else { Shutdown::Graceful });
        reporter.abort();
        // It was aborted above.
        drop(reporter.await);
        let mut sums = Vec::new();
        for prober in probers {
            match prober.await {
                Ok(sum) => sums.push(sum),
                Err(error) => {
                    if let Ok(panic) = error.try_into_panic() {
                        std::panic::resume_unwind(panic);
                    }
                }
            }
        }
        sums
    }
}

/// Reports the totals at intervals.
async fn report_totals(shared: Arc<Shared>, events: mpsc::UnboundedSender<Event>) {
    let mut reported = 0;
    let mut ticks = interval(REPORT_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (sent, failed) = (shared.sent.load(Ordering::Relaxed), shared.failed.load(Ordering::Relaxed));
        if std::mem::replace(&mut reported, sent) != sent
            && events.send(Event::Probed { sent, failed }).is_err()
        {
            return;
        }
    }
}
