//! Queries with real agents in threads.

use apim_protocol::message::Job;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use apim_agent::serve::{Identity, serve};
use apim_agent::system::System;
use apim_protocol::observation::{Answer, Ended};
use apim_protocol::operation::command::Invocation;
use apim_protocol::operation::execute::Execute;
use apim_protocol::operation::{Mode, Operation};
use apim_protocol::outcome::Failure;
use apim_protocol::outcome::Outcome;
use tokio::sync::watch;
use tokio_util::io::SyncIoBridge;

use super::*;
use crate::host::HostName;
use crate::session::{Connect, Link};

/// A host simulated by a folder, with the number of connections and whether it is unreachable.
struct Folder {
    root: PathBuf,
    connected: AtomicUsize,
    is_away: bool,
}

impl Connect for Folder {
    fn connect<'a>(
        &'a self,
        host: &'a HostName,
    ) -> Pin<Box<dyn Future<Output = Result<Link, Failure>> + Send + 'a>> {
        Box::pin(async move {
            if self.is_away {
                return Err(Failure::new(format!("no route to {host}")).hint("is it up?"));
            }
            self.connected.fetch_add(1, Ordering::Relaxed);
            let (here, there) = tokio::io::duplex(64 * 1024);
            let (reader, writer) = tokio::io::split(here);
            let (input, output) = tokio::io::split(there);
            let (input, output) = (SyncIoBridge::new(input), SyncIoBridge::new(output));
            let root = self.root.clone();
            std::thread::spawn(move || {
                let system = System::new(Some(root), None).unwrap();
                // A client that disconnects early is not an error of the host.
                drop(serve(input, output, &system, &Identity { build: "b".into(), signals: false }));
            });
            Ok(Link::over(host.0.clone(), reader, writer))
        })
    }
}

fn shell(script: &str) -> HostQuery {
    let run = Invocation { argv: ["sh", "-c", script].map(str::to_owned).to_vec(), ..Invocation::default() };
    HostQuery {
        title: format!("exec: {script}"),
        job: Job::Operation {
            operation: Operation::Execute(Execute { run, reads_only: false }),
            mode: Mode::Apply,
        },
        own_deadline: Duration::from_secs(30),
        entries: None,
    }
}

fn printed(outcome: &Outcome) -> (Ended, String) {
    match outcome {
        Outcome::Observed(seen) => match seen.answers.as_slice() {
            [Answer::Printed(printed)] => (printed.ended, printed.stdout.clone()),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn terms() -> (watch::Sender<bool>, QueryOptions) {
    let (stop, stopped) = watch::channel(false);
    let terms = QueryOptions::look("r".into(), "me@here".into(), "test".into(), Stop::new(stopped));
    (stop, QueryOptions { lock: true, patience: Duration::ZERO, ..terms })
}

fn host(root: &std::path::Path) -> Folder {
    Folder { root: root.to_owned(), connected: AtomicUsize::new(0), is_away: false }
}

#[tokio::test(flavor = "multi_thread")]
async fn session_is_reused_between_queries() {
    let root = tempfile::tempdir().unwrap();
    let (connect, (_stop, terms)) = (host(root.path()), terms());
    let mut peer = HostClient::new(HostName("gw1".into()));
    for word in ["one", "two", "three"] {
        let asked = [shell(&format!("echo {word}")), shell("exit 4")];
        let outcomes = peer.ask(&connect, &terms, &asked, &|_, _| {}).await.unwrap();
        let said: Vec<_> = outcomes.iter().map(printed).collect();
        assert_eq!(said, [(Ended::Exited(0), format!("{word}\n")), (Ended::Exited(4), String::new())]);
    }
    peer.goodbye().await;
    assert_eq!(connect.connected.load(Ordering::Relaxed), 1);
    let journal = std::fs::read_to_string(root.path().join("var/lib/apim-deploy/journal.jsonl")).unwrap();
    assert_eq!(journal.lines().count(), 6, "{journal}");
    assert!(journal.contains("exec: echo two") && journal.contains("exit status 4"), "{journal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn locked_host_reports_the_lock_holder() {
    let root = tempfile::tempdir().unwrap();
    let (connect, (_stop, terms)) = (host(root.path()), terms());
    let mut first = HostClient::new(HostName("gw1".into()));
    first.ask(&connect, &terms, &[shell("true")], &|_, _| {}).await.unwrap();
    let mut second = HostClient::new(HostName("gw1".into()));
    let away = second.ask(&connect, &terms, &[shell("true")], &|_, _| {}).await.unwrap_err();
    assert!(away.why().contains("me@here") && away.hint().is_some(), "{away:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancellation_ends_the_running_command() {
    let root = tempfile::tempdir().unwrap();
    let (connect, (stop, terms)) = (host(root.path()), terms());
    let mut peer = HostClient::new(HostName("gw1".into()));
    let heard = |_: &HostName, heard: ClientEvent| {
        if matches!(heard, ClientEvent::Said(_)) {
            stop.send_replace(true);
        }
    };
    let outcomes = peer.ask(&connect, &terms, &[shell("sleep 600")], &heard).await.unwrap();
    assert_eq!(printed(&outcomes[0]).0, Ended::CalledOff);
}

#[tokio::test(flavor = "multi_thread")]
async fn unavailable_host_is_retried_by_next_query() {
    let root = tempfile::tempdir().unwrap();
    let (_stop, terms) = terms();
    let mut peers = vec![HostClient::new(HostName("gw1".into())), HostClient::new(HostName("gw2".into()))];
    let away = Folder { is_away: true, ..host(root.path()) };
    let asked = [shell("echo up")];
    let first = with_all(&mut peers, 2, |peer| peer.ask(&away, &terms, &asked, &|_, _| {})).await;
    assert!(first.iter().all(|one| one.as_ref().is_err_and(|away| away.hint().is_some())), "{first:?}");
    let back = host(root.path());
    let again = peers[0].ask(&back, &terms, &asked, &|_, _| {}).await.unwrap();
    assert_eq!(printed(&again[0]).1, "up\n");
}
