//! The connection between clients and a host of the process lab: counts bytes and injects faults.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::Traffic;

/// A network fault.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fault {
    /// No fault.
    #[default]
    None,
    /// Closes open connections, and new ones before the first byte.
    Refuse,
    /// Stops forwarding, and closes nothing.
    Stall,
    /// Closes a connection after this many more bytes from the client; then behaves as without fault.
    CutAfter(u64),
}

/// The network of one host.
#[derive(Debug)]
pub(super) struct Wire {
    fault: watch::Sender<Fault>,
    connections: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    commands: Mutex<Vec<String>>,
}

impl Default for Wire {
    fn default() -> Self {
        Self {
            fault: watch::Sender::new(Fault::None),
            connections: AtomicU64::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            commands: Mutex::default(),
        }
    }
}

impl Wire {
    pub(super) fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    pub(super) fn traffic(&self) -> Traffic {
        Traffic {
            connections: self.connections.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
        }
    }

    pub(super) fn commands(&self) -> Vec<String> {
        self.commands.lock().map(|commands| commands.clone()).unwrap_or_default()
    }

    pub(super) fn note(&self, command: &str) {
        if let Ok(mut commands) = self.commands.lock() {
            commands.push(command.to_owned());
        }
    }

    /// Forwards bytes between client and server until either ends or a fault closes the connection.
    pub(super) async fn carry(&self, mut client: TcpStream, server: DuplexStream) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = tokio::io::split(server);
        let inward = async {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
                if !self.passes(count as u64).await || to_server.write_all(&buffer[..count]).await.is_err() {
                    break;
                }
                self.received.fetch_add(count as u64, Ordering::Relaxed);
            }
        };
        let outward = async {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = from_server.read(&mut buffer).await {
                if !self.passes(0).await || to_client.write_all(&buffer[..count]).await.is_err() {
                    break;
                }
                self.sent.fetch_add(count as u64, Ordering::Relaxed);
            }
            to_client.shutdown().await.unwrap_or_default();
        };
        tokio::select! {
            () = inward => {}
            () = outward => {}
            () = self.broken() => {}
        }
    }

    /// Resolves when open connections must be closed.
    async fn broken(&self) {
        let mut fault = self.fault.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        drop(fault.wait_for(|fault| *fault == Fault::Refuse).await);
    }

    /// Waits while the network is stalled. Returns whether the bytes may pass.
    async fn passes(&self, count: u64) -> bool {
        let mut fault = self.fault.subscribe();
        drop(fault.wait_for(|fault| *fault != Fault::Stall).await);
        let mut cut = false;
        self.fault.send_if_modified(|fault| {
            let Fault::CutAfter(left) = fault else { return false };
            match left.checked_sub(count) {
                Some(rest) => *left = rest,
                None => {
                    cut = true;
                    *fault = Fault::None;
                }
            }
            false
        });
        !cut
    }

    pub(super) fn refuses(&self) -> bool {
        *self.fault.borrow() == Fault::Refuse
    }
}
