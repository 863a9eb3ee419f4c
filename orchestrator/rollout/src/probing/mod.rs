//! Requests that are sent to the cluster's own service while a run goes on, to see what its users see: how many were answered, and how
//! long nobody was.
//!
//! ```text
//! expected  which answers count as good
//! doing     what the run is doing, in words
//! tally     what came of the requests to one URL: counts, the longest gap, first failures; pure, and of bounded size
//! desk      sends the requests to one URL: one client that keeps its connection and one that makes a new one each time, in turn
//! ```
//!
//! A request that is sent again over a new connection, because the kept one was closed before a byte of the answer, has not failed:
//! every client does that with a GET.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

use crate::engine::event::Event;
use crate::http::{Caller, Place, Terms, Trust};
use crate::plan::model::Plan;

mod desk;
mod doing;
mod expected;
mod tally;
#[cfg(test)]
mod tests;

use desk::{Desk, Ending};
use doing::Doing;
pub use expected::{Expected, Statuses};
pub use tally::{Failures, Gap, Slow, Sum};

/// A URL that does not answer before the run is asked so often before that is told.
const TRIES: usize = 3;
/// So often a terminal is told how many were sent.
const TOLD: Duration = Duration::from_millis(500);

/// What is to be asked, and how.
#[derive(Debug, Clone)]
pub struct Probes {
    /// The URLs.
    pub places: Vec<Arc<Place>>,
    /// From one request to a URL to the next.
    pub interval: Duration,
    /// How long one request may take.
    pub limit: Duration,
    /// Which answers are good.
    pub expected: Expected,
    /// Whom to trust; needed where a URL is encrypted.
    pub trust: Option<Trust>,
    /// Addresses of names, in place of what they resolve to.
    pub addresses: BTreeMap<String, Vec<IpAddr>>,
    /// The rollout stops when so many requests have failed, of all URLs together.
    pub stop_after: Option<u64>,
}

impl Probes {
    fn caller(&self, place: &Arc<Place>, keeps: bool) -> Caller {
        let addresses = self.addresses.get(&place.name).cloned().unwrap_or_default();
        let terms = Terms { trust: self.trust.clone(), addresses, limit: self.limit };
        Caller::new(Arc::clone(place), terms, keeps)
    }

    /// Asks every URL, a few times if need be; returns those that do not answer as wished, and why.
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
        let mut silent = asked.join_all().await;
        silent.sort_unstable();
        let named = |(at, why): (usize, Option<String>)| Some((Arc::clone(self.places.get(at)?), why?));
        silent.into_iter().filter_map(named).collect()
    }

    /// Begins to send. What is worth telling at once goes to `events`.
    #[must_use]
    pub fn begin(&self, plan: &Plan, events: &mpsc::UnboundedSender<Event>) -> Probing {
        let (halt, halted) = watch::channel(None);
        let (stop, stopped) = watch::channel(Ending::NotYet);
        let shared = Arc::new(Shared {
            doing: Mutex::new(Doing::new(plan)),
            sent: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            stop_after: self.stop_after,
            halt,
        });
        let desk = |place: &Arc<Place>| {
            let callers = [self.caller(place, true), self.caller(place, false)];
            let desk = Desk::new(place, self, (Arc::clone(&shared), events.clone()));
            tokio::spawn(desk.serve(callers, stopped.clone()))
        };
        let desks = self.places.iter().map(desk).collect();
        let teller = tokio::spawn(tell(Arc::clone(&shared), events.clone()));
        Probing { shared, desks, teller, stop, halted }
    }
}

/// Requests that are being sent.
#[derive(Debug)]
pub struct Probing {
    shared: Arc<Shared>,
    desks: Vec<JoinHandle<Sum>>,
    teller: JoinHandle<()>,
    stop: watch::Sender<Ending>,
    halted: watch::Receiver<Option<String>>,
}

/// What the requests of all URLs have in common.
#[derive(Debug)]
struct Shared {
    doing: Mutex<Doing>,
    sent: AtomicU64,
    failed: AtomicU64,
    stop_after: Option<u64>,
    halt: watch::Sender<Option<String>>,
}

impl Shared {
    /// Says in words what the run is doing.
    fn doing(&self) -> String {
        self.doing.lock().unwrap_or_else(PoisonError::into_inner).words()
    }

    /// Counts a request that counts; once too many have failed the rollout stops.
    fn count(&self, is_good: bool) {
        self.sent.fetch_add(1, Ordering::Relaxed);
        if is_good {
            return;
        }
        let failed = self.failed.fetch_add(1, Ordering::Relaxed) + 1;
        if self.stop_after.is_some_and(|most| failed >= most) {
            let words = if failed == 1 { "1 request" } else { &format!("{failed} requests") };
            self.halt.send_if_modified(|halt| {
                let is_first = halt.is_none();
                halt.get_or_insert_with(|| format!("{words} of --probe failed (--probe-stop-after)"));
                is_first
            });
        }
    }
}

impl Probing {
    /// Hears what the run does, on its way to others.
    #[must_use]
    pub fn hears(&self, mut events: mpsc::UnboundedReceiver<Event>) -> mpsc::UnboundedReceiver<Event> {
        let shared = Arc::clone(&self.shared);
        let (onward, heard) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                shared.doing.lock().unwrap_or_else(PoisonError::into_inner).hear(&event);
                // Who does not listen any more misses nothing.
                drop(onward.send(event));
            }
        });
        heard
    }

    /// Returns why the rollout is to stop, once it is.
    #[must_use]
    pub fn halted(&self) -> watch::Receiver<Option<String>> {
        self.halted.clone()
    }

    /// Ends: requests in hand get a moment more, or none where the user left `at_once`.
    pub async fn end(self, at_once: bool) -> Vec<Sum> {
        let Self { desks, teller, stop, .. } = self;
        stop.send_replace(if at_once { Ending::AtOnce } else { Ending::Soon });
        teller.abort();
        // It was ended just now.
        drop(teller.await);
        let mut sums = Vec::new();
        for desk in desks {
            match desk.await {
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

/// Tells every now and then how many were sent.
async fn tell(shared: Arc<Shared>, events: mpsc::UnboundedSender<Event>) {
    let mut told = 0;
    let mut ticks = interval(TOLD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (sent, failed) = (shared.sent.load(Ordering::Relaxed), shared.failed.load(Ordering::Relaxed));
        if std::mem::replace(&mut told, sent) != sent && events.send(Event::Probed { sent, failed }).is_err()
        {
            return;
        }
    }
}
