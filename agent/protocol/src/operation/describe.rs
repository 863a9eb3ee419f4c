//! What the orchestrator must know of an operation.

use std::time::Duration;

use crate::value::Content;

/// What the orchestrator must know of an operation.
pub trait Describe {
    /// Returns the contents that it names by digest. A host may ask for these and no others.
    fn contents(&self) -> Vec<Content>;

    /// Says whether a check depends on the host alone: as long as nothing was done there its result stays true. Not so for what
    /// involves peers, or may (a command).
    fn is_host_local(&self) -> bool;

    /// Returns how long it may take without a sign of progress, beyond the usual patience.
    fn own_deadline(&self) -> Duration {
        Duration::ZERO
    }

    /// Returns the file that it is about, if it is about one; several are joined by blanks.
    fn file(&self) -> Option<String> {
        None
    }
}

impl<T: Describe> Describe for Box<T> {
    fn contents(&self) -> Vec<Content> {
        (**self).contents()
    }

    fn is_host_local(&self) -> bool {
        (**self).is_host_local()
    }

    fn own_deadline(&self) -> Duration {
        (**self).own_deadline()
    }

    fn file(&self) -> Option<String> {
        (**self).file()
    }
}
