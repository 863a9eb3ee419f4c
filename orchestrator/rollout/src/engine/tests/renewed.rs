//! A zip for hosts with the previous release: only missing parts are sent, and only content that a
//! step may request.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use apim_protocol::operation::archive::outline::Outline;
use apim_protocol::operation::archive::part::Part;
use apim_protocol::operation::archive::{Archive, Format, Source};
use apim_protocol::outcome::Outcome;
use apim_protocol::value::{Content, Owner, Sha256};

use super::real::{Folders, step};
use super::*;
use crate::engine::Outliner;
use crate::plan::model::ContentSource;

/// A zip of twenty files that do not compress. The files in `other` differ from those of the other
/// zips.
fn zip(path: &Path, other: &[u32]) -> Content {
    let mut zip = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    for n in 0..20_u32 {
        let mut state = n * 2 + 1 + u32::from(other.contains(&n)) * 1000;
        let bytes: Vec<u8> = (0..40_000)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                state.to_le_bytes()[1]
            })
            .collect();
        let options = zip::write::SimpleFileOptions::default().unix_permissions(0o640 + (n % 2) * 0o111);
        zip.start_file(format!("app/lib/{n}.jar"), options).unwrap();
        zip.write_all(&bytes).unwrap();
    }
    zip.finish().unwrap();
    Content::of(&std::fs::read(path).unwrap())
}

struct Upgrade {
    folder: tempfile::TempDir,
    settings: Settings,
    outlined: Arc<AtomicU32>,
}

