//! Local tasks: steps that run on the control machine instead of the host's agent.

use std::future::Future;
use std::pin::Pin;

use apim_protocol::operation::Mode;
use apim_protocol::outcome::{Failure, Outcome};

use crate::plan::model::Contents;
use apim_product::work::DatabaseWork;
use apim_transport::host::HostName;

/// A local task for a host.
pub struct LocalTask<'a> {
    /// The host.
    pub host: &'a HostName,
    /// The database work to do.
    pub work: &'a DatabaseWork,
    /// Content that the task may read, by digest.
    pub contents: &'a Contents,
    /// In check mode nothing may be changed.
    pub mode: Mode,
    /// Receives progress: current action, done, total.
    pub progress: &'a (dyn Fn(&str, u64, u64) + Send + Sync),
}

/// Runs local tasks. Implementations change nothing in check mode, and nothing if applied twice.
pub trait LocalTaskRunner: Send + Sync + 'static {
    /// Runs one task.
    fn run<'a>(&'a self, task: LocalTask<'a>) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;
}

/// Rejects all local tasks.
#[derive(Debug, Clone, Copy)]
pub struct UnsupportedTasks;

impl LocalTaskRunner for UnsupportedTasks {
    fn run<'a>(&'a self, _task: LocalTask<'a>) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        Box::pin(async { Outcome::Failed(Failure::new("this build cannot run database tasks")) })
    }
}
