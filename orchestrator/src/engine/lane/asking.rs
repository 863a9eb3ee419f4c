//! A host's question for leave to take a unit down, and its answer.

use std::pin::Pin;

use apim_protocol::message::{Request, StepId};
use apim_protocol::value::UnitName;

use super::Lane;
use crate::engine::event::{Event, Level};
use crate::engine::leave::Leave;
use crate::engine::wire::Wire;
use crate::engine::worker::{Shared, Worker};
use crate::engine::{peers, rotation};
use crate::inventory::host::HostName;
use crate::plan::model::NodeName;

/// A host's question for leave to take a unit down.
pub(super) struct Asked {
    pub(super) step: StepId,
    pub(super) unit: UnitName,
    pub(super) reason: String,
}

/// The end of the wait for leave.
pub(super) struct Granting {
    step: StepId,
    node: NodeName,
    answer: Result<(), String>,
}

/// A wait for leave, and for the node to be out of rotation.
pub(super) type Asking<'a> = Pin<Box<dyn Future<Output = Granting> + Send + 'a>>;

/// Waits for the end of a wait that may be there.
pub(super) async fn answered(asking: &mut Option<Asking<'_>>) -> Granting {
    match asking {
        Some(asking) => asking.await,
        None => std::future::pending().await,
    }
}

/// Who asks for leave.
struct Asker<'a> {
    shared: &'a Shared,
    host: HostName,
    step: StepId,
    node: NodeName,
    pool: String,
}

impl Asker<'_> {
    /// Waits until the node may go down, and nobody is sent to it any more; an error says why it may not.
    async fn granted(&self, mut leave: Leave, was_down: bool) -> Result<(), String> {
        let Self { shared, node, .. } = self;
        loop {
            match leave {
                Leave::Now(answer) => answer?,
                // A budget that is gone refuses.
                Leave::Later(answer, _) => {
                    answer.await.unwrap_or_else(|_| Err("the run is over".to_owned()))?;
                }
            }
            if was_down {
                rotation::keep_out(shared, node).await;
                return Ok(());
            }
            if !shared.settings.limits.outage {
                peers::look_again(shared, node, &self.pool).await;
            }
            if let Some(again) = shared.budget.confirm(&self.host, node, &self.pool) {
                leave = self.again(again);
                continue;
            }
            if shared.plan.rotations.contains_key(node) {
                let words = "it is taken out of rotation".to_owned();
                shared.tell(Event::StepProgress(self.host.clone(), self.step, words, 0, 0));
            }
            match rotation::take_out(shared, node).await {
                Ok(()) => {}
                Err(why) if shared.settings.limits.outage => {
                    let note = format!("{why}; it is taken down all the same");
                    shared.tell(Event::Note(Level::Warning, note));
                }
                Err(why) => {
                    shared.budget.not_taken(node, &why);
                    return Err(why);
                }
            }
            // That may have taken a while.
            match shared.budget.confirm(&self.host, node, &self.pool) {
                Some(again) => {
                    rotation::put_back(shared, node).await?;
                    leave = self.again(again);
                }
                None => return Ok(()),
            }
        }
    }

    fn again(&self, leave: Leave) -> Leave {
        if let Leave::Later(_, holders) = &leave {
            let words = format!("{}: waiting for {holders}", self.node);
            self.shared.tell(Event::WaitingForLeave(self.host.clone(), self.step, words));
        }
        leave
    }
}

impl Lane<'_> {
    pub(super) fn ask(&mut self, wire: &Wire, worker: &Worker, asked: &Asked) -> Result<(), String> {
        let Asked { step: id, unit, reason } = asked;
        let step = self.find(*id)?;
        let Some(pool) = &step.budget else {
            wire.send(Request::PermitDecision { step: *id, refused: None });
            return Ok(());
        };
        let node = step.node.clone().unwrap_or_else(|| NodeName(worker.host.0.clone()));
        let shared = self.shared;
        let was_down = shared.budget.is_down(&node) && !shared.rotating.is_out(&node);
        let leave = shared.budget.ask(&worker.host, &node, pool);
        let words = match &leave {
            Leave::Later(_, holders) => format!("waiting for {holders}"),
            Leave::Now(Ok(())) if !was_down && shared.plan.rotations.contains_key(&node) => {
                format!("{node} is taken out of rotation first")
            }
            Leave::Now(Ok(())) if !was_down => format!("its peers in {pool} are looked at first"),
            Leave::Now(answer) => {
                let answer = answer.clone();
                self.leave(Granting { step: *id, node, answer }, wire);
                return Ok(());
            }
        };
        self.tell(Event::WaitingForLeave(worker.host.clone(), *id, format!("{unit} ({reason}): {words}")));
        let id = *id;
        let asker = Asker { shared, host: worker.host.clone(), step: id, node, pool: pool.clone() };
        self.asking = Some(Box::pin(async move {
            let answer = asker.granted(leave, was_down).await;
            Granting { step: asker.step, node: asker.node, answer }
        }));
        Ok(())
    }

    /// The wait for an answer is over.
    pub(super) fn answer(&mut self, granting: Granting, wire: &Wire, worker: &Worker) {
        self.asking = None;
        self.tell(Event::LeaveDecided(worker.host.clone(), granting.step));
        self.leave(granting, wire);
    }

    /// Tells the host whether it may take the node down.
    fn leave(&mut self, granting: Granting, wire: &Wire) {
        let Granting { step, node, answer } = granting;
        if let Ok(known) = self.find(step) {
            self.note_refusal(known.title.clone(), &answer);
            let is_single =
                known.budget.as_ref().is_some_and(|pool| self.shared.settings.limits.is_single(pool));
            if answer.is_ok() && is_single {
                let note = format!("{node} is the only one of its role: there is none while it is down");
                self.shared.tell(Event::Note(Level::Info, note));
            }
        }
        if answer.is_ok() {
            self.shared.rotating.goes_down(&node);
        }
        wire.send(Request::PermitDecision { step, refused: answer.err() });
    }

    /// A step that is refused leave because the run was called off has not failed: it was stopped.
    fn note_refusal(&mut self, title: String, answer: &Result<(), String>) {
        if answer.is_err() && self.shared.is_interrupted() {
            self.stopped.get_or_insert(title);
        }
    }
}
