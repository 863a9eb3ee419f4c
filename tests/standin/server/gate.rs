//! Counts requests in flight on one kind of port, and closes it for new ones.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, watch};

/// Counts requests in flight.
#[derive(Debug)]
pub(crate) struct Gate {
    closed: watch::Sender<bool>,
    active: AtomicUsize,
    left: Notify,
}

/// A request in flight.
#[derive(Debug)]
pub(crate) struct Active<'a>(&'a Gate);

impl Gate {
    pub(crate) fn new() -> Gate {
        Gate { closed: watch::Sender::new(false), active: AtomicUsize::new(0), left: Notify::new() }
    }

    /// Counts a request until the returned value is dropped.
    pub(crate) fn enter(&self) -> Active<'_> {
        self.active.fetch_add(1, Ordering::SeqCst);
        Active(self)
    }

    /// The number of requests in flight.
    pub(crate) fn active(&self) -> usize {
        self.active.load(Ordering::SeqCst)
    }

    /// Closes the gate: listeners stop, idle connections end.
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Waits until the gate is closed.
    pub(crate) async fn closed(&self) {
        let mut receiver = self.closed.subscribe();
        drop(receiver.wait_for(|closed| *closed).await);
    }

    /// Waits until no request is in flight.
    pub(crate) async fn idle(&self) {
        loop {
            let left = self.left.notified();
            if self.active() == 0 {
                return;
            }
            left.await;
        }
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::SeqCst);
        self.0.left.notify_waiters();
    }
}