impl Upgrade {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let outlined = Arc::new(AtomicU32::new(0));
        let (place, count) = (folder.path().to_owned(), Arc::clone(&outlined));
        let make = move |sha256: Sha256, zip: &Path| {
            count.fetch_add(1, Ordering::Relaxed);
            let outline = Outline::of(zip).map_err(|error| error.to_string())?;
            let bytes = outline.ok_or("unusual")?.to_bytes().map_err(|error| error.to_string())?;
            let path = place.join(format!("{sha256}.outline"));
            std::fs::write(&path, &bytes).map_err(|error| error.to_string())?;
            Ok(Some((path, Content::of(&bytes))))
        };
        let mut settings = Settings::new(Mode::Apply, "apply");
        settings.run = "r".into();
        settings.timeouts.reconnect = Duration::from_secs(20);
        settings.outliner = Some(Outliner(Arc::new(make)));
        Self { folder, settings, outlined }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Installs `content`, the zip at `path`, on the hosts as the release `name`.
    async fn install(
        &self,
        hosts: &Arc<Folders>,
        names: &[&str],
        zip: (Content, &str),
    ) -> (RunResult, Vec<Event>) {
        let (content, name) = zip;
        let mut plan = Plan::default();
        plan.contents.sources.insert(content.sha256, ContentSource::File(self.at(name)));
        let archive = Operation::Archive(Archive {
            source: Source::Pushed(content),
            format: Format::Zip,
            destination: AbsPath::parse(&format!("/opt/{name}")).unwrap(),
            strip_top: true,
            owner: Owner::default(),
            prepare: Vec::new(),
            max_bytes: 1 << 30,
            max_entries: 100,
        });
        let lanes = names
            .iter()
            .zip(1..)
            .map(|(name, id)| Lane { host: host(name), steps: vec![step(id, "release", archive.clone())] });
        let lanes = lanes.collect();
        plan.stages =
            vec![Stage { title: "install".into(), lanes, width: None, on_failure: OnFailure::StopAtBarrier }];
        let (events, mut happened) = mpsc::unbounded_channel();
        let (_wish, interrupt) = watch::channel(Interrupt::None);
        let connect = Arc::clone(hosts) as _;
        let run = super::super::run(
            Arc::new(plan),
            connect,
            Arc::new(UnsupportedTasks),
            self.settings.clone(),
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
}

/// How many bytes of content were sent, over all contents.
fn sent(events: &[Event]) -> u64 {
    let (mut sent, mut before) = (0, BTreeMap::new());
    for event in events {
        if let Event::Sending(host, step, done, total) = event {
            let last = before.insert((host.clone(), step.0, *total), *done).unwrap_or(0);
            sent += done.saturating_sub(last);
        }
    }
    sent
}

fn same_files(host: &Path, zip: &Path, release: &str) -> bool {
    let mut zip = zip::ZipArchive::new(std::fs::File::open(zip).unwrap()).unwrap();
    (0..zip.len()).all(|n| {
        let mut entry = zip.by_index(n).unwrap();
        let name = entry.name().unwrap().trim_start_matches("app/").to_owned();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
        std::fs::read(host.join("opt").join(release).join(name)).is_ok_and(|found| found == bytes)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn only_missing_parts_are_sent_and_outline_is_created_once() {
    let (upgrade, hosts) = (Upgrade::new(), Folders::new(&["a", "b"]));
    let old = zip(&upgrade.at("one"), &[]);
    let new = zip(&upgrade.at("two"), &[3, 4, 11]);
    for name in ["a", "b"] {
        std::fs::create_dir(hosts.of(name).join("opt")).unwrap();
    }
    let (first, events) = upgrade.install(&hosts, &["a", "b"], (old, "one")).await;
    assert!(first.is_success(), "{first:?}");
    assert_eq!((sent(&events), upgrade.outlined.load(Ordering::Relaxed)), (2 * old.size, 0));

    let (second, events) = upgrade.install(&hosts, &["a", "b"], (new, "two")).await;
    assert!(second.is_success(), "{second:?}");
    assert!((2 * 120_000..2 * 130_000).contains(&sent(&events)), "{} of {}", sent(&events), 2 * new.size);
    assert_eq!(upgrade.outlined.load(Ordering::Relaxed), 1);
    for name in ["a", "b"] {
        assert!(same_files(&hosts.of(name), &upgrade.at("two"), "two"));
    }
    let Outcome::Changed(done) = &second.outcomes[&StepId(1)] else { panic!() };
    let item = done.changes.last().unwrap().to_string();
    assert!(item.contains("sent") && item.ends_with("taken from one"), "{item}");
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_link_during_parts_keeps_received_parts() {
    let (upgrade, hosts) = (Upgrade::new(), Folders::new(&["a"]));
    let old = zip(&upgrade.at("one"), &[]);
    let new = zip(&upgrade.at("two"), &[1, 2, 3, 5, 8, 13, 16, 17, 18]);
    std::fs::create_dir(hosts.of("a").join("opt")).unwrap();
    upgrade.install(&hosts, &["a"], (old, "one")).await;
    hosts.break_after("a", 250_000);
    let (result, events) = upgrade.install(&hosts, &["a"], (new, "two")).await;
    assert!(result.is_success(), "{result:?}");
    assert!(events.iter().any(|event| matches!(event, Event::Reconnecting(..))));
    assert!(same_files(&hosts.of("a"), &upgrade.at("two"), "two"));
    assert!(sent(&events) < new.size * 7 / 10, "received parts were kept: {}", sent(&events));
}

#[tokio::test(flavor = "multi_thread")]
async fn zip_is_sent_whole_without_outline() {
    let (mut upgrade, hosts) = (Upgrade::new(), Folders::new(&["a"]));
    let old = zip(&upgrade.at("one"), &[]);
    let new = zip(&upgrade.at("two"), &[3]);
    std::fs::create_dir(hosts.of("a").join("opt")).unwrap();
    upgrade.install(&hosts, &["a"], (old, "one")).await;
    upgrade.settings.outliner = Some(Outliner(Arc::new(|_, _| Err("the disk is full".into()))));
    let (result, events) = upgrade.install(&hosts, &["a"], (new, "two")).await;
    assert!(result.is_success() && sent(&events) == new.size, "{result:?}");
    let item = |event: &Event| matches!(event, Event::Note(_, note) if note.contains("the disk is full"));
    assert!(events.iter().any(item));
}

#[tokio::test(start_paused = true)]
async fn only_valid_parts_of_own_content_are_sent() {
    let upgrade = Upgrade::new();
    let mine = zip(&upgrade.at("mine"), &[]);
    let another = zip(&upgrade.at("another"), &[1]);
    let part = |from, length| Part { from, length };
    for (content, parts, is_sent) in [
        (mine, vec![part(0, 10), part(100, 50)], true),
        (mine, vec![part(mine.size - 1, 1)], true),
        (mine, vec![part(mine.size - 1, 2)], false),
        (mine, vec![part(100, 50), part(0, 10)], false),
        (mine, vec![part(0, 100), part(50, 10)], false),
        (mine, vec![part(u64::MAX, 2)], false),
        (mine, vec![], false),
        (Content { size: mine.size + 1000, ..mine }, vec![part(mine.size, 10)], false),
        (another, vec![part(0, 10)], false),
    ] {
        let mut scene = Scene::new();
        scene.settings.outliner = upgrade.settings.outliner.clone();
        for (content, name) in [(mine, "mine"), (another, "another")] {
            scene.plan.contents.sources.insert(content.sha256, ContentSource::File(upgrade.at(name)));
        }
        scene.stage(OnFailure::StopAtBarrier);
        let work = Operation::Archive(Archive {
            source: Source::Pushed(mine),
            format: Format::Zip,
            destination: AbsPath::parse("/opt/app").unwrap(),
            strip_top: true,
            owner: Owner::default(),
            prepare: Vec::new(),
            max_bytes: 1,
            max_entries: 1,
        });
        scene.step("a", Act::FetchParts(content, parts.clone())).work = work.into();
        let (result, _) = scene.run().await;
        assert_eq!(result.is_success(), is_sent, "{parts:?} of {content:?}");
    }
}
