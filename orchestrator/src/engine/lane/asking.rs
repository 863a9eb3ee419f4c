//! A host's question for leave to take a unit down, and its answer.

use apim_agent::protocol::message::{Request, StepId};
use apim_agent::value::UnitName;
use tokio::sync::oneshot;

use super::Lane;
use crate::engine::event::{Event, Level};
use crate::engine::leave::Leave;
use crate::engine::wire::Wire;
use crate::engine::worker::Worker;
use crate::plan::model::NodeName;

/// A host's question for leave to take a unit down.
pub(super) struct Asked {
    pub(super) step: StepId,
    pub(super) unit: UnitName,
    pub(super) reason: String,
}

/// Waits for the budget's answer. A budget that is gone refuses.
pub(super) async fn answered(
    asking: &mut Option<(StepId, oneshot::Receiver<Result<(), String>>)>,
) -> Result<(), String> {
    match asking {
        Some((_, answer)) => answer.await.unwrap_or_else(|_| Err("the run is over".to_owned())),
        None => std::future::pending().await,
    }
}

impl Lane<'_> {
    pub(super) fn ask(&mut self, wire: &Wire, worker: &Worker, asked: &Asked) -> Result<(), String> {
        let Asked { step: id, unit, reason } = asked;
        let step = self.find(*id)?;
        let Some(pool) = &step.budget else {
            wire.send(Request::Leave { step: *id, refused: None });
            return Ok(());
        };
        let node = step.node.clone().unwrap_or_else(|| NodeName(worker.host.0.clone()));
        match self.shared.budget.ask(&worker.host, &node, pool) {
            Leave::Now(answer) => {
                if answer.is_ok() && self.shared.settings.limits.is_single(pool) {
                    let note = format!("{node} is the only one of {pool}: there is none while it is down");
                    self.shared.tell(Event::Note(Level::Info, note));
                }
                self.note_refusal(step.title.clone(), &answer);
                wire.send(Request::Leave { step: *id, refused: answer.err() });
            }
            Leave::Later(answer, holders) => {
                let words = format!("{unit} ({reason}): waiting for {holders}");
                self.tell(Event::WaitingForLeave(worker.host.clone(), *id, words));
                self.asking = Some((*id, answer));
            }
        }
        Ok(())
    }

    pub(super) fn answer(&mut self, answer: Result<(), String>, wire: &Wire, worker: &Worker) {
        let Some((step, _)) = self.asking.take() else { return };
        if let Ok(known) = self.find(step) {
            self.note_refusal(known.title.clone(), &answer);
        }
        self.tell(Event::LeaveDecided(worker.host.clone(), step));
        wire.send(Request::Leave { step, refused: answer.err() });
    }

    /// A step that is refused leave because the run was called off has not failed: it was stopped.
    fn note_refusal(&mut self, title: String, answer: &Result<(), String>) {
        if answer.is_err() && self.shared.is_interrupted() {
            self.stopped.get_or_insert(title);
        }
    }
}
