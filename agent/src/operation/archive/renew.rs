//! A release is made from the one before it: what a former release next to the destination contains unchanged is copied, and only the
//! rest of the zip is asked for.
//!
//! Files on the host may have been edited since: every file, copied or sent, is hashed while it is written, and counts only when it
//! is what the zip's outline says. Whatever is unusual ends in the whole zip being sent, as if there were no former release.

use std::collections::BTreeSet;
use std::fs;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use apim_protocol::operation::archive::outline::{MAX_BYTES, Outline, Outlined};
use apim_protocol::operation::archive::part::{MAX_PARTS, Part, joined};
use apim_protocol::operation::archive::{Archive, Format, Source};
use apim_protocol::outcome::Failure;
use apim_protocol::value::{AbsPath, Content};

use super::bytes::{Gathered, ZipBytes};
use super::contents::Unpacked;
use super::unzip;
use super::unzip::{Job, Judged};
use crate::operation::support::dialogue::Dialogue;
use crate::system::{Cursor, System, Tree};

/// When more than this percentage of the zip would have to be sent, all of it is.
const WORTH_IT: u64 = 70;
/// So many former releases are looked into, the newest first.
const MAX_FORMER: usize = 3;

/// A zip whose outline is here.
struct Known {
    content: Content,
    outline: Arc<Outline>,
    /// How many bytes it took to say so.
    told: u64,
    judged: Judged,
}

/// A release next to the destination.
struct Former<'a> {
    system: &'a System,
    at: AbsPath,
}

/// Fills the new folder `beside` from former releases and from parts of the zip; `None`, and no such folder, when the zip is to
/// come as a whole.
pub(super) fn renew(
    archive: &Archive,
    system: &System,
    dialogue: &mut dyn Dialogue,
    beside: &AbsPath,
) -> Result<Option<Unpacked>, Failure> {
    let (Source::Pushed(content), Format::Zip) = (&archive.source, archive.format) else { return Ok(None) };
    let formers = formers(archive, system)?;
    if formers.is_empty() {
        return Ok(None);
    }
    let Some(outline) = dialogue.outline(content)? else { return Ok(None) };
    let Some(known) = known(archive, content, &outline) else { return Ok(None) };
    let lacks = |job: &&Job| !formers.iter().any(|former| former.open(job).is_some());
    if !known.is_worth_it(&known.parts(known.judged.jobs.iter().filter(lacks))) {
        return Ok(None);
    }
    let tree = system.new_tree(beside, system.ids(&archive.owner)?, archive.max_bytes)?;
    let renewed = known.fill(&formers, &tree, dialogue)?;
    if renewed.is_none() {
        system.remove(beside, true)?;
    }
    Ok(renewed.map(|(names, note)| Unpacked { tree, names, file: None, note: Some(note) }))
}

/// Returns the releases next to the destination that were unpacked here, the newest first.
fn formers<'a>(archive: &Archive, system: &'a System) -> Result<Vec<Former<'a>>, Failure> {
    let parent = archive.destination.parent();
    let mut found = Vec::new();
    for name in system.names(&parent)? {
        // A name that cannot be used is not a release, nor is one that is being removed or unpacked.
        let Ok(at) = parent.join(&name) else { continue };
        if at == archive.destination || name.contains(".unpack-") {
            continue;
        }
        if let Ok(Some(finished)) = super::stamp::finished(system, &at) {
            found.push((finished, Former { system, at }));
        }
    }
    found.sort_by_key(|(finished, _)| std::cmp::Reverse(*finished));
    found.truncate(MAX_FORMER);
    Ok(found.into_iter().map(|(_, former)| former).collect())
}

/// Returns what is in the zip by its outline, which is in the file `path`; `None` when that is not all of it.
fn known(archive: &Archive, content: &Content, path: &Path) -> Option<Known> {
    let file = File::open(path).ok()?;
    let told = file.metadata().ok()?.len();
    let outline = Outline::read(file.take(MAX_BYTES)).ok()?;
    if outline.size() != content.size {
        return None;
    }
    let outline = Arc::new(outline);
    let mut judged = unzip::judge(archive, &ZipBytes::Parts(Arc::clone(&outline), None)).ok()?;
    for job in &mut judged.jobs {
        job.sha256 = Some(outline.files.get(&job.told.offset)?.sha256);
    }
    Some(Known { content: *content, outline, told, judged })
}

