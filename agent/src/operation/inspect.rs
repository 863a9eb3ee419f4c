//! Look at a service and report: nothing is wished for, nothing is changed.

use serde::{Deserialize, Serialize};

pub use crate::observation::{Gate, Observation};
use crate::operation::wait::{Condition, Service};
use crate::value::AbsPath;

/// Look at these things.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspect {
    /// The service.
    pub service: Service,
    /// Links whose targets are wanted.
    pub links: Vec<AbsPath>,
    /// Conditions tried once each.
    pub gates: Vec<Condition>,
}
