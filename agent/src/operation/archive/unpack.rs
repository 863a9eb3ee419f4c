//! Getting an archive and unpacking it into a new folder: begun while it arrives, and ended once its digest held.

use std::fs::File;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use apim_protocol::operation::archive::{Archive, Format, Source};
use apim_protocol::outcome::Failure;
use apim_protocol::value::AbsPath;

use super::arriving::Early;
use super::bytes::ZipBytes;
use super::contents::{Names, UnpackError, Unpacked, what};
use super::{arriving, renew, untar, unzip};
use crate::operation::support::arrival::Arrival;
use crate::operation::support::dialogue::Dialogue;
use crate::operation::support::pull;
use crate::system::{System, Tree};

/// What was done on the way.
enum Start {
    /// Nothing: it was here already.
    None,
    /// All of it.
    All(Names),
    /// These files.
    Some(Vec<Early>),
    /// Something that must be thrown away.
    Void,
}

/// Fetches the archive and unpacks it into the new folder `beside`.
pub(super) fn unpack(
    archive: &Archive,
    system: &System,
    dialogue: &mut dyn Dialogue,
    beside: &AbsPath,
) -> Result<Unpacked, Failure> {
    if let Some(unpacked) = renew::renew(archive, system, dialogue, beside)? {
        return Ok(unpacked);
    }
    let ids = system.ids(&archive.owner)?;
    let tree = system.new_tree(beside, ids, archive.max_bytes)?;
    let (file, start) = receive(archive, system, dialogue, &tree)?;
    let failed = |error: UnpackError| error.failure(what(archive));
    match complete(archive, dialogue, &tree, &file, start).map_err(failed)? {
        Some(names) => Ok(Unpacked { tree, names, file: Some(file), note: None }),
        None => {
            drop(tree);
            system.remove(beside, true)?;
            let tree = system.new_tree(beside, ids, archive.max_bytes)?;
            match complete(archive, dialogue, &tree, &file, Start::None).map_err(failed)? {
                Some(names) => Ok(Unpacked { tree, names, file: Some(file), note: None }),
                None => Err(Failure::new(what(archive))),
            }
        }
    }
}

/// Gets the archive while another thread unpacks what has come of it.
fn receive(
    archive: &Archive,
    system: &System,
    dialogue: &mut dyn Dialogue,
    tree: &Tree,
) -> Result<(PathBuf, Start), Failure> {
    let arrival = Arrival::default();
    thread::scope(|scope| {
        let (done, is_done) = channel::<()>();
        let arriving = &arrival;
        let early = scope.spawn(move || {
            let _until_the_end = done;
            begin(archive, arriving, tree)
        });
        let file = match &archive.source {
            Source::Pushed(content) => dialogue.content_arriving(content, &arrival),
            Source::Pulled(pull) => pull::fetch(system, pull, dialogue, &arrival),
        };
        arrival.end(file.is_ok());
        while let Err(RecvTimeoutError::Timeout) = is_done.recv_timeout(Duration::from_millis(200)) {
            dialogue.progress("unpacking", tree.written(), 0);
        }
        let start = early.join().unwrap_or(Start::Void);
        file.map(|file| (file, start))
    })
}

fn begin(archive: &Archive, arrival: &Arrival, tree: &Tree) -> Start {
    let Some(from) = arrival.follow() else { return Start::None };
    match archive.format {
        Format::Zip => arriving::unzip(archive, from, tree).map_or(Start::Void, Start::Some),
        // An error is reported once its digest is verified.
        Format::TarGz => untar::unpack(archive, from, tree, &mut || {}).map_or(Start::Void, Start::All),
    }
}

/// Unpacks from the whole file what is not there yet; `None` when what is there must be thrown away first.
fn complete(
    archive: &Archive,
    dialogue: &mut dyn Dialogue,
    tree: &Tree,
    file: &PathBuf,
    start: Start,
) -> Result<Option<Names>, UnpackError> {
    let early = match start {
        Start::All(names) => return Ok(Some(names)),
        Start::Void => return Ok(None),
        Start::Some(early) => early,
        Start::None => Vec::new(),
    };
    match archive.format {
        Format::Zip => {
            let bytes = ZipBytes::Whole(file.clone());
            let mut judged = unzip::judge(archive, &bytes)?;
            if !judged.take_over(early, tree)? {
                return Ok(None);
            }
            judged.unpack(&bytes, tree, dialogue).map(Some)
        }
        Format::TarGz => {
            let file = File::open(file).map_err(UnpackError::read)?;
            let mut told = || dialogue.progress("unpacking", tree.written(), 0);
            untar::unpack(archive, file, tree, &mut told).map(Some)
        }
    }
}
