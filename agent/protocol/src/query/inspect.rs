//! The state of a service.

use serde::{Deserialize, Serialize};

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
    /// What the arguments of its process begin with that are wanted.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// Ports whose certificates are wanted.
    #[serde(default)]
    pub served: Vec<u16>,
}
