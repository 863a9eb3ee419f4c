//! The engine with real agents: the real agent loop in threads of this process, each with a folder
//! for its host.

use std::future::Future;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use apim_agent::serve::{Identity, serve};
use apim_agent::system::System;
use apim_protocol::operation::directory::Directory;
use apim_protocol::operation::file::{File, Show};
use apim_protocol::outcome::Failure;
use apim_protocol::outcome::Outcome;
use apim_protocol::value::{FileMode, Owner};
use tokio_util::io::SyncIoBridge;

use super::*;
use crate::engine::HostEnd;
use apim_product::StepOptions;
use apim_transport::session::{Connect, Link};

/// Hosts as folders below one.
pub(super) struct Folders {
    folder: tempfile::TempDir,
    /// The host whose next link breaks, once, after this many bytes.
    breaks: Mutex<Option<(String, u64)>>,
}

impl Folders {
    pub(super) fn new(hosts: &[&str]) -> Arc<Self> {
        let folder = tempfile::tempdir().unwrap();
        for host in hosts {
            std::fs::create_dir(folder.path().join(host)).unwrap();
        }
        Arc::new(Self { folder, breaks: Mutex::new(None) })
    }

    pub(super) fn of(&self, host: &str) -> PathBuf {
        self.folder.path().join(host)
    }

    /// Breaks the host's next link after this many bytes.
    pub(super) fn break_after(&self, host: &str, bytes: u64) {
        *self.breaks.lock().unwrap() = Some((host.to_owned(), bytes));
    }
}

/// One direction of a link that breaks, in both directions, after this many bytes.
struct Breaking<S>(S, Arc<AtomicU64>);

impl<S: Read> Read for Breaking<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.1.load(Ordering::Relaxed);
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.0.read(&mut buffer[..most])?;
        self.1.fetch_sub(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl<S: Write> Write for Breaking<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.1.load(Ordering::Relaxed) {
            0 => Err(io::ErrorKind::BrokenPipe.into()),
            _ => self.0.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Connect for Folders {
    fn connect<'a>(
        &'a self,
        host: &'a HostName,
    ) -> Pin<Box<dyn Future<Output = Result<Link, Failure>> + Send + 'a>> {
        let mut breaks = self.breaks.lock().unwrap();
        let after = match breaks.as_ref() {
            Some((name, after)) if *name == host.0 => {
                let after = *after;
                *breaks = None;
                after
            }
            _ => u64::MAX,
        };
        let (here, there) = tokio::io::duplex(64 * 1024);
        let (reader, writer) = tokio::io::split(here);
        let (input, output) = tokio::io::split(there);
        let left = Arc::new(AtomicU64::new(after));
        let input = Breaking(SyncIoBridge::new(input), Arc::clone(&left));
        let output = Breaking(SyncIoBridge::new(output), left);
        let root = self.of(&host.0);
        std::thread::spawn(move || {
            let system = System::new(Some(root), None).unwrap();
            // An agent whose link breaks ends with an error, as intended.
            drop(serve(input, output, &system, &Identity { build: "this".into(), signals: false }));
        });
        let link = Link::over(host.0.clone(), reader, writer);
        Box::pin(async move { Ok(link) })
    }
}

fn path(text: &str) -> AbsPath {
    AbsPath::parse(text).unwrap()
}

pub(super) fn step(id: u32, title: &str, operation: Operation) -> Step {
    Step {
        id: StepId(id),
        title: title.into(),
        work: operation.into(),
        node: None,
        budget: None,
        proves_health: false,
        options: StepOptions::default(),
        rescue: Vec::new(),
    }
}

