//! Rounds with real agents: their real loop in threads of this program.

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
use apim_protocol::outcome::Outcome;
use tokio::sync::watch;
use tokio_util::io::SyncIoBridge;

use super::*;
use crate::inventory::host::HostName;
use crate::session::{Connect, ConnectError, Link};

/// A host that is a folder; how often somebody connected to it, and whether nobody can.
struct Folder {
    root: PathBuf,
    connected: AtomicUsize,
    is_away: bool,
}

impl Connect for Folder {
    fn connect<'a>(
        &'a self,
        host: &'a HostName,
    ) -> Pin<Box<dyn Future<Output = Result<Link, ConnectError>> + Send + 'a>> {
        Box::pin(async move {
            if self.is_away {
                return Err(ConnectError {
                    what: format!("no route to {host}"),
                    hint: Some("is it up?".into()),
                });
            }
            self.connected.fetch_add(1, Ordering::Relaxed);
            let (here, there) = tokio::io::duplex(64 * 1024);
            let (reader, writer) = tokio::io::split(here);
            let (input, output) = tokio::io::split(there);
            let (input, output) = (SyncIoBridge::new(input), SyncIoBridge::new(output));
            let root = self.root.clone();
            std::thread::spawn(move || {
                let system = System::new(Some(root), None).unwrap();
                // Whoever hangs up in the middle is no error of the host.
                drop(serve(input, output, &system, &Identity { build: "b".into(), signals: false }));
            });
            Ok(Link::over(host.0.clone(), reader, writer))
        })
    }
}

fn shell(script: &str) -> Asked {
    let run = Invocation { argv: ["sh", "-c", script].map(str::to_owned).to_vec(), ..Invocation::default() };
    Asked {
        title: format!("exec: {script}"),
        job: Job::Operation {
            operation: Operation::Execute(Execute { run, reads_only: false }),
            mode: Mode::Apply,
        },
        takes: Duration::from_secs(30),
        told: None,
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

fn terms() -> (watch::Sender<bool>, Terms) {
    let (stop, stopped) = watch::channel(false);
    let terms = Terms::look("r".into(), "me@here".into(), "test".into(), Stop::new(stopped));
    (stop, Terms { lock: true, patience: Duration::ZERO, ..terms })
}

fn host(root: &std::path::Path) -> Folder {
    Folder { root: root.to_owned(), connected: AtomicUsize::new(0), is_away: false }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_stays_open_from_round_to_round() {
    let root = tempfile::tempdir().unwrap();
    let (connect, (_stop, terms)) = (host(root.path()), terms());
    let mut peer = Peer::new(HostName("gw1".into()));
    for round in ["one", "two", "three"] {
        let asked = [shell(&format!("echo {round}")), shell("exit 4")];
        let outcomes = peer.ask(&connect, &terms, &asked, &|_, _| {}).await.unwrap();
        let said: Vec<_> = outcomes.iter().map(printed).collect();
        assert_eq!(said, [(Ended::Exited(0), format!("{round}\n")), (Ended::Exited(4), String::new())]);
    }
    peer.goodbye().await;
    assert_eq!(connect.connected.load(Ordering::Relaxed), 1);
    let journal = std::fs::read_to_string(root.path().join("var/lib/apim-deploy/journal.jsonl")).unwrap();
    assert_eq!(journal.lines().count(), 6, "{journal}");
    assert!(journal.contains("exec: echo two") && journal.contains("exit status 4"), "{journal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_another_run_holds_is_told_with_its_holder() {
    let root = tempfile::tempdir().unwrap();
    let (connect, (_stop, terms)) = (host(root.path()), terms());
    let mut first = Peer::new(HostName("gw1".into()));
    first.ask(&connect, &terms, &[shell("true")], &|_, _| {}).await.unwrap();
    let mut second = Peer::new(HostName("gw1".into()));
    let away = second.ask(&connect, &terms, &[shell("true")], &|_, _| {}).await.unwrap_err();
    assert!(away.why.contains("me@here") && away.hint.is_some(), "{away:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_is_ended_when_the_user_leaves_off() {
    let root = tempfile::tempdir().unwrap();
    let (connect, (stop, terms)) = (host(root.path()), terms());
    let mut peer = Peer::new(HostName("gw1".into()));
    let heard = |_: &HostName, heard: Heard| {
        if matches!(heard, Heard::Said(_)) {
            stop.send_replace(true);
        }
    };
    let outcomes = peer.ask(&connect, &terms, &[shell("sleep 600")], &heard).await.unwrap();
    assert_eq!(printed(&outcomes[0]).0, Ended::CalledOff);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_away_is_asked_again_the_next_time() {
    let root = tempfile::tempdir().unwrap();
    let (_stop, terms) = terms();
    let mut peers = vec![Peer::new(HostName("gw1".into())), Peer::new(HostName("gw2".into()))];
    let away = Folder { is_away: true, ..host(root.path()) };
    let asked = [shell("echo up")];
    let first = with_all(&mut peers, 2, |peer| peer.ask(&away, &terms, &asked, &|_, _| {})).await;
    assert!(first.iter().all(|one| one.as_ref().is_err_and(|away| away.hint.is_some())), "{first:?}");
    let back = host(root.path());
    let again = peers[0].ask(&back, &terms, &asked, &|_, _| {}).await.unwrap();
    assert_eq!(printed(&again[0]).1, "up\n");
}
