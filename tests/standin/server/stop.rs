//! The stop after TERM. A server without a started server manager ends at once.
//!
//! Source: wso2/carbon-kernel `ServerManagement`, `CarbonServerManager`; wso2/wso2-synapse passthrough transport.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

use crate::node::Node;

const MANAGEMENT: &str = "org.wso2.carbon.core.ServerManagement";
const SERVER: &str = "org.wso2.carbon.core.init.CarbonServerManager";

/// The time limit for requests of servlets.
const SERVLETS: Duration = Duration::from_secs(60);

/// The exit code of a JVM ended by TERM.
pub(crate) const TERMINATED: u8 = 143;

/// The signals that end a server.
#[derive(Debug)]
pub(crate) struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    /// Installs the handlers.
    pub(crate) fn new() -> std::io::Result<Signals> {
        Ok(Signals { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }

    /// Waits for a signal.
    pub(crate) async fn arrive(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}

/// Waits for a signal, stops, and returns the exit code.
pub(crate) async fn run(node: Arc<Node>, mut signals: Signals) -> u8 {
    signals.arrive().await;
    if !node.is_managed.load(Ordering::SeqCst) {
        return TERMINATED;
    }
    let say = |text: &str| node.log.info(MANAGEMENT, text);
    node.log.info(SERVER, "Shutdown hook triggered....");
    node.log.info(SERVER, &format!("Gracefully shutting down {}...", node.product.name));
    say("Starting to switch to maintenance mode...");
    tokio::time::sleep(node.switches.drain).await;
    if node.product.kind.is_gateway() {
        node.log.info(
            "org.apache.synapse.transport.passthru.PassThroughHttpListener",
            "Stopping Pass-through HTTP Listener..",
        );
        node.traffic.close();
        let limit =
            Duration::from_millis(node.config.number("transport.http.socket_timeout").unwrap_or(180_000));
        drop(timeout(limit, node.traffic.idle()).await);
    }
    say("Stopped all transport listeners");
    say("Waiting for request service completion...");
    node.servlets.close();
    if timeout(SERVLETS, node.servlets.idle()).await.is_err() {
        node.log.warn(MANAGEMENT, "Timeout occurred even though there are active connections.");
    } else {
        say("All requests have been served.");
    }
    say("Waiting for deployment completion...");
    if node.switches.ignore_term {
        return pending().await;
    }
    say("All deployment tasks have been completed.");
    say("Waiting for server task completion...");
    say("All server tasks have been completed.");
    node.broker.close();
    node.log.info(SERVER, &format!("Shutting down {}...", node.product.name));
    node.log.info(SERVER, "Shutting down OSGi framework...");
    node.log.info(SERVER, "Shutdown complete");
    node.log.info(SERVER, "Halting JVM");
    TERMINATED
}
