//! Sends the requests to one URL: one client that keeps its connection and one that makes a new one each time, in turn. Each waits for
//! its answer before it asks again.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use super::expected::Expected;
use super::tally::{Sample, Sum, Tally, Turn};
use super::{Probes, Shared};
use crate::engine::event::{Event, Level};
use crate::http::{Caller, Place};

/// Requests in hand when the run ends get so much longer.
pub(super) const MOMENT: Duration = Duration::from_secs(1);
/// So often it is told that a URL fails; then failures are only counted.
const TOLD: usize = 20;

/// Whether requests go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    NotYet,
    /// Those in hand get a moment more.
    Soon,
    /// Nobody waits.
    AtOnce,
}

/// Who sends, and counts.
pub(super) struct Desk {
    url: String,
    interval: Duration,
    expected: Expected,
    tally: Tally,
    begun: Instant,
    told: usize,
    shared: Arc<Shared>,
    events: mpsc::UnboundedSender<Event>,
}

/// A client: at rest, or with a request in hand, sent when and while the run did what.
struct Seat {
    idle: Option<Caller>,
    in_hand: Option<(Duration, String)>,
}

impl Seat {
    const fn new(caller: Caller) -> Self {
        Self { idle: Some(caller), in_hand: None }
    }
}

type Done = (usize, Caller, Sample);

impl Desk {
    pub(super) fn new(
        place: &Place,
        probes: &Probes,
        (shared, events): (Arc<Shared>, mpsc::UnboundedSender<Event>),
    ) -> Self {
        let url = place.to_string();
        Self {
            interval: probes.interval,
            expected: probes.expected.clone(),
            tally: Tally::new(url.clone(), SystemTime::now()),
            url,
            begun: Instant::now(),
            told: 0,
            shared,
            events,
        }
    }

    /// Sends until it is to end.
    pub(super) async fn serve(mut self, callers: [Caller; 2], mut stop: watch::Receiver<Ending>) -> Sum {
        let mut seats = callers.map(Seat::new);
        let mut at_work: JoinSet<Done> = JoinSet::new();
        let mut turns = (0..seats.len()).cycle();
        let mut ticks = interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let ending = loop {
            tokio::select! {
                biased;
                // Whoever could end this and is gone has ended it.
                asked = stop.changed() => break if asked.is_ok() { *stop.borrow() } else { Ending::AtOnce },
                Some(joined) = at_work.join_next() => self.hear(joined, &mut seats),
                _ = ticks.tick() => {
                    if let Some(who) = turns.next() {
                        self.ask(who, &mut seats, &mut at_work);
                    }
                }
            }
        };
        if ending == Ending::Soon {
            // What the last step did shows in what is asked after it.
            let mut owed: Vec<usize> = (0..seats.len()).collect();
            let until = Instant::now() + MOMENT;
            loop {
                owed.retain(|who| !self.ask(*who, &mut seats, &mut at_work));
                match timeout_at(until, at_work.join_next()).await {
                    Ok(Some(joined)) => self.hear(joined, &mut seats),
                    Ok(None) | Err(_) => break,
                }
            }
        }
        let left = seats.into_iter().filter_map(|seat| seat.in_hand).collect();
        let before = self.tally.counts();
        let sum = self.tally.end(self.begun.elapsed(), left);
        for _ in before.1..sum.failed {
            self.shared.count(false);
        }
        sum
    }

    /// Sends a request, if that client is not waiting for an answer; says whether it was sent.
    fn ask(&self, who: usize, seats: &mut [Seat], at_work: &mut JoinSet<Done>) -> bool {
        let Some(seat) = seats.get_mut(who) else { return false };
        let Some(mut caller) = seat.idle.take() else { return false };
        let (begun, doing, expected) = (self.begun.elapsed(), self.shared.doing(), self.expected.clone());
        seat.in_hand = Some((begun, doing.clone()));
        at_work.spawn(async move {
            let sent = Instant::now();
            let call = caller.get().await;
            let (outcome, again) = (expected.judge(call.outcome), call.again);
            (who, caller, Sample { begun, took: sent.elapsed(), doing, again, outcome })
        });
        true
    }

    fn hear(&mut self, joined: Result<Done, JoinError>, seats: &mut [Seat]) {
        let (who, caller, sample) = match joined {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => return,
            },
        };
        if let Some(seat) = seats.get_mut(who) {
            *seat = Seat::new(caller);
        }
        let before = self.tally.counts();
        let turn = self.tally.hear(sample);
        let after = self.tally.counts();
        if after.0 > before.0 {
            self.shared.count(after.1 == before.1);
        }
        if let Some(turn) = turn {
            self.tell(turn);
        }
    }

    fn tell(&mut self, turn: Turn) {
        let url = self.url.clone();
        let event = match turn {
            Turn::Begins => {
                Event::Note(Level::Info, format!("{url} answers as wished: from now on its probes count"))
            }
            Turn::Fails { why, doing } => {
                self.told += 1;
                match self.told.cmp(&(TOLD + 1)) {
                    std::cmp::Ordering::Less => Event::ProbeFailed { url, why, doing },
                    std::cmp::Ordering::Equal => {
                        Event::Note(Level::Warning, format!("{url}: further failures are only counted"))
                    }
                    std::cmp::Ordering::Greater => return,
                }
            }
            Turn::Answers { .. } if self.told > TOLD => return,
            Turn::Answers { gap, failed } => Event::ProbeAnswers { url, gap, failed },
        };
        // Who does not listen any more misses nothing.
        drop(self.events.send(event));
    }
}
