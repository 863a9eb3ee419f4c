//! The connections of a node to other nodes: listeners of broker topics, senders to a peer's broker, event
//! publishers.
//!
//! Source of texts and behaviour: wso2/carbon-apimgt `org.wso2.carbon.apimgt.common.jms.JMSListener`, wso2/api-manager issue 4054.

use std::sync::Arc;
use std::time::Duration;

use crate::broker;
use crate::network::{Endpoint, Line};
use crate::node::Node;
use crate::product::Kind;

const LISTENER: &str = "org.wso2.carbon.apimgt.common.jms.JMSListener";
const WORKER: &str = "org.wso2.carbon.databridge.agent.endpoint.DataEndpointConnectionWorker";
const GROUP: &str = "org.wso2.carbon.databridge.agent.endpoint.DataEndpointGroup";
const SENDER: &str = "org.wso2.carbon.event.output.adapter.jms.JMSEventAdapter";

/// Starts all connections of this kind of node.
pub(crate) fn start(node: &Arc<Node>) {
    let hub = first_given(
        node,
        &["apim.event_hub.event_listening_endpoints", "apim.throttling.throttle_decision_endpoints"],
    );
    let decisions = first_given(node, &["apim.throttling.throttle_decision_endpoints"]);
    let enabled = node.config.flag("apim.event_hub.enable", true);
    let hub_topics: &'static [&'static str] = match node.product.kind {
        Kind::Gateway | Kind::AllInOne => {
            &["notification", "keyManager", "tokenRevocation", "cacheInvalidation", "asyncWebhooksData"]
        }
        Kind::KeyManager => &["notification", "keyManager", "tokenRevocation"],
        Kind::ControlPlane => &["notification", "keyManager", "tokenRevocation", "cacheInvalidation"],
        Kind::TrafficManager => &["notification", "keyManager"],
    };
    if enabled {
        spawn_listeners(node, hub, is_over_tls(node, &["apim.event_hub.jms.ssl"]), hub_topics);
    }
    if node.product.kind.is_gateway() || node.product.kind == Kind::TrafficManager {
        let tls = ["apim.throttling.jms.ssl", "apim.throttling.jms.topic_connection_factory"];
        spawn_listeners(node, decisions, is_over_tls(node, &tls), &["throttleData"]);
    }
    for (key, tls) in [
        ("apim.event_hub.event_duplicate_url", "apim.event_hub.ssl"),
        ("apim.throttling.event_duplicate_url", "apim.throttling.jms.ssl"),
    ] {
        let is_tls = is_over_tls(node, &[tls]);
        for to in endpoints(node.urls(key)) {
            let node = node.clone();
            tokio::spawn(async move { send(node, to, is_tls).await });
        }
    }
    for (to, is_tls) in receivers(node) {
        let node = node.clone();
        tokio::spawn(async move { publish(node, to, is_tls).await });
    }
}

/// Whether one of these keys enables TLS: as a value, or inside the broker URL.
fn is_over_tls(node: &Node, keys: &[&str]) -> bool {
    let says = |text: &String| text == "true" || text.starts_with("true'") || text.contains("ssl='true'");
    keys.iter().filter_map(|key| node.config.text(key)).any(|text| says(&text))
}

fn endpoints(urls: Vec<String>) -> Vec<Endpoint> {
    urls.iter().filter_map(|url| Endpoint::parse(url)).collect()
}

/// The first configured of these lists, or the broker of this node.
fn first_given(node: &Node, keys: &[&str]) -> Vec<Endpoint> {
    let given = keys.iter().map(|key| endpoints(node.urls(key))).find(|list| !list.is_empty());
    given.unwrap_or_else(|| vec![Endpoint { host: "localhost".to_owned(), port: node.port(5672) }])
}

/// The data receivers to which this node publishes, and whether each uses the authentication port.
fn receivers(node: &Node) -> Vec<(Endpoint, bool)> {
    let (groups, plain, auth) = match node.product.kind {
        Kind::Gateway | Kind::AllInOne => {
            ("apim.throttling.url_group", "traffic_manager_urls", "traffic_manager_auth_urls")
        }
        Kind::ControlPlane => ("apim.event_hub.publish.url_group", "urls", "auth_urls"),
        Kind::KeyManager | Kind::TrafficManager => return Vec::new(),
    };
    let mut found = Vec::new();
    for table in node.config.tables(groups) {
        for (key, is_tls) in [(plain, false), (auth, true)] {
            let urls = table.get(key).map(|value| value.texts()).unwrap_or_default();
            let urls =
                urls.iter().flat_map(|text| text.split(',')).map(|text| node.expand(text.trim())).collect();
            found.extend(endpoints(urls).into_iter().map(|to| (to, is_tls)));
        }
    }
    if found.is_empty() {
        let own = |port| Endpoint { host: "localhost".to_owned(), port: node.port(port) };
        found = vec![(own(9611), false), (own(9711), true)];
    }
    found
}

