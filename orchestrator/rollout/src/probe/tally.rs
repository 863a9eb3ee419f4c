//! Result of the requests to one URL. Pure: time comes from the client, and memory use is bounded.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// Number of failure kinds that are kept; the others are only counted.
const KEPT: usize = 8;
/// Extra time for pending requests when the run ends.
pub(super) const GRACE: Duration = Duration::from_secs(1);

/// A finished request. Times count from the start of the probes.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) begun: Duration,
    pub(super) took: Duration,
    /// Activity of the run when the request was sent.
    pub(super) doing: String,
    pub(super) again: bool,
    /// Why the request failed; `None` for a success.
    pub(super) failure: Option<String>,
}

/// A change to report immediately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turn {
    /// The first success after failures: requests count from now on.
    Begins,
    /// A failure after a success.
    Fails { why: String, doing: String },
    /// A success after failures: length of the gap and number of failed requests.
    Answers { gap: Duration, failed: u64 },
}

/// Result of the requests to one URL. Times are RFC 3339 in UTC (`2026-11-22T03:12:07.123Z`),
/// durations are in seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sum {
    /// The URL without secrets.
    pub url: String,
    /// Time of the first success; earlier requests do not count.
    pub since: Option<String>,
    /// Why the requests before it failed.
    pub refusal: Option<String>,
    /// Number of finished requests.
    pub sent: u64,
    /// Number of failed requests.
    pub failed: u64,
    /// Requests that were retried, because a kept connection was closed before the first byte of
    /// the response.
    pub again: u64,
    /// Pending requests at the end of the run, with unknown result.
    pub left_out: u64,
    /// The longest time between two successes.
    pub gap: Option<Gap>,
    /// The slowest success.
    pub slowest: Option<Slow>,
    /// The first kinds of failures.
    pub failures: Vec<Failures>,
    /// Number of failures of other kinds.
    pub more: u64,
}

/// A time without success.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// Time of the last success before it.
    pub at: String,
    /// Length in seconds.
    pub seconds: f64,
    /// Requests that failed in it.
    pub failed: u64,
    /// Activity of the run.
    pub doing: String,
    /// Whether it lasted until the end of the run.
    pub open: bool,
}

/// A slow success.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Slow {
    /// When the request was sent.
    pub at: String,
    /// Duration in seconds.
    pub seconds: f64,
    /// Activity of the run.
    pub doing: String,
}

/// Failures of one kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Failures {
    /// When the first request was sent.
    pub at: String,
    /// Why they failed.
    pub why: String,
    /// Activity of the run.
    pub doing: String,
    /// How many.
    pub count: u64,
}

impl Sum {
    /// Returns whether requests were counted and none of them failed.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.since.is_some() && self.failed == 0
    }
}

/// Failures since the last success.
#[derive(Debug)]
struct Silence {
    /// Activity of the run at the first failure.
    doing: String,
    failed: u64,
}

/// Counts requests.
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
    /// The failures since then.
    silence: Option<Silence>,
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

    pub(super) fn add(&mut self, sample: Sample) -> Option<Turn> {
        let done = sample.begun + sample.took;
        let Some(since) = self.since else {
            match sample.failure {
                None => {
                    (self.since, self.last_good) = (Some(done), done);
                    self.sum.since = Some(self.stamp(done));
                    self.good(sample, done);
                    return self.sum.refusal.is_some().then_some(Turn::Begins);
                }
                Some(why) => self.sum.refusal = Some(why),
            }
            return None;
        };
        match sample.failure {
            None => {
                let gap = done.saturating_sub(self.last_good);
                let failed = self.silence.as_ref().map(|silence| silence.failed);
                self.good(sample, done);
                failed.map(|failed| Turn::Answers { gap, failed })
            }
            // Sent before the first success.
            Some(_) if sample.begun < since => None,
            Some(why) => {
                self.count(sample.again);
                self.bad(sample.begun, why, sample.doing)
            }
        }
    }

    fn good(&mut self, sample: Sample, done: Duration) {
        self.count(sample.again);
        let silence =
            self.silence.take().unwrap_or_else(|| Silence { doing: sample.doing.clone(), failed: 0 });
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
            Some(silence) => {
                silence.failed += 1;
                None
            }
            None => {
                self.silence = Some(Silence { doing: doing.clone(), failed: 1 });
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

    fn note_gap(&mut self, until: Duration, silence: Silence, open: bool) {
        let Silence { doing, failed } = silence;
        let length = until.saturating_sub(self.last_good);
        if length > self.longest {
            self.longest = length;
            let (at, seconds) = (self.stamp(self.last_good), seconds(length));
            self.sum.gap = Some(Gap { at, seconds, failed, doing, open });
        }
    }

    /// Ends the count at `now`. Pending requests have failed if they waited longer than twice the
    /// slowest success.
    pub(super) fn end(mut self, now: Duration, pending: Vec<(Duration, String)>) -> Sum {
        let Some(since) = self.since else { return self.sum };
        let patience = (self.slowest * 2).max(GRACE);
        for (begun, doing) in pending {
            let waited = now.saturating_sub(begun);
            if begun >= since && waited >= patience {
                self.count(false);
                let why = format!("no answer for {:.1} s when the run ended", waited.as_secs_f64());
                self.bad(begun, why, doing);
            } else {
                self.sum.left_out += 1;
            }
        }
        let silence = self
            .silence
            .take()
            .unwrap_or_else(|| Silence { doing: "the end of the run".to_owned(), failed: 0 });
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
