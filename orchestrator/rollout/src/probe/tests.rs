//! Counts and reports, with given times and with a failing server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc;

use super::tally::{Sample, Tally, Turn};
use super::*;
use crate::engine::event::Event;
use crate::http::tests::server::{Act, Server};
use crate::plan::model::Plan;

fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

fn tally() -> Tally {
    Tally::new("https://gw/".into(), SystemTime::UNIX_EPOCH)
}

fn sample(begun: u64, took: u64, outcome: Result<(), &str>) -> Sample {
    Sample {
        begun: ms(begun),
        took: ms(took),
        doing: format!("step {}", begun / 1000),
        again: false,
        failure: outcome.err().map(str::to_owned),
    }
}

#[test]
fn counting_starts_with_first_success() {
    let mut tally = tally();
    assert_eq!(tally.add(sample(0, 10, Err("status 503"))), None);
    assert_eq!(tally.add(sample(100, 10, Ok(()))), Some(Turn::Begins));
    // Sent before it, ended after it.
    assert_eq!(tally.add(sample(50, 5000, Err("no answer"))), None);
    let sum = tally.end(ms(200), Vec::new());
    assert_eq!((sum.sent, sum.failed, sum.is_good()), (1, 0, true));
    assert_eq!(sum.since.as_deref(), Some("1970-01-01T00:00:00.110Z"));
    assert_eq!(sum.gap.map(|gap| (gap.seconds, gap.open)), Some((0.09, true)), "since the last success");
}

#[test]
fn url_that_never_succeeded_is_not_good() {
    let mut tally = tally();
    tally.add(sample(0, 10, Err("status 503")));
    let sum = tally.end(ms(5000), vec![(ms(10), "x".into())]);
    assert_eq!((sum.is_good(), sum.sent, sum.refusal.as_deref()), (false, 0, Some("status 503")));
}

#[test]
fn longest_gap_has_activity_of_its_start() {
    let mut tally = tally();
    assert_eq!(tally.add(sample(0, 10, Ok(()))), None, "the first request succeeded");
    let fails = Turn::Fails { why: "connection refused".into(), doing: "step 1".into() };
    assert_eq!(tally.add(sample(1000, 10, Err("connection refused"))), Some(fails));
    for begun in (1100..4000).step_by(100) {
        assert_eq!(tally.add(sample(begun, 10, Err("connection refused"))), None, "reported once");
    }
    let answers = Turn::Answers { gap: ms(4000), failed: 30 };
    assert_eq!(tally.add(sample(4000, 10, Ok(()))), Some(answers));
    tally.add(sample(4500, 700, Ok(())));
    let sum = tally.end(ms(5300), Vec::new());
    assert_eq!((sum.sent, sum.failed), (33, 30));
    let gap = sum.gap.clone().expect("a gap");
    assert_eq!((gap.seconds, gap.failed, gap.doing.as_str(), gap.open), (4.0, 30, "step 1", false));
    assert_eq!(gap.at, "1970-01-01T00:00:00.010Z");
    let slowest = sum.slowest.clone().expect("an answer");
    assert_eq!((slowest.seconds, slowest.doing.as_str()), (0.7, "step 4"));
    let kinds: Vec<(&str, u64)> = sum.failures.iter().map(|one| (one.doing.as_str(), one.count)).collect();
    assert_eq!(kinds, [("step 1", 10), ("step 2", 10), ("step 3", 10)]);
}

#[test]
fn open_gap_counts_and_hanging_request_fails() {
    let mut tally = tally();
    tally.add(sample(0, 10, Ok(())));
    let pending = vec![(ms(100), "step 0".to_owned()), (ms(4900), "step 4".to_owned())];
    let sum = tally.end(ms(5000), pending);
    assert_eq!((sum.sent, sum.failed, sum.left_out), (2, 1, 1));
    assert_eq!(sum.failures[0].why, "no answer for 4.9 s when the run ended");
    let gap = sum.gap.expect("a gap");
    assert_eq!((gap.seconds, gap.failed, gap.open), (4.99, 1, true));
}

