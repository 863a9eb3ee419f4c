//! A program run once, ad hoc: its exit status and output are the result.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::command::Invocation;
use super::describe::Describe;
use crate::value::Content;

/// Run this once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execute {
    /// What to run.
    pub run: Invocation,
    /// Whether the operator asserts that it only reads: then it runs in check mode too.
    pub reads_only: bool,
}

impl Describe for Execute {
    fn contents(&self) -> Vec<Content> {
        Vec::new()
    }

    fn is_host_local(&self) -> bool {
        // What it looks at is not known.
        false
    }

    fn own_deadline(&self) -> Duration {
        self.run.deadline()
    }
}
