//! Waits on real processes, ports, logs and answers.

use apim_protocol::operation::wait::Cause;
use apim_protocol::operation::wait::Remedy;
use apim_protocol::operation::wait::Scope;
use apim_protocol::operation::wait::Service;
use apim_protocol::value::AbsPath;
use apim_protocol::value::UnitName;
use std::fs;
use std::net::{IpAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use apim_protocol::operation::unit::State;
use apim_protocol::operation::{Mode, Operation};

use super::*;
use crate::operation::converge;
use crate::operation::unit::tests::{Orchestrator, Site, process};

/// A server that answers every connection with `HTTP 200` and `hello`, on a port that it writes to the file `port`.
const LISTENING: &str = r#"
echo starting >> server.log
exec perl -MIO::Socket::INET -e '
    my $s = IO::Socket::INET->new(Listen => 5, LocalAddr => "127.0.0.1", LocalPort => $ENV{PORT} || 0) or die;
    open(my $p, ">", "port.new"); print $p $s->sockport; close $p; rename "port.new", "port";
    open(my $l, ">>", "server.log"); print $l "up and running\n"; close $l;
    while (my $c = $s->accept) {
        while (<$c>) { last if /^\r?\n/ }
        print $c "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"; close $c;
    }' server.sh "$1"
"#;

fn path(text: &str) -> AbsPath {
    AbsPath::parse(text).unwrap()
}

fn logged(pattern: &str) -> Condition {
    Condition::Logged {
        log: path("/srv/app/server.log"),
        pattern: pattern.to_owned(),
        since_start_of: UnitName::parse("app").unwrap(),
    }
}

fn cause(pattern: &str, words: &str, fatal: bool) -> Cause {
    Cause { pattern: pattern.to_owned(), cause: words.to_owned(), hint: format!("cure {words}"), fatal }
}

fn wait(conditions: Vec<Condition>, deadline_secs: u64) -> Wait {
    Wait {
        awaited: "app healthy".to_owned(),
        conditions,
        deadline_secs,
        service: Some(Service {
            unit: UnitName::parse("app").unwrap(),
            process: process(),
            log: Some(path("/srv/app/server.log")),
            causes: vec![
                cause("driver .* not found", "the driver is missing", true),
                cause("^ERROR", "an error was logged", true),
                cause("^WARN", "a warning was logged", false),
            ],
        }),
        settle_secs: 0,
        remedy: None,
    }
}

fn remedy(when_logged: &str) -> Option<Remedy> {
    Some(Remedy {
        unit: UnitName::parse("app").unwrap(),
        when_logged: Some(when_logged.to_owned()),
        after_secs: 0,
        why: "it gave up for ever".to_owned(),
        stop_timeout_secs: 10,
    })
}

fn apply(site: &Site, wait: &Wait, orchestrator: &mut Orchestrator) -> Outcome {
    converge(&Operation::Wait(Box::new(wait.clone())), Mode::Apply, &site.system, orchestrator)
}

fn start(site: &Site) {
    let outcome = site.converge(&site.unit(State::Started), &mut Orchestrator::default());
    assert!(matches!(outcome, Outcome::Changed(_)), "{outcome:?}");
}

fn failure(outcome: Outcome) -> Failure {
    match outcome {
        Outcome::Failed(failure) => failure,
        other => panic!("it did not fail: {other:?}"),
    }
}

#[test]
fn a_service_that_comes_up_is_waited_for_by_every_kind_of_condition() {
    let site = Site::new(LISTENING);
    start(&site);
    let mut orchestrator = Orchestrator::default();
    let listens = wait(vec![Condition::Exists(path("/srv/app/port"))], 20);
    assert_eq!(apply(&site, &listens, &mut orchestrator), Outcome::Ok);
    let port: u16 = fs::read_to_string(site.real("srv/app/port")).unwrap().parse().unwrap();
    let url = format!("http://127.0.0.1:{port}/");
    let full = wait(
        vec![
            Condition::Process(process()),
            logged("^up and"),
            Condition::Listens { port, process: process() },
            Condition::Tcp { host: "localhost".to_owned(), port },
            Condition::Http {
                url,
                status: 200,
                body_holds: Some("hello".to_owned()),
                verify: false,
                scope: Scope::Local,
            },
        ],
        20,
    );
    assert_eq!(apply(&site, &full, &mut orchestrator), Outcome::Ok);
    assert_eq!(full.check(&site.system).unwrap(), Finding::UpToDate);
}

#[test]
fn only_what_was_logged_since_the_start_counts() {
    let site = Site::living();
    fs::write(site.real("srv/app/server.log"), "up from an earlier life: complete\n").unwrap();
    start(&site);
    assert_eq!(apply(&site, &wait(vec![logged("^up$")], 20), &mut Orchestrator::default()), Outcome::Ok);
    let failed = failure(apply(&site, &wait(vec![logged("complete")], 0), &mut Orchestrator::default()));
    assert!(
        failed.what.starts_with("app healthy: not within 0 s; missing: `complete` in /srv/app/server.log"),
        "{}",
        failed.what
    );
    assert_eq!(failed.log, ["up"]);
    assert!(failed.hint.unwrap().contains("/srv/app/server.log"));
}

#[test]
fn a_line_that_was_seen_once_holds_although_the_log_is_gone_until_the_next_start() {
    let site = Site::living();
    start(&site);
    let desired = wait(vec![logged("^up$")], 20);
    // not through `converge`, which has nothing to wait for when the service was quick
    let waited = desired.apply(&site.system, &mut Orchestrator::default(), &Difference::default());
    assert_eq!(waited, Ok(Outcome::Ok));
    fs::remove_file(site.real("srv/app/server.log")).unwrap();
    assert_eq!(desired.check(&site.system).unwrap(), Finding::UpToDate);
    fs::write(site.real("srv/app/server.sh"), "while :; do sleep 0.05; done\n").unwrap();
    site.converge(&site.unit(State::Stopped), &mut Orchestrator::default());
    assert!(desired.check(&site.system).unwrap().difference().is_some());
    start(&site);
    assert!(desired.check(&site.system).unwrap().difference().is_some());
}

#[test]
fn the_wait_ends_soon_after_the_process_with_the_cause_it_wrote() {
    let site = Site::new(
        "echo WARN low on memory >> server.log; echo ERROR no access, password=hunter2 >> server.log; read x < go; exit 1\n",
    );
    rustix::fs::mkfifoat(rustix::fs::CWD, site.real("srv/app/go"), rustix::fs::Mode::from_raw_mode(0o600))
        .unwrap();
    start(&site);
    fs::write(site.real("srv/app/go"), "x\n").unwrap();
    let begun = Instant::now();
    let mut desired = wait(vec![logged("never")], 120);
    desired.service.as_mut().unwrap().causes.iter_mut().for_each(|cause| cause.fatal = false);
    let failed = failure(apply(&site, &desired, &mut Orchestrator::default()));
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert!(
        failed.what.contains("app is stopped") && failed.what.contains("an error was logged"),
        "{}",
        failed.what
    );
    assert_eq!(failed.causes.first().map(String::as_str), Some("an error was logged"));
    assert_eq!(failed.causes.get(1).map(String::as_str), Some("logged: ERROR no access, password=****"));
    assert_eq!(failed.hint.as_deref(), Some("cure an error was logged"));
    assert!(failed.log.iter().all(|line| !line.contains("hunter2")) && failed.log.len() == 2);
}

#[test]
fn a_fatal_line_ends_the_wait_and_the_more_telling_one_is_named() {
    let site = Site::new(
        "echo ERROR cannot start >> server.log; echo driver mysql not found >> server.log; while :; do sleep 0.05; done\n",
    );
    start(&site);
    let begun = Instant::now();
    let failed = failure(apply(&site, &wait(vec![logged("never")], 120), &mut Orchestrator::default()));
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert!(
        failed.what.contains("startup failed") && failed.what.contains("the driver is missing"),
        "{}",
        failed.what
    );
    assert_eq!(failed.hint.as_deref(), Some("cure the driver is missing"));
}

#[test]
fn a_service_that_falls_over_right_after_it_was_up_is_not_healthy() {
    let site = Site::new("echo up >> server.log; sleep 1; exit 0");
    start(&site);
    let up = wait(vec![logged("^up"), Condition::Process(process())], 20);
    assert_eq!(apply(&site, &up, &mut Orchestrator::default()), Outcome::Ok);
    let stays = Wait { settle_secs: 5, ..up };
    let failed = failure(apply(&site, &stays, &mut Orchestrator::default()));
    assert!(failed.what.contains("app healthy"), "{failed:?}");
}

#[test]
fn port_held_by_another_process_names_the_holder() {
    let site = Site::living();
    start(&site);
    let mut other = std::process::Command::new("perl")
        .args(["-MIO::Socket::INET", "-e"])
        .arg(r#"$|=1; my $s = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die; print $s->sockport, "\n"; <STDIN>"#)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(other.stdout.take().unwrap()), &mut line)
        .unwrap();
    let port: u16 = line.trim().parse().unwrap();
    let desired = wait(vec![Condition::Listens { port, process: process() }], 0);
    let failed = failure(apply(&site, &desired, &mut Orchestrator::default()));
    drop(other.stdin.take());
    other.wait().unwrap();
    let holder = format!("port {port} is held by pid {} (perl)", other.id());
    assert!(failed.what.contains(&holder), "{}", failed.what);
}

#[test]
fn only_connections_of_the_service_count() {
    let peer = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = peer.local_addr().unwrap();
    let site = Site::new(&format!(
        "exec perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(PeerAddr => \"{at}\") or die; sleep 600' server.sh \"$1\"\n"
    ));
    let desired = |deadline| {
        wait(
            vec![Condition::Connected { host: "localhost".to_owned(), port: at.port(), process: process() }],
            deadline,
        )
    };
    let ours = std::net::TcpStream::connect(at).unwrap();
    assert!(desired(0).check(&site.system).unwrap().difference().is_some());
    drop(ours);
    start(&site);
    assert_eq!(apply(&site, &desired(20), &mut Orchestrator::default()), Outcome::Ok);
}

#[test]
fn stuck_service_is_restarted_once_with_a_permit() {
    let life =
        "if [ -e stuck ]; then echo up >> server.log; else touch stuck; echo listener died >> server.log; fi
while :; do sleep 0.05; done\n";
    let site = Site::new(life);
    start(&site);
    let mut orchestrator = Orchestrator::default();
    let desired = Wait { remedy: remedy("listener died"), ..wait(vec![logged("^up$")], 30) };
    let outcome = apply(&site, &desired, &mut orchestrator);
    assert_eq!(outcome, Outcome::Changed(Difference::one("restarted once: it gave up for ever")));
    assert_eq!(orchestrator.asked, ["app: it gave up for ever"]);
    assert_eq!(
        site.unit(State::Started).check(&site.system).unwrap(),
        Finding::UpToDate,
        "a cure keeps the inputs"
    );
    assert_eq!(apply(&site, &desired, &mut orchestrator), Outcome::Ok);
}

#[test]
fn refused_remedy_is_mentioned() {
    let site = Site::new("echo listener died >> server.log; while :; do sleep 0.05; done\n");
    start(&site);
    let before = site.own().first().map(|process| process.pid);
    let mut orchestrator = Orchestrator { refuses: true, ..Orchestrator::default() };
    let desired = Wait { remedy: remedy("listener died"), ..wait(vec![logged("^up$")], 1) };
    let failed = failure(apply(&site, &desired, &mut orchestrator));
    assert!(
        failed.causes.iter().any(|cause| cause.contains("its permit was refused: the permit was refused")),
        "{:?}",
        failed.causes
    );
    assert_eq!(orchestrator.asked.len(), 1);
    assert_eq!(site.own().first().map(|process| process.pid), before);
}

#[test]
fn a_wait_that_is_called_off_ends_and_one_for_a_stopped_service_too() {
    let site = Site::living();
    let failed = failure(apply(&site, &wait(vec![logged("never")], 120), &mut Orchestrator::default()));
    assert!(failed.what.contains("app is stopped, and no process of it lives"), "{}", failed.what);
    start(&site);
    let mut orchestrator = Orchestrator { is_cancelled: true, ..Orchestrator::default() };
    let failed = failure(apply(&site, &wait(vec![logged("never")], 120), &mut orchestrator));
    assert!(failed.what.contains("cancelled"), "{}", failed.what);
}

#[test]
fn check_names_the_condition_and_progress_the_last_answer() {
    let site = Site::living();
    start(&site);
    let desired = wait(vec![Condition::Process(process()), Condition::Exists(path("/srv/app/ready"))], 1);
    let difference = desired.check(&site.system).unwrap().difference().unwrap();
    assert_eq!(difference.statements(), ["will wait for: app healthy: /srv/app/ready (it does not exist)"]);
    let mut orchestrator = Orchestrator::default();
    failure(apply(&site, &desired, &mut orchestrator));
    assert_eq!(
        orchestrator.progress.first().map(String::as_str),
        Some("waiting: /srv/app/ready (last answer: it does not exist), 0 s of 1 s")
    );
}

#[test]
fn where_matters_only_as_long_as_its_first_half_holds() {
    let site = Site::living();
    let exists = |name: &str| Box::new(Condition::Exists(path(name)));
    let desired =
        wait(vec![Condition::Where { when: exists("/srv/app/peer"), then: exists("/srv/app/done") }], 0);
    assert_eq!(desired.check(&site.system).unwrap(), Finding::UpToDate);
    fs::write(site.real("srv/app/peer"), "").unwrap();
    assert!(desired.check(&site.system).unwrap().difference().is_some());
    fs::write(site.real("srv/app/done"), "").unwrap();
    assert_eq!(desired.check(&site.system).unwrap(), Finding::UpToDate);
}

#[test]
fn a_broken_pattern_is_refused_at_once() {
    let site = Site::living();
    let refused = wait(vec![logged("(")], 1).check(&site.system).unwrap_err();
    assert!(refused.what.contains("invalid regular expression"), "{}", refused.what);
}

#[test]
fn port_is_quiet_without_counted_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let (served, _) = listener.accept().unwrap();
    let system = System::new(None, None).unwrap();
    let mut examiner = examiner::Examiner::new(&system);
    let here: IpAddr = "127.0.0.1".parse().unwrap();
    let quiet = |from: &[IpAddr], except: &[IpAddr]| Condition::Quiet {
        ports: vec![port],
        from: from.to_vec(),
        except: except.to_vec(),
    };
    let busy = examiner.look(&quiet(&[here], &[]));
    assert_eq!((busy.holds, busy.text.as_str()), (false, "1 connection"));
    assert!(examiner.look(&quiet(&[], &[])).holds, "the host's own do not count unless they are named");
    assert!(examiner.look(&quiet(&[here], &[here])).holds);
    assert!(examiner.look(&quiet(&["127.0.0.9".parse().unwrap()], &[])).holds);
    drop((client, served));
    let until = Instant::now() + Duration::from_secs(5);
    while !examiner.look(&quiet(&[here], &[])).holds {
        assert!(Instant::now() < until, "a closed connection counts on");
        std::thread::yield_now();
    }
}
