//! What came of the requests to one URL. Pure: it is told what happened and when, and holds no more for a million requests than for ten.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// So many kinds of failures are kept; the others are counted.
const KEPT: usize = 8;

/// One request that is over. Times count from when the probes began.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) begun: Duration,
    pub(super) took: Duration,
    /// What the run was doing when it began.
    pub(super) doing: String,
    pub(super) again: bool,
    /// Why it has no good answer.
    pub(super) outcome: Result<(), String>,
}

/// Something worth telling at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turn {
    /// It answers, and did not before: from now on requests count.
    Begins,
    /// It fails, after a good answer.
    Fails { why: String, doing: String },
    /// It answers again: after how long, and how many requests failed meanwhile.
    Answers { gap: Duration, failed: u64 },
}

/// What came of the requests to one URL. Moments are UTC (`2026-11-22T03:12:07.123Z`), times are seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sum {
    /// The URL, as it may be shown.
    pub url: String,
    /// When it answered as wished for the first time: what was before does not count.
    pub since: Option<String>,
    /// Why it did not, before.
    pub refusal: Option<String>,
    /// How many requests were sent that have ended.
    pub sent: u64,
    /// Those without a good answer.
    pub failed: u64,
    /// Those that were sent again, because a kept connection was closed before a byte of the answer.
    pub again: u64,
    /// Those in hand when the run ended, of which nobody knows what would have come.
    pub left_out: u64,
    /// The longest time between two good answers.
    pub gap: Option<Gap>,
    /// The good answer that took longest.
    pub slowest: Option<Slow>,
    /// The failures, by kind; only the kinds that came first.
    pub failures: Vec<Failures>,
    /// How many failed in other ways.
    pub more: u64,
}

/// A time without a good answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// When the last good answer before it came.
    pub at: String,
    /// How long it was.
    pub seconds: f64,
    /// How many requests failed in it.
    pub failed: u64,
    /// What the run was doing.
    pub doing: String,
    /// Whether there was no good answer until the end of the run.
    pub open: bool,
}

/// A good answer that was slow.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Slow {
    /// When the request was sent.
    pub at: String,
    /// How long it took.
    pub seconds: f64,
    /// What the run was doing.
    pub doing: String,
}

/// Failures that are alike.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Failures {
    /// When the first request was sent.
    pub at: String,
    /// Why they failed.
    pub why: String,
    /// What the run was doing.
    pub doing: String,
    /// How many.
    pub count: u64,
}

impl Sum {
    /// Says whether every request was answered as wished, and at least one.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.since.is_some() && self.failed == 0
    }
}

/// Counts.
#[derive(Debug)]
pub(super) struct Tally {
    /// When the probes began.
    begun: SystemTime,
    sum: Sum,
    /// When counting began.
    since: Option<Duration>,
    last_good: Duration,
    longest: Duration,
    slowest: Duration,
    /// What the run was doing at the first failure since then, and how many failed.
    silence: Option<(String, u64)>,
}

impl Tally {
    pub(super) fn new(url: String, begun: SystemTime) -> Self {
        let sum = Sum { url, ..Sum::default() };
        let (since, silence) = (None, None);
        Self {
            begun,
            sum,
            since,
            last_good: Duration::ZERO,
            longest: Duration::ZERO,
            slowest: Duration::ZERO,
            silence,
        }
    }

    /// Returns how many requests count, and how many of them failed.
    pub(super) const fn counts(&self) -> (u64, u64) {
        (self.sum.sent, self.sum.failed)
    }

    pub(super) fn hear(&mut self, sample: Sample) -> Option<Turn> {
        let done = sample.begun + sample.took;
        let Some(since) = self.since else {
            match sample.outcome {
                Ok(()) => {
                    (self.since, self.last_good) = (Some(done), done);
                    self.sum.since = Some(self.stamp(done));
                    self.good(sample, done);
                    return self.sum.refusal.is_some().then_some(Turn::Begins);
                }
                Err(why) => self.sum.refusal = Some(why),
            }
            return None;
        };
        match sample.outcome {
            Ok(()) => {
                let gap = done.saturating_sub(self.last_good);
                let failed = self.silence.as_ref().map(|(_, failed)| *failed);
                self.good(sample, done);
                failed.map(|failed| Turn::Answers { gap, failed })
            }
            // It was sent before the first good answer.
            Err(_) if sample.begun < since => None,
            Err(why) => {
                self.count(sample.again);
                self.bad(sample.begun, why, sample.doing)
            }
        }
    }

    fn good(&mut self, sample: Sample, done: Duration) {
        self.count(sample.again);
        let silence = self.silence.take().unwrap_or_else(|| (sample.doing.clone(), 0));
        self.note_gap(done, silence, false);
        self.last_good = self.last_good.max(done);
        if self.sum.slowest.is_none() || self.slowest < sample.took {
            self.slowest = sample.took;
            let (at, seconds) = (self.stamp(sample.begun), seconds(sample.took));
            self.sum.slowest = Some(Slow { at, seconds, doing: sample.doing });
        }
    }

    fn bad(&mut self, begun: Duration, why: String, doing: String) -> Option<Turn> {
        self.sum.failed += 1;
        let turn = match &mut self.silence {
            Some((_, failed)) => {
                *failed += 1;
                None
            }
            None => {
                self.silence = Some((doing.clone(), 1));
                Some(Turn::Fails { why: why.clone(), doing: doing.clone() })
            }
        };
        let at = self.stamp(begun);
        let kept = &mut self.sum.failures;
        match kept.iter().position(|kept| kept.why == why && kept.doing == doing) {
            Some(alike) => {
                if let Some(alike) = kept.get_mut(alike) {
                    alike.count += 1;
                }
            }
            None if kept.len() < KEPT => kept.push(Failures { at, why, doing, count: 1 }),
            None => self.sum.more += 1,
        }
        turn
    }

    const fn count(&mut self, again: bool) {
        self.sum.sent += 1;
        self.sum.again += again as u64;
    }

    fn note_gap(&mut self, until: Duration, (doing, failed): (String, u64), open: bool) {
        let length = until.saturating_sub(self.last_good);
        if length > self.longest {
            self.longest = length;
            let (at, seconds) = (self.stamp(self.last_good), seconds(length));
            self.sum.gap = Some(Gap { at, seconds, failed, doing, open });
        }
    }

    /// The run is over at `now`. Requests still in hand have failed when they waited longer than any good answer took, twice over.
    pub(super) fn end(mut self, now: Duration, in_hand: Vec<(Duration, String)>) -> Sum {
        let Some(since) = self.since else { return self.sum };
        let patience = (self.slowest * 2).max(super::desk::MOMENT);
        for (begun, doing) in in_hand {
            let waited = now.saturating_sub(begun);
            if begun >= since && waited >= patience {
                self.count(false);
                let why = format!("no answer for {:.1} s when the run ended", waited.as_secs_f64());
                self.bad(begun, why, doing);
            } else {
                self.sum.left_out += 1;
            }
        }
        let silence = self.silence.take().unwrap_or_else(|| ("the end of the run".to_owned(), 0));
        self.note_gap(now, silence, true);
        self.sum
    }

    fn stamp(&self, after: Duration) -> String {
        let at = jiff::Timestamp::try_from(self.begun + after);
        at.map_or_else(|_| String::new(), |at| at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
    }
}

/// Seconds with three decimals.
fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}