/// A folder and a big file in it on every host, then a small file.
fn plan(hosts: &[&str]) -> Plan {
    let mut plan = Plan::default();
    let big: Vec<u8> = (0..2_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let (big, small) = (plan.contents.add(big), plan.contents.add(b"small\n".to_vec()));
    let file = |at: &str, content| {
        let (mode, owner) = (Some(FileMode::new(0o640)), Owner::default());
        Operation::File(File { path: path(at), content, mode, owner, show: Show::Text })
    };
    let mut id = 0;
    let mut stage = |title: &str, steps: &dyn Fn() -> Vec<(&'static str, Operation)>| {
        let lanes = hosts.iter().map(|name| {
            let steps = steps().into_iter().map(|(title, operation)| {
                id += 1;
                step(id, title, operation)
            });
            Lane { host: host(name), steps: steps.collect() }
        });
        let lanes = lanes.collect();
        Stage { title: title.into(), lanes, width: None, on_failure: OnFailure::StopAtBarrier }
    };
    let folder =
        || Operation::Directory(Directory { path: path("/srv/app"), mode: None, owner: Owner::default() });
    let first = stage("put", &|| vec![("folder", folder()), ("big file", file("/srv/app/big", big))]);
    let second = stage("configure", &|| vec![("small file", file("/srv/app/small", small))]);
    plan.stages = vec![first, second];
    plan
}

async fn apply(plan: &Plan, hosts: &Arc<Folders>, mode: Mode) -> (RunResult, Vec<Event>) {
    let (events, mut happened) = mpsc::unbounded_channel();
    let (_sender, interrupt) = watch::channel(Interrupt::None);
    let mut settings = Settings::new(mode, "apply");
    settings.run = "r".into();
    settings.timeouts.reconnect = Duration::from_secs(20);
    let run = super::super::run(
        Arc::new(plan.clone()),
        Arc::clone(hosts) as _,
        Arc::new(UnsupportedTasks),
        settings,
        events,
        interrupt,
    );
    let result = tokio::time::timeout(Duration::from_secs(60), run).await.expect("the run hangs");
    let mut all = Vec::new();
    while let Ok(event) = happened.try_recv() {
        all.push(event);
    }
    (result, all)
}

fn is_whole(folder: &Path) -> bool {
    let length = std::fs::metadata(folder.join("srv/app/big")).map(|meta| meta.len());
    length.is_ok_and(|length| length == 2_000_000)
        && std::fs::read(folder.join("srv/app/small")).is_ok_and(|text| text == b"small\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn check_changes_nothing_and_second_apply_changes_nothing() {
    let names = ["a", "b", "c"];
    let (plan, hosts) = (plan(&names), Folders::new(&names));
    let (look, _) = apply(&plan, &hosts, Mode::Check).await;
    assert_eq!((look.changes(), look.is_success()), (9, true), "{look:?}");
    assert!(!hosts.of("a").join("srv").exists());

    let (first, _) = apply(&plan, &hosts, Mode::Apply).await;
    assert_eq!((first.changes(), first.is_success()), (9, true), "{first:?}");
    assert!(names.iter().all(|name| is_whole(&hosts.of(name))));

    let (second, events) = apply(&plan, &hosts, Mode::Apply).await;
    assert!(second.nothing_to_do && second.is_success(), "{second:?}");
    assert!(!events.iter().any(|event| matches!(event, Event::Sending(..))), "no content is sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_link_during_upload_is_reopened() {
    let (plan, hosts) = (plan(&["a", "b"]), Folders::new(&["a", "b"]));
    hosts.break_after("a", 900_000);
    let (result, events) = apply(&plan, &hosts, Mode::Apply).await;
    assert!(result.is_success(), "{result:?}");
    assert!(events.iter().any(|event| matches!(event, Event::Reconnecting(..))));
    assert!(is_whole(&hosts.of("a")) && is_whole(&hosts.of("b")));
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_host_does_not_affect_other_hosts() {
    let (plan, hosts) = (plan(&["a", "b"]), Folders::new(&["a", "b"]));
    std::fs::write(hosts.of("a").join("srv"), "a file where a folder should be").unwrap();
    let (result, _) = apply(&plan, &hosts, Mode::Apply).await;
    assert_eq!(result.hosts[&host("a")].end, HostEnd::Failed("folder".into()));
    assert!(matches!(result.outcomes[&StepId(1)], Outcome::Failed(_)));
    assert_eq!(result.hosts[&host("b")].tally.changed, 2, "b finishes the stage");
    assert!(!hosts.of("b").join("srv/app/small").exists(), "and stops at the barrier");
}