#[test]
fn usually_slow_request_has_not_failed_at_end() {
    let mut tally = tally();
    tally.add(sample(0, 2000, Ok(())));
    let sum = tally.end(ms(5500), vec![(ms(2500), "step 2".into())]);
    assert_eq!((sum.failed, sum.left_out), (0, 1));
}

#[test]
fn failures_use_bounded_memory() {
    let mut tally = tally();
    tally.add(sample(0, 1, Ok(())));
    for number in 1..10_000 {
        tally.add(sample(number * 1000, 1, Err(&format!("kind {}", number % 50))));
    }
    let sum = tally.end(ms(10_000_000), Vec::new());
    assert_eq!((sum.failed, sum.failures.len()), (9999, 8));
    assert_eq!(sum.failures.iter().map(|one| one.count).sum::<u64>() + sum.more, 9999);
}

#[test]
fn statuses_are_single_or_classes() {
    let expected =
        |text: &str| -> Result<Vec<Statuses>, InvalidStatus> { text.split(',').map(str::parse).collect() };
    let good = |text: &str, status: u16| Expected::new(expected(text).unwrap()).check(Ok(status)).is_ok();
    assert!(good("200,401", 401) && !good("200,401", 204));
    assert!(good("2xx", 299) && !good("2XX", 301));
    for wrong in ["", "20", "600", "1xx", "xx", "abc", "+20", "2x"] {
        assert!(expected(wrong).is_err(), "{wrong}");
    }
    let usual = Expected::new(Vec::new());
    assert!(usual.check(Ok(302)).is_ok());
    assert_eq!(usual.check(Ok(404)), Err(ProbeFailure::Status(404)));
}

fn probes(server: &Server) -> Probes {
    let target = format!("http://{}/", server.address).parse().expect("a URL");
    Probes {
        targets: vec![Arc::new(target)],
        interval: ms(10),
        limit: Duration::from_secs(30),
        expected: Expected::default(),
        trust: None,
        addresses: BTreeMap::new(),
        stop_after: None,
    }
}

/// A server that can be broken while it runs.
struct Breakable {
    server: Server,
    is_broken: Arc<AtomicBool>,
    /// Requests received since it was last repaired, and since it was last broken.
    received: Arc<[AtomicUsize; 2]>,
}

impl Breakable {
    async fn start(broken: Act) -> Self {
        let is_broken = Arc::new(AtomicBool::new(false));
        let received = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let (switch, counts) = (Arc::clone(&is_broken), Arc::clone(&received));
        let act = move |_, _| {
            let is_broken = switch.load(Ordering::SeqCst);
            counts[usize::from(is_broken)].fetch_add(1, Ordering::SeqCst);
            if is_broken { broken.clone() } else { Act::Say(200) }
        };
        Self { server: Server::start(act).await, is_broken, received }
    }

    fn set_broken(&self, is_broken: bool) {
        self.received[usize::from(is_broken)].store(0, Ordering::SeqCst);
        self.is_broken.store(is_broken, Ordering::SeqCst);
    }

