//! Outlines of zips for hosts that have a former release: each is made once in a run, when the first host asks.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use apim_protocol::value::{Content, Sha256};
use tokio::sync::{OnceCell, mpsc};

use super::event::{Event, Level};
use super::settings::Outliner;

/// Where an outline is, and its name.
type Made = Option<(PathBuf, Content)>;

/// The outlines of a run.
pub(super) struct Outlines {
    outliner: Option<Outliner>,
    events: mpsc::UnboundedSender<Event>,
    made: Mutex<BTreeMap<Sha256, Arc<OnceCell<Made>>>>,
}

impl Outlines {
    pub(super) fn new(outliner: Option<Outliner>, events: mpsc::UnboundedSender<Event>) -> Self {
        Self { outliner, events, made: Mutex::default() }
    }

    /// Returns the outline of the zip `sha256` that is in the file `zip`, if there is one.
    pub(super) async fn of(&self, sha256: Sha256, zip: PathBuf) -> Option<Content> {
        let outliner = self.outliner.clone()?;
        let cell = Arc::clone(self.made().entry(sha256).or_default());
        let make = || async {
            let made = tokio::task::spawn_blocking(move || (outliner.0)(sha256, &zip)).await;
            match made.map_err(|error| error.to_string()).and_then(|made| made) {
                Ok(made) => made,
                Err(why) => {
                    let note = format!(
                        "no outline of the zip {}… could be made ({why}); hosts are sent all of it",
                        sha256.short()
                    );
                    drop(self.events.send(Event::Note(Level::Warning, note)));
                    None
                }
            }
        };
        cell.get_or_init(make).await.as_ref().map(|(_, outline)| *outline)
    }

    /// Returns where the outline `wanted` of the zip `sha256` is, if it was made.
    pub(super) fn find(&self, sha256: &Sha256, wanted: &Content) -> Option<PathBuf> {
        let made = self.made();
        let (path, outline) = made.get(sha256)?.get()?.as_ref()?;
        (outline == wanted).then(|| path.clone())
    }

    fn made(&self) -> std::sync::MutexGuard<'_, BTreeMap<Sha256, Arc<OnceCell<Made>>>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
