//! Steps that end on a real host while its link is down are reported after the reconnect, and never
//! run twice.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Mutex;

use apim_agent::serve::{Identity, serve};
use apim_agent::system::System;
use apim_protocol::operation::command::{Command, Invocation};
use apim_protocol::outcome::Failure;
use apim_protocol::outcome::Outcome;
use tokio::task::AbortHandle;
use tokio_util::io::SyncIoBridge;

use super::*;
use crate::engine::HostEnd;
use apim_transport::session::{Connect, Link};

/// One host with a link that can be cut.
struct Cabled {
    root: PathBuf,
    cable: Mutex<Option<AbortHandle>>,
}

impl Connect for Cabled {
    fn connect<'a>(
        &'a self,
        host: &'a HostName,
    ) -> Pin<Box<dyn Future<Output = Result<Link, Failure>> + Send + 'a>> {
        let (here, mut near) = tokio::io::duplex(64 * 1024);
        let (mut far, there) = tokio::io::duplex(64 * 1024);
        let cable =
            tokio::spawn(async move { drop(tokio::io::copy_bidirectional(&mut near, &mut far).await) });
        *self.cable.lock().unwrap() = Some(cable.abort_handle());
        let (input, output) = tokio::io::split(there);
        let (input, output) = (SyncIoBridge::new(input), SyncIoBridge::new(output));
        let root = self.root.clone();
        std::thread::spawn(move || {
            let system = System::new(Some(root), None).unwrap();
            // An agent whose link broke may end with an error, which is ignored.
            drop(serve(input, output, &system, &Identity { build: "this".into(), signals: false }));
        });
        let (reader, writer) = tokio::io::split(here);
        let link = Link::over(host.0.clone(), reader, writer);
        Box::pin(async move { Ok(link) })
    }
}

/// Runs these shell commands on a host. Cuts the link during the first command, which then
/// continues.
async fn cut_during_the_first(root: &Path, commands: &[&str]) -> (RunResult, Vec<Event>) {
    std::fs::write(root.join("count"), "").unwrap();
    let steps = commands.iter().zip(1..).map(|(script, id)| {
        let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
        let run = Invocation { argv, directory: Some(AbsPath::parse("/").unwrap()), ..Invocation::default() };
        let (creates, removes, unless, success) = (None, None, None, Vec::new());
        let operation = Operation::Command(Command { run, creates, removes, unless, success, changes: true });
        super::real::step(id, &format!("step {id}"), operation)
    });
    let mut plan = Plan::default();
    let lanes = vec![Lane { host: host("a"), steps: steps.collect() }];
    let on_failure = OnFailure::StopAtBarrier;
    plan.stages.push(Stage { title: "s".into(), lanes, width: None, on_failure });
    let hosts = Arc::new(Cabled { root: root.to_owned(), cable: Mutex::default() });
    let mut settings = Settings::new(Mode::Apply, "apply");
    settings.run = "one run".into();
    settings.timeouts.reconnect = Duration::from_secs(30);
    let (events, mut happened) = mpsc::unbounded_channel();
    let (_sender, interrupt) = watch::channel(Interrupt::None);
    let run = super::super::run(
        Arc::new(plan),
        Arc::clone(&hosts) as _,
        Arc::new(UnsupportedTasks),
        settings,
        events,
        interrupt,
    );
    let run = tokio::spawn(tokio::time::timeout(Duration::from_secs(60), run));
    let mut all = Vec::new();
    while let Some(event) = happened.recv().await {
        match &event {
            Event::StepStarted(_, StepId(1), _) => {
                // The command is running: its first line is written.
                while std::fs::read(root.join("count")).unwrap().is_empty() {
                    tokio::task::yield_now().await;
                }
                hosts.cable.lock().unwrap().take().unwrap().abort();
            }
            Event::Reconnecting(..) => std::fs::write(root.join("go on"), "").unwrap(),
            _ => {}
        }
        all.push(event);
    }
    (run.await.unwrap().expect("the run hangs"), all)
}

const FIRST: &str = "echo first >> count; until [ -e 'go on' ]; do sleep 0.01; done";

#[tokio::test(flavor = "multi_thread")]
async fn step_that_ends_while_link_is_down_runs_once() {
    let root = tempfile::tempdir().unwrap();
    let (result, events) = cut_during_the_first(root.path(), &[FIRST, "echo second >> count"]).await;
    assert!(result.is_success(), "{result:?}");
    assert!(events.iter().any(|event| matches!(event, Event::Reconnecting(..))));
    assert_eq!(std::fs::read_to_string(root.path().join("count")).unwrap(), "first\nsecond\n");
    assert_eq!(result.hosts[&host("a")].tally.changed, 2);
    let took = events.iter().find_map(|event| match event {
        Event::StepFinished(_, StepId(1), _, Outcome::Changed(_), took) => Some(*took),
        _ => None,
    });
    assert!(took.unwrap() > Duration::ZERO);
}

#[tokio::test(flavor = "multi_thread")]
async fn command_that_fails_while_link_is_down_is_not_retried() {
    let root = tempfile::tempdir().unwrap();
    let first = format!("{FIRST}; exit 3");
    let (result, _) = cut_during_the_first(root.path(), &[&first, "echo second >> count"]).await;
    assert_eq!(result.hosts[&host("a")].end, HostEnd::Failed("step 1".into()));
    assert_eq!(std::fs::read_to_string(root.path().join("count")).unwrap(), "first\n");
    let Outcome::Failed(failure) = &result.outcomes[&StepId(1)] else { panic!() };
    assert!(!failure.what.is_empty());
}
