//! State shared by all workers of a run.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, watch};

use super::drained::Drained;
use super::event::Event;
use super::local_task::LocalTaskRunner;
use super::outlines::Outlines;
use super::permit::Budget;
use super::settings::{Interrupt, Settings};
use super::wire::KeptSessions;
use crate::plan::model::Plan;
use apim_transport::session::Connect;

/// State shared by all workers of a run.
pub(super) struct Shared {
    pub(super) plan: Arc<Plan>,
    pub(super) connect: Arc<dyn Connect>,
    pub(super) local_tasks: Arc<dyn LocalTaskRunner>,
    pub(super) settings: Settings,
    pub(super) events: mpsc::UnboundedSender<Event>,
    pub(super) interrupt: watch::Receiver<Interrupt>,
    pub(super) budget: Budget,
    pub(super) uploads_at_once: Arc<Semaphore>,
    pub(super) outlines: Arc<Outlines>,
    pub(super) drained: Drained,
    pub(super) kept_sessions: KeptSessions,
}

impl Shared {
    /// Sends an event to the reporter, which may have ended.
    pub(super) fn tell(&self, event: Event) {
        drop(self.events.send(event));
    }

    pub(super) fn is_interrupted(&self) -> bool {
        *self.interrupt.borrow() >= Interrupt::Finish
    }
}
