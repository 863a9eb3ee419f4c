//! Outlines of zips for hosts with an earlier release. Each is created at most once per run, on the
//! first request.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use apim_protocol::value::{Content, Sha256};
use tokio::sync::{OnceCell, mpsc};

use super::event::{Event, Level};
use super::settings::Outliner;

/// The path of an outline, and its content id.
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

    /// Returns the outline of the zip `sha256` in the file `zip`, if it has one.
    pub(super) async fn of(&self, sha256: Sha256, zip: PathBuf) -> Option<Content> {
        let outliner = self.outliner.clone()?;
        let cell = Arc::clone(self.made().entry(sha256).or_default());
        let make = || async {
            let made = tokio::task::spawn_blocking(move || (outliner.0)(sha256, &zip)).await;
            match made.map_err(|error| error.to_string()).and_then(|made| made) {
                Ok(made) => made,
                Err(why) => {
                    let note = format!(
                        "cannot create an outline of the zip {}… ({why}); hosts get the whole zip",
                        sha256.short()
                    );
                    drop(self.events.send(Event::Note(Level::Warning, note)));
                    None
                }
            }
        };
        cell.get_or_init(make).await.as_ref().map(|(_, outline)| *outline)
    }

    /// Returns the path of the outline `wanted` of the zip `sha256`, if it was created.
    pub(super) fn find(&self, sha256: &Sha256, wanted: &Content) -> Option<PathBuf> {
        let made = self.made();
        let (path, outline) = made.get(sha256)?.get()?.as_ref()?;
        (outline == wanted).then(|| path.clone())
    }

    fn made(&self) -> std::sync::MutexGuard<'_, BTreeMap<Sha256, Arc<OnceCell<Made>>>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