    /// Waits until this many requests were received in the current state.
    async fn await_requests(&self, number: usize) {
        let count = &self.received[usize::from(self.is_broken.load(Ordering::SeqCst))];
        let polled = async {
            while count.load(Ordering::SeqCst) < number {
                tokio::time::sleep(ms(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), polled).await.expect("requests in time");
    }
}

async fn next(events: &mut mpsc::UnboundedReceiver<Event>) -> Event {
    loop {
        match tokio::time::timeout(Duration::from_secs(20), events.recv()).await.expect("in time") {
            Some(Event::Probed { .. }) => {}
            Some(event) => return event,
            None => panic!("the probes are over"),
        }
    }
}

#[tokio::test]
async fn failures_are_reported_live_and_counted() {
    let service = Breakable::start(Act::Say(503)).await;
    let (sender, mut events) = mpsc::unbounded_channel();
    let probing = probes(&service.server).begin(&Plan::default(), &sender);
    let (run, happened) = mpsc::unbounded_channel();
    let mut heard = probing.track(happened);
    run.send(Event::StageStarted(0, "start gateways".into())).expect("sent");
    heard.recv().await.expect("forwarded");
    service.await_requests(20).await;
    service.set_broken(true);
    let Event::ProbeFailed { url, why, doing } = next(&mut events).await else { panic!("a failure") };
    assert_eq!((why.as_str(), doing.as_str()), ("status 503", "stage 1: start gateways"));
    let failing = Instant::now();
    service.await_requests(10).await;
    let outage = failing.elapsed();
    service.set_broken(false);
    let Event::ProbeAnswers { gap, failed, .. } = next(&mut events).await else { panic!("an answer") };
    assert!(gap >= outage && failed > 3, "{gap:?}, {outage:?}, {failed}");
    service.await_requests(20).await;
    let sums = probing.end(false).await;
    let [sum] = sums.as_slice() else { panic!("one URL: {sums:?}") };
    assert_eq!((&sum.url, sum.failed, sum.left_out), (&url, failed, 0));
    assert!(sum.sent > failed + 10, "{sum:?}");
    drop(sender);
    while events.recv().await.is_some() {}
}

#[tokio::test]
async fn hanging_server_delays_end_briefly() {
    let service = Breakable::start(Act::Hang).await;
    let (sender, _events) = mpsc::unbounded_channel();
    for (at_once, failed, limit) in [(true, 0, ms(500)), (false, 2, ms(2500))] {
        service.set_broken(false);
        let probing = probes(&service.server).begin(&Plan::default(), &sender);
        service.await_requests(10).await;
        service.set_broken(true);
        // Both clients hang.
        service.await_requests(2).await;
        let begun = Instant::now();
        let sums = probing.end(at_once).await;
        assert!(begun.elapsed() < limit, "{:?}", begun.elapsed());
        assert_eq!((sums[0].failed, sums[0].left_out), (failed, 2 - failed), "{sums:?}");
    }
}

#[tokio::test]
async fn rollout_halts_after_too_many_failures() {
    let service = Breakable::start(Act::Close).await;
    let (sender, _events) = mpsc::unbounded_channel();
    let probing = Probes { stop_after: Some(3), ..probes(&service.server) }.begin(&Plan::default(), &sender);
    service.await_requests(10).await;
    let mut halted = probing.halted();
    assert_eq!(*halted.borrow(), None);
    service.set_broken(true);
    let why = halted.wait_for(Option::is_some).await.expect("halted").clone();
    assert_eq!(why.as_deref(), Some("3 probe requests failed (--probe-stop-after)"));
    assert!(probing.end(false).await[0].failed >= 3);
}

#[tokio::test]
async fn unhealthy_url_is_found_before_run() {
    let server =
        Server::start(|connection, _| if connection == 0 { Act::Close } else { Act::Say(200) }).await;
    assert!(probes(&server).check().await.is_empty(), "one failure is tolerated");
    let server = Server::start(|_, _| Act::Say(404)).await;
    let unhealthy = probes(&server).check().await;
    assert_eq!(unhealthy.len(), 1);
    assert_eq!(unhealthy[0].1, ProbeFailure::Status(404));
    let fits = Probes { expected: Expected::new(vec!["404".parse().unwrap()]), ..probes(&server) };
    assert!(fits.check().await.is_empty());
}

#[tokio::test]
async fn both_clients_detect_failure_of_last_step() {
    let service = Breakable::start(Act::Say(503)).await;
    let (sender, _events) = mpsc::unbounded_channel();
    let probes = Probes { interval: Duration::from_secs(60), ..probes(&service.server) };
    let probing = probes.begin(&Plan::default(), &sender);
    // The interval allows one request. Later ones count only after its response was received.
    let counted = async {
        while probing.shared.sent.load(Ordering::Relaxed) < 1 {
            tokio::time::sleep(ms(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), counted).await.expect("a response in time");
    service.set_broken(true);
    let sum = probing.end(false).await.remove(0);
    assert_eq!((sum.sent, sum.failed), (3, 2), "{sum:?}");
}