fn spawn_listeners(node: &Arc<Node>, brokers: Vec<Endpoint>, is_tls: bool, topics: &'static [&'static str]) {
    let node = node.clone();
    tokio::spawn(async move {
        let mut tries = Vec::new();
        for to in brokers {
            let node = node.clone();
            tries.push(tokio::spawn(async move {
                let stream = node.network.connect_broker(&to, is_tls).await.ok();
                (to, stream)
            }));
        }
        let mut first = Vec::new();
        for one in tries {
            first.extend(one.await);
        }
        if node.loses_listeners() && first.iter().all(|(_, stream)| stream.is_none()) {
            return lose(&node, topics);
        }
        for (to, stream) in first {
            let node = node.clone();
            tokio::spawn(async move { listen(node, to, is_tls, stream, topics).await });
        }
    });
}

/// The threads of the listeners end and are not restarted.
fn lose(node: &Node, topics: &[&str]) {
    for topic in topics {
        node.log.error(LISTENER, "JMS Provider is not yet started. Please start the JMS provider now.");
        node.log.error(
            LISTENER,
            &format!("Exception in thread \"JMSThreads\" of listener Siddhi-JMS-Consumer#{topic}"),
        );
        node.log.trace(&[
            "java.lang.NullPointerException: Cannot invoke \"Object.toString()\" because \"connection\" is null",
            "\tat org.wso2.carbon.apimgt.common.jms.JMSListener.checkJMSConnection(JMSListener.java:158)",
            "\tat org.wso2.carbon.apimgt.common.jms.JMSListener.run(JMSListener.java:88)",
        ]);
    }
}

async fn listen(node: Arc<Node>, to: Endpoint, is_tls: bool, mut stream: Option<Line>, topics: &[&str]) {
    loop {
        let mut attempt = 1;
        let mut pause = node.switches.jms_retry;
        let mut open = loop {
            let connected = match stream.take() {
                Some(stream) => Some(stream),
                None => node.network.connect_broker(&to, is_tls).await.ok(),
            };
            if let Some(open) = connected {
                break open;
            }
            node.log.error(LISTENER, "JMS Provider is not yet started. Please start the JMS provider now.");
            let text = format!(
                "Connection attempt : {attempt} for JMS Provider failed. Next retry in {} seconds ({to})",
                pause.as_secs_f64()
            );
            node.log.error(LISTENER, &text);
            tokio::time::sleep(pause).await;
            attempt += 1;
            pause = (pause * 2).min(node.switches.jms_retry_cap);
        };
        if broker::greet(&mut open).await.is_ok() {
            for topic in topics {
                connected(&node, &to, topic, attempt);
            }
            drop(broker::hold(&mut open, &node).await);
        }
        drop(open);
        tokio::select! {
            biased;
            () = node.broker.closed() => return,
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
        node.log.warn(
            LISTENER,
            &format!("JMS Connection to {to} failed. Shutting down the JMS listeners and reconnecting"),
        );
    }
}

fn connected(node: &Node, to: &Endpoint, topic: &str, attempt: u32) {
    let listener = format!("Siddhi-JMS-Consumer#{topic}");
    node.log.info(
        LISTENER,
        &format!("Connection attempt: {attempt} for JMS Provider for listener: {listener} was successful!"),
    );
    let text = format!(
        "Connection successfully created towards the JMS provider for the listener: {listener}. The connected JMS provider is \
         AMQConnection: | Host: {} | Port: {} | Virtual Host: carbon",
        to.host, to.port
    );
    node.log.info(LISTENER, &text);
    node.log.info(
        LISTENER,
        &format!("Started to listen on destination : {topic} of type topic for listener {listener}"),
    );
}

/// Sends events to the peer's broker; events are lost silently while it is down.
async fn send(node: Arc<Node>, to: Endpoint, is_tls: bool) {
    loop {
        if let Ok(mut stream) = node.network.connect_broker(&to, is_tls).await
            && broker::greet(&mut stream).await.is_ok()
        {
            node.log
                .info(SENDER, &format!("Connected to the JMS provider of the duplicate event hub at {to}"));
            drop(broker::hold(&mut stream, &node).await);
        }
        tokio::time::sleep(node.switches.jms_retry_cap).await;
    }
}

async fn publish(node: Arc<Node>, to: Endpoint, is_tls: bool) {
    let scheme = if is_tls { "ssl" } else { "tcp" };
    loop {
        match hold_receiver(&node, &to, is_tls).await {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                let text = "org.wso2.carbon.databridge.agent.exception.DataEndpointLoginException: Error while trying to login to data receiver";
                node.log.error(WORKER, &format!("{text} :{scheme}://{to}"));
            }
            Err(error) => {
                let text = format!(
                    "Error while trying to connect to the endpoint. Cannot borrow client for {scheme}://{to}"
                );
                node.log.error(WORKER, &text);
                node.log.trace(&[&format!("Caused by: Error while opening socket to {to}. {error}")]);
                node.log.info(
                    GROUP,
                    "No receiver is reachable at reconnection, will try to reconnect every 30 sec",
                );
            }
        }
        tokio::time::sleep(node.switches.publisher_retry).await;
    }
}

async fn hold_receiver(node: &Node, to: &Endpoint, is_tls: bool) -> std::io::Result<()> {
    if is_tls {
        let mut stream = node.network.connect_tls(to).await?;
        let get = |key: &str| node.config.text(&format!("apim.throttling.{key}")).unwrap_or_default();
        broker::log_in(&mut stream, &get("username"), &get("password")).await?;
        drop(broker::hold(&mut stream, node).await);
    } else {
        let mut stream = node.network.connect(to).await?;
        drop(broker::hold(&mut stream, node).await);
    }
    Ok(())
}