impl Former<'_> {
    /// Opens the file that may be what `job` wants.
    fn open(&self, job: &Job) -> Option<File> {
        let path = self.at.join(job.told.path.as_path().to_str()?).ok()?;
        let file = self.system.open(&path).ok()??;
        (file.metadata().ok()?.len() == job.told.size).then_some(file)
    }

    /// Copies that file if it is what `job` wants.
    fn give(&self, job: &Job, tree: &Tree, cursor: &mut Cursor) -> bool {
        let Some(file) = self.open(job) else { return false };
        // It may grow while it is read.
        let is_right = unzip::write(tree, cursor, job, &mut file.take(job.told.size)).is_ok();
        if !is_right {
            tree.remove_file(&job.told.path).ok();
        }
        is_right
    }

    fn name(&self) -> &str {
        self.at.name()
    }
}

impl Known {
    /// Returns the parts of the zip that hold `jobs`.
    fn parts<'a>(&self, jobs: impl Iterator<Item = &'a Job>) -> Vec<Part> {
        let mut parts: Vec<Part> = jobs
            .filter_map(|job| self.outline.files.get(&job.told.offset))
            .map(|Outlined { part, .. }| *part)
            .collect();
        parts.sort_unstable_by_key(|part| part.from);
        joined(parts)
    }

    fn sent(&self, parts: &[Part]) -> u64 {
        parts.iter().map(|part| part.length).sum::<u64>().saturating_add(self.told)
    }

    fn is_worth_it(&self, parts: &[Part]) -> bool {
        parts.len() <= MAX_PARTS
            && self.sent(parts).saturating_mul(100) <= self.content.size.saturating_mul(WORTH_IT)
    }

    /// Writes all files into `tree`; returns the zip's entries and a note for people, `None` when it is to come as a whole.
    fn fill(
        mut self,
        formers: &[Former<'_>],
        tree: &Tree,
        dialogue: &mut dyn Dialogue,
    ) -> Result<Option<(super::contents::Names, String)>, Failure> {
        let (missing, givers) = self.copy(formers, tree, dialogue);
        let parts = self.parts(missing.iter().filter_map(|at| self.judged.jobs.get(*at)));
        if !self.is_worth_it(&parts) {
            return Ok(None);
        }
        let file = if parts.is_empty() { None } else { Some(dialogue.parts(&self.content, &parts)?) };
        let gathered = file.as_deref().map(|file| Gathered::new(file, &parts));
        let sent = self.sent(&parts);
        let mut at = 0;
        self.judged.jobs.retain(|_| {
            at += 1;
            missing.contains(&(at - 1))
        });
        let bytes = ZipBytes::Parts(self.outline, gathered);
        let Ok(names) = self.judged.unpack(&bytes, tree, dialogue) else {
            // What was kept of an upload that broke off may have been spoilt; it is not used again.
            file.map(fs::remove_file);
            return Ok(None);
        };
        let (size, taken) = (self.content.size, self.content.size.saturating_sub(sent));
        let from: Vec<&str> = givers.iter().filter_map(|at| formers.get(*at)).map(Former::name).collect();
        let (size, sent, taken, from) = (amount(size), amount(sent), amount(taken), from.join(", "));
        Ok(Some((names, format!("{size} zip: {sent} sent, {taken} taken from {from}"))))
    }

    /// Copies what is at hand; returns the jobs that are left, and which former releases gave something.
    fn copy(
        &self,
        formers: &[Former<'_>],
        tree: &Tree,
        dialogue: &mut dyn Dialogue,
    ) -> (BTreeSet<usize>, BTreeSet<usize>) {
        let jobs = &self.judged.jobs;
        let (missing, givers) = (Mutex::new(BTreeSet::new()), Mutex::new(BTreeSet::new()));
        let note = |set: &Mutex<BTreeSet<usize>>, at| {
            set.lock().unwrap_or_else(PoisonError::into_inner).insert(at);
        };
        let mut told =
            || dialogue.progress("copying what has not changed", tree.written(), self.judged.total);
        let copied = unzip::in_threads(jobs.len(), &mut told, &|next| {
            let mut cursor = Cursor::default();
            while let Some((at, job)) = next().and_then(|at| Some((at, jobs.get(at)?))) {
                match formers.iter().position(|former| former.give(job, tree, &mut cursor)) {
                    Some(giver) => note(&givers, giver),
                    None => note(&missing, at),
                }
            }
            Ok(())
        });
        debug_assert!(copied.is_ok(), "what cannot be copied is missing");
        let set = |set: Mutex<BTreeSet<usize>>| set.into_inner().unwrap_or_else(PoisonError::into_inner);
        (set(missing), set(givers))
    }
}

/// Shows a number of bytes.
fn amount(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", bytes.div_ceil(1_000)),
        1_000_000.. => format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10),
    }
}
