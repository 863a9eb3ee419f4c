//! The probers of a run: start, totals, end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::activity::Activity;
use super::probes::Probes;
use super::shared::Shared;
use super::tally::Sum;
use super::url_prober::{Shutdown, UrlProber};
use crate::engine::event::Event;
use crate::http::TargetUrl;
use crate::plan::model::Plan;

/// Interval between two updates of the totals.
const REPORT_INTERVAL: Duration = Duration::from_millis(500);

impl Probes {
    /// Starts probing. Failures and recoveries are sent to `events`.
    #[must_use]
    pub fn begin(&self, plan: &Plan, events: &mpsc::UnboundedSender<Event>) -> Probing {
        let (halt, halted) = watch::channel(None);
        let (stop, stopped) = watch::channel(Shutdown::None);
        let shared = Arc::new(Shared {
            activity: Mutex::new(Activity::new(plan)),
            sent: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            stop_after: self.stop_after,
            halt,
        });
        let prober = |target: &Arc<TargetUrl>| {
            let clients = [self.client(target, true), self.client(target, false)];
            let prober = UrlProber::new(target, self, &shared, events);
            tokio::spawn(prober.serve(clients, stopped.clone()))
        };
        let probers = self.targets.iter().map(prober).collect();
        let reporter = tokio::spawn(report_totals(Arc::clone(&shared), events.clone()));
        Probing { shared, probers, reporter, stop, halted }
    }
}

/// Running probes.
#[derive(Debug)]
pub struct Probing {
    pub(super) shared: Arc<Shared>,
    probers: Vec<JoinHandle<Sum>>,
    reporter: JoinHandle<()>,
    stop: watch::Sender<Shutdown>,
    halted: watch::Receiver<Option<String>>,
}

impl Probing {
    /// Tracks the events of the run and forwards them.
    #[must_use]
    pub fn track(&self, mut events: mpsc::UnboundedReceiver<Event>) -> mpsc::UnboundedReceiver<Event> {
        let shared = Arc::clone(&self.shared);
        let (onward, heard) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                shared.activity().apply(&event);
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
