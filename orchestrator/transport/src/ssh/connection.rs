//! An authenticated connection.

use std::sync::Arc;

use super::client::{Client, Heard};

/// An authenticated connection and the jump host connection below it.
pub(super) struct Opened {
    pub(super) client: Client,
    pub(super) heard: Heard,
    /// Keeps the jump host connection open.
    _through: Option<Arc<Opened>>,
}

impl Opened {
    pub(super) const fn new(client: Client, heard: Heard, through: Option<Arc<Self>>) -> Self {
        Self { client, heard, _through: through }
    }
}
