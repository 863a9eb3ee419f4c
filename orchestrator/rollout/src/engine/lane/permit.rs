//! Permit requests of a host: permission to take a unit down.

use apim_protocol::message::{Request, StepId};
use apim_protocol::value::UnitName;

use super::state::{Asking, Granting, Lane};
use crate::engine::event::{Event, Level};
use crate::engine::permit::PermitDecision;
use crate::engine::shared::Shared;
use crate::engine::wire::Wire;
use crate::engine::worker::Worker;
use crate::engine::{health, traffic};
use apim_product::NodeName;
use apim_transport::host::HostName;

/// A permit request to take a unit down.
pub(super) struct Asked {
    pub(super) step: StepId,
    pub(super) unit: UnitName,
    pub(super) reason: String,
}

/// Waits for the pending request, or forever without one.
pub(super) async fn answered(asking: &mut Option<Asking<'_>>) -> Granting {
    match asking {
        Some(asking) => asking.await,
        None => std::future::pending().await,
    }
}

/// The requester of a permit.
struct Asker<'a> {
    shared: &'a Shared,
    host: HostName,
    step: StepId,
    node: NodeName,
    pool: String,
}

impl Asker<'_> {
    /// Waits until the node may go down and is drained. An error is the reason why it may not.
    async fn granted(&self, mut leave: PermitDecision, was_down: bool) -> Result<(), String> {
        let Self { shared, node, .. } = self;
        loop {
            match leave {
                PermitDecision::Now(answer) => answer?,
                // A closed budget refuses.
                PermitDecision::Later(answer, _) => {
                    answer.await.unwrap_or_else(|_| Err("the run has ended".to_owned()))?;
                }
            }
            if was_down {
                traffic::keep_out(shared, node).await;
                return Ok(());
            }
            if !shared.settings.limits.outage {
                health::check_peers(shared, node, &self.pool).await;
            }
            if let Some(again) = shared.budget.confirm(&self.host, node, &self.pool) {
                leave = self.again(again);
                continue;
            }
            if shared.plan.rotations.contains_key(node) {
                let words = "draining".to_owned();
                shared.tell(Event::StepProgress(self.host.clone(), self.step, words, 0, 0));
            }
            match traffic::take_out(shared, node).await {
                Ok(()) => {}
                Err(why) if shared.settings.limits.outage => {
                    let note = format!("{why}; continuing because of --allow-outage");
                    shared.tell(Event::Note(Level::Warning, note));
                }
                Err(why) => {
                    shared.budget.not_taken(node, &why);
                    return Err(why);
                }
            }
            // Draining takes time, so the permit is checked again.
            match shared.budget.confirm(&self.host, node, &self.pool) {
                Some(again) => {
                    traffic::put_back(shared, node).await?;
                    leave = self.again(again);
                }
                None => return Ok(()),
            }
        }
    }

    fn again(&self, leave: PermitDecision) -> PermitDecision {
        if let PermitDecision::Later(_, holders) = &leave {
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
        let was_down = shared.budget.is_down(&node) && !shared.drained.is_out(&node);
        let leave = shared.budget.ask(&worker.host, &node, pool);
        let words = match &leave {
            PermitDecision::Later(_, holders) => format!("waiting for {holders}"),
            PermitDecision::Now(Ok(())) if !was_down && shared.plan.rotations.contains_key(&node) => {
                format!("draining {node} first")
            }
            PermitDecision::Now(Ok(())) if !was_down => format!("checking the other nodes of {pool} first"),
            PermitDecision::Now(answer) => {
                let answer = answer.clone();
                self.send_decision(Granting { step: *id, node, answer }, wire);
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

    /// Handles the decision on a permit request.
    pub(super) fn answer(&mut self, granting: Granting, wire: &Wire, worker: &Worker) {
        self.asking = None;
        self.tell(Event::LeaveDecided(worker.host.clone(), granting.step));
        self.send_decision(granting, wire);
    }

    /// Sends the decision to the host.
    fn send_decision(&mut self, granting: Granting, wire: &Wire) {
        let Granting { step, node, answer } = granting;
        if let Ok(known) = self.find(step) {
            self.note_refusal(known.title.clone(), &answer);
            let is_single =
                known.budget.as_ref().is_some_and(|pool| self.shared.settings.limits.is_single(pool));
            if answer.is_ok() && is_single {
                let note =
                    format!("{node} is the only node of its role: the role is unavailable until it is back");
                self.shared.tell(Event::Note(Level::Info, note));
            }
        }
        if answer.is_ok() {
            self.shared.drained.goes_down(&node);
        }
        wire.send(Request::PermitDecision { step, refused: answer.err() });
    }

    /// A step that was refused a permit because of an interrupt counts as stopped, not as failed.
    fn note_refusal(&mut self, title: String, answer: &Result<(), String>) {
        if answer.is_err() && self.shared.is_interrupted() {
            self.stopped.get_or_insert(title);
        }
    }
}
