//! Sends the probe requests to one URL with two clients in turn: one keeps its connection, the
//! other opens a new one for each request. Each client waits for its response before the next
//! request.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use super::expected::Expected;
use super::probes::Probes;
use super::shared::Shared;
use super::tally::{GRACE, Sample, Sum, Tally, Turn};
use crate::engine::event::{Event, Level};
use crate::http::{TargetUrl, UrlClient};

/// Failures reported per URL; further ones are only counted.
const MAX_REPORTED: usize = 20;

/// Whether and how the probes end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shutdown {
    None,
    /// Pending requests get extra time.
    Graceful,
    /// Pending requests are dropped.
    Immediate,
}

/// The prober of one URL.
pub(super) struct UrlProber {
    url: String,
    interval: Duration,
    expected: Expected,
    tally: Tally,
    begun: Instant,
    reported: usize,
    shared: Arc<Shared>,
    events: mpsc::UnboundedSender<Event>,
}

/// A client slot: idle, or with a pending request (when it was sent, activity of the run).
struct ClientSlot {
    idle: Option<UrlClient>,
    pending: Option<(Duration, String)>,
}

impl ClientSlot {
    const fn new(client: UrlClient) -> Self {
        Self { idle: Some(client), pending: None }
    }
}

type Done = (usize, UrlClient, Sample);

impl UrlProber {
    pub(super) fn new(
        target: &TargetUrl,
        probes: &Probes,
        shared: &Arc<Shared>,
        events: &mpsc::UnboundedSender<Event>,
    ) -> Self {
        let url = target.to_string();
        Self {
            interval: probes.interval,
            expected: probes.expected.clone(),
            tally: Tally::new(url.clone(), SystemTime::now()),
            url,
            begun: Instant::now(),
            reported: 0,
            shared: Arc::clone(shared),
            events: events.clone(),
        }
    }

    /// Sends requests until it is stopped.
    pub(super) async fn serve(mut self, clients: [UrlClient; 2], mut stop: watch::Receiver<Shutdown>) -> Sum {
        let mut slots = clients.map(ClientSlot::new);
        let mut requests: JoinSet<Done> = JoinSet::new();
        let mut turns = (0..slots.len()).cycle();
        let mut ticks = interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let ending = loop {
            tokio::select! {
                biased;
                // A dropped sender ends the probes.
                asked = stop.changed() => break if asked.is_ok() { *stop.borrow() } else { Shutdown::Immediate },
                Some(joined) = requests.join_next() => self.hear(joined, &mut slots),
                _ = ticks.tick() => {
                    if let Some(slot) = turns.next() {
                        self.ask(slot, &mut slots, &mut requests);
                    }
                }
            }
        };
        if ending == Shutdown::Graceful {
            // Effects of the last step show only in requests sent after it.
            let mut unsent: Vec<usize> = (0..slots.len()).collect();
            let until = Instant::now() + GRACE;
            loop {
                unsent.retain(|slot| !self.ask(*slot, &mut slots, &mut requests));
                match timeout_at(until, requests.join_next()).await {
                    Ok(Some(joined)) => self.hear(joined, &mut slots),
                    Ok(None) | Err(_) => break,
                }
            }
        }
        let left = slots.into_iter().filter_map(|slot| slot.pending).collect();
        let before = self.tally.counts();
        let sum = self.tally.end(self.begun.elapsed(), left);
        for _ in before.1..sum.failed {
            self.shared.count(false);
        }
        sum
    }

    /// Sends a request if the client is idle. Returns whether it was sent.
    fn ask(&self, number: usize, slots: &mut [ClientSlot], requests: &mut JoinSet<Done>) -> bool {
        let Some(slot) = slots.get_mut(number) else { return false };
        let Some(mut client) = slot.idle.take() else { return false };
        let (begun, doing, expected) = (self.begun.elapsed(), self.shared.doing(), self.expected.clone());
        slot.pending = Some((begun, doing.clone()));
        requests.spawn(async move {
            let sent = Instant::now();
            let call = client.get().await;
            let (outcome, again) = (expected.check(call.outcome), call.again);
            (
                number,
                client,
                Sample {
                    begun,
                    took: sent.elapsed(),
                    doing,
                    again,
                    failure: outcome.err().map(|why| why.to_string()),
                },
            )
        });
        true
    }

    fn hear(&mut self, joined: Result<Done, JoinError>, slots: &mut [ClientSlot]) {
        let (number, client, sample) = match joined {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => return,
            },
        };
        if let Some(slot) = slots.get_mut(number) {
            *slot = ClientSlot::new(client);
        }
        let before = self.tally.counts();
        let turn = self.tally.add(sample);
        let after = self.tally.counts();
        if after.0 > before.0 {
            self.shared.count(after.1 == before.1);
        }
        if let Some(turn) = turn {
            self.report(turn);
        }
    }

    fn report(&mut self, turn: Turn) {
        let url = self.url.clone();
        let event = match turn {
            Turn::Begins => {
                Event::Note(Level::Info, format!("{url} is healthy: its probes count from now on"))
            }
            Turn::Fails { why, doing } => {
                self.reported += 1;
                match self.reported.cmp(&(MAX_REPORTED + 1)) {
                    std::cmp::Ordering::Less => Event::ProbeFailed { url, why, doing },
                    std::cmp::Ordering::Equal => {
                        Event::Note(Level::Warning, format!("{url}: further failures are only counted"))
                    }
                    std::cmp::Ordering::Greater => return,
                }
            }
            Turn::Answers { .. } if self.reported > MAX_REPORTED => return,
            Turn::Answers { gap, failed } => Event::ProbeAnswers { url, gap, failed },
        };
        // The receiver may have ended.
        drop(self.events.send(event));
    }
}
