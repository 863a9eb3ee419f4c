//! The listening ports of a node. As in the product, an occupied port does not end the start.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::broker;
use crate::http;
use crate::node::Node;
use crate::routes::Site;

const TOMCAT: &str = "org.wso2.carbon.tomcat.internal.CarbonTomcat";
const PASS_THROUGH: &str = "org.apache.synapse.transport.passthru.core.PassThroughListeningIOReactorManager";
const INBOUND: &str =
    "org.wso2.carbon.inbound.endpoint.protocol.websocket.management.WebsocketEndpointManager";
const BROKER: &str = "org.wso2.andes.server.Broker";
const RECEIVER: &str = "org.wso2.carbon.databridge.receiver.binary.internal.BinaryDataReceiver";
const JMX: &str = "org.wso2.carbon.core.init.JMXServerManager";

/// The protocol of a port.
#[derive(Debug, Clone, Copy)]
enum Speech {
    Http(Site),
    Frames,
    /// The login of a data receiver, then frames.
    Login,
}

/// Opens 9763 and 9443.
pub(crate) async fn open_servlets(node: &Arc<Node>) {
    for (port, tls) in [(node.http_port(), false), (node.https_port(), true)] {
        if let Err(error) = open(node, port, Speech::Http(Site::Servlets), tls).await {
            node.log.error(TOMCAT, "LifeCycleException while starting tomcat connector");
            node.log.trace(&[
                "org.apache.catalina.LifecycleException: Protocol handler start failed",
                &format!("Caused by: {}", java(&error)),
            ]);
        }
    }
}

/// Opens 8280 and 8243, with the log lines of the product.
pub(crate) async fn open_traffic(node: &Arc<Node>) {
    for (name, port, tls) in [("HTTP", 8280, false), ("HTTPS", 8243, true)] {
        let port = node.port(port);
        let outcome = open(node, port, Speech::Http(Site::Traffic), tls).await;
        if tls && node.tls.is_none() {
            continue;
        }
        node.log.info(PASS_THROUGH, &format!("Starting Pass-through {name} Listener..."));
        node.log.info(PASS_THROUGH, &format!("Pass-through {name} Listener started on 0.0.0.0:{port}"));
        if outcome.is_err() {
            let text = "System may be unstable: HTTP ListeningIOReactor encountered a checked exception : Address already in use";
            node.log.error(PASS_THROUGH, text);
        }
    }
    for (port, tls) in [(9099, false), (8099, true), (9021, false), (8021, true)] {
        let port = node.port(port);
        if let Err(error) = open(node, port, Speech::Http(Site::Inbound), tls).await {
            node.log.error(
                INBOUND,
                &format!("Error while starting inbound endpoint on port {port}: {}", java(&error)),
            );
        }
    }
}

/// Opens the broker's and the receivers' ports.
pub(crate) async fn open_broker(node: &Arc<Node>) {
    let ssl = node.config.flag("broker.transport.amqp.ssl_connection.enabled", false);
    let mut wanted = vec![
        (5672, Speech::Frames, false, BROKER),
        (9611, Speech::Frames, false, RECEIVER),
        (9711, Speech::Login, true, RECEIVER),
    ];
    if ssl {
        wanted.push((8672, Speech::Frames, true, BROKER));
    }
    for (port, speech, tls, logger) in wanted {
        let port = node.port(port);
        match open(node, port, speech, tls).await {
            Ok(()) => node.log.info(logger, &format!("Listening on TCP port {port}")),
            Err(error) => {
                node.log.error(logger, &format!("Error while binding port {port}: {}", java(&error)))
            }
        }
    }
}

/// Opens the two JMX ports.
pub(crate) async fn open_jmx(node: &Arc<Node>) {
    if !node.config.flag("monitoring.jmx.rmi_server_start", true) {
        return;
    }
    let (registry, server) = (node.port(9999), node.port(11111));
    for (port, text) in
        [(registry, "Could not create the RMI local registry"), (server, "Cannot start JMX service")]
    {
        if let Err(error) = open(node, port, Speech::Frames, false).await {
            node.log.error(JMX, text);
            node.log.trace(&[&java(&error)]);
            return;
        }
    }
    let text = format!(
        "JMX Service URL  : service:jmx:rmi://localhost:{server}/jndi/rmi://localhost:{registry}/jmxrmi"
    );
    node.log.info(JMX, &text);
}

fn java(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "java.net.BindException: Address already in use".to_owned(),
        _ => format!("java.io.IOException: {error}"),
    }
}

/// Listens on a port until its gate is closed. Without a keystore, TLS ports are not opened, without an error.
async fn open(node: &Arc<Node>, port: u16, speech: Speech, tls: bool) -> io::Result<()> {
    let acceptor = match (tls, &node.tls) {
        (false, _) => None,
        (true, Some(config)) => Some(TlsAcceptor::from(config.clone())),
        (true, None) => return Ok(()),
    };
    let listener = node.network.listen(port).await?;
    let node = node.clone();
    tokio::spawn(async move { accept(node, listener, speech, acceptor).await });
    Ok(())
}

async fn accept(node: Arc<Node>, listener: TcpListener, speech: Speech, acceptor: Option<TlsAcceptor>) {
    let owner = node.clone();
    let gate = match speech {
        Speech::Http(site) => site.gate(&owner),
        Speech::Frames | Speech::Login => &owner.broker,
    };
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = gate.closed() => return,
        };
        let (node, acceptor) = (node.clone(), acceptor.clone());
        tokio::spawn(async move { drop(connection(node, stream, speech, acceptor).await) });
    }
}

async fn connection(
    node: Arc<Node>,
    stream: TcpStream,
    speech: Speech,
    acceptor: Option<TlsAcceptor>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match (speech, acceptor) {
        (Speech::Http(site), None) => http::serve(stream, node, site).await,
        (Speech::Http(site), Some(acceptor)) => http::serve(acceptor.accept(stream).await?, node, site).await,
        (Speech::Frames, None) => broker::serve(stream, &node).await,
        (Speech::Frames, Some(acceptor)) => broker::serve(acceptor.accept(stream).await?, &node).await,
        (Speech::Login, None) => broker::serve_login(stream, &node).await,
        (Speech::Login, Some(acceptor)) => broker::serve_login(acceptor.accept(stream).await?, &node).await,
    }
}
