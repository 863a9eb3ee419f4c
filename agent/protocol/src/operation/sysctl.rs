//! Settings of the running kernel.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::describe::Describe;
use crate::value::Content;

/// The kernel has these values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sysctl {
    /// By key, such as `net.core.rmem_max`.
    pub values: BTreeMap<String, String>,
}

impl Describe for Sysctl {
    fn contents(&self) -> Vec<Content> {
        Vec::new()
    }

    fn is_host_local(&self) -> bool {
        true
    }
}
