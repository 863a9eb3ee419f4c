//! The artifacts that a gateway pulls from the control plane before it serves APIs, and the policies of a
//! traffic manager.
//!
//! Source: wso2/carbon-apimgt `org.wso2.carbon.apimgt.gateway.listeners.GatewayStartupListener`.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::network::Endpoint;
use crate::node::Node;
use crate::product::Kind;

const STARTUP: &str = "org.wso2.carbon.apimgt.gateway.listeners.GatewayStartupListener";
const POLICIES: &str = "org.wso2.carbon.apimgt.throttle.policy.deployer.PolicyRetriever";
const ANSWER: Duration = Duration::from_secs(10);

/// The number of attempts in `sync` mode before a gateway starts without artifacts.
const SYNC_TRIES: u32 = 10;

/// Delays the start of gateways in `sync` mode until artifacts were pulled.
pub(crate) async fn before_start(node: &Arc<Node>) {
    let mode = node.config.text("apim.sync_runtime_artifacts.gateway.data_retrieval_mode");
    if !node.product.kind.is_gateway() || mode.as_deref() != Some("sync") {
        return;
    }
    for attempt in 1..=SYNC_TRIES {
        let outcome = pull(node, "runtime-artifacts").await;
        let word = if outcome.is_ok() { "successful" } else { "unsuccessful" };
        node.log.info(STARTUP, &format!("Deployment attempt : {attempt} was {word}"));
        if outcome.is_ok() {
            return deployed(node);
        }
        tokio::time::sleep(node.switches.artifact_retry).await;
    }
    node.log.error(
        STARTUP,
        "Maximum retry limit exceeded. Server is starting without deploying all synapse artifacts",
    );
}

/// Starts the tasks that run during and after the start.
pub(crate) fn start(node: &Arc<Node>) {
    let kind = node.product.kind;
    if kind.is_gateway() && !node.is_deployed() {
        let node = node.clone();
        tokio::spawn(async move { retrieve(node).await });
    } else if kind == Kind::TrafficManager {
        let node = node.clone();
        tokio::spawn(async move { policies(node).await });
    }
}

async fn retrieve(node: Arc<Node>) {
    let mut pause = node.switches.artifact_retry;
    while let Err(error) = pull(&node, "runtime-artifacts").await {
        node.log.error(STARTUP, &format!("Error while retrieving artifacts from the event hub: {error}"));
        let text = format!(
            "Unable to deploy synapse artifacts at gateway. Next retry in {} seconds",
            pause.as_secs_f64()
        );
        node.log.error(STARTUP, &text);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(node.switches.artifact_retry_cap);
    }
    deployed(&node);
}

fn deployed(node: &Node) {
    node.log.info("org.wso2.carbon.apimgt.gateway.DBRetriever", "No artifacts available to deploy");
    node.log.info(STARTUP, "Synapse Artifacts deployed Successfully in the Gateway");
    node.is_deployed.store(true, Ordering::SeqCst);
}

async fn policies(node: Arc<Node>) {
    while let Err(error) = pull(&node, "keyTemplates").await {
        let pause = node.switches.artifact_retry_cap;
        let text = format!(
            "Failed retrieving throttling policies from remote endpoint: {error}. Retrying after {} seconds...",
            pause.as_secs_f64()
        );
        node.log.error(POLICIES, &text);
        tokio::time::sleep(pause).await;
    }
    node.log.info(POLICIES, "Throttling policies were deployed");
}

/// One GET of the control plane's internal API, over TLS, with the configured credentials.
async fn pull(node: &Node, what: &str) -> io::Result<()> {
    let get = |key: &str| node.config.text(&format!("apim.event_hub.{key}")).unwrap_or_default();
    let url = node.expand(&get("service_url"));
    let to = Endpoint::parse(&url).ok_or_else(|| io::Error::other(format!("`{url}` is not a URL")))?;
    let mut stream = node
        .network
        .connect_tls(&to)
        .await
        .map_err(|error| io::Error::new(error.kind(), format!("{to}: {error}")))?;
    let credentials = STANDARD.encode(format!("{}:{}", get("username"), get("password")));
    let request = format!(
        "GET /internal/data/v1/{what} HTTP/1.1\r\nHost: {}\r\nAuthorization: Basic {credentials}\r\nConnection: close\r\n\r\n",
        to.host
    );
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut head = [0; 12];
    timeout(ANSWER, stream.read_exact(&mut head)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    match std::str::from_utf8(&head[9..]) {
        Ok("200") => Ok(()),
        status => Err(io::Error::other(format!("{to} answered with status {}", status.unwrap_or("none")))),
    }
}
