//! Long-lived connections of brokers and receivers, and how both ends detect a dead peer.

use std::io;
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::node::Node;

/// The protocol header of an AMQP 0-9-1 client.
const HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";

/// An AMQP heartbeat frame.
const HEARTBEAT: &[u8] = &[8, 0, 0, 0, 0, 0, 0, 0xce];

/// The answers of a receiver to a login.
const WELCOME: u8 = b'+';
const REFUSED: u8 = b'-';

/// Keeps a connection until it is lost or this node stops. A peer that never sends heartbeats has no
/// timeout.
pub(crate) async fn hold<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, node: &Node) -> io::Result<()> {
    let mut beat = tokio::time::interval(node.switches.heartbeat);
    let mut heard: Option<Instant> = None;
    let mut buffer = [0; 512];
    loop {
        tokio::select! {
            read = stream.read(&mut buffer) => {
                if read? == 0 {
                    return Ok(());
                }
                heard = Some(Instant::now());
            }
            _ = beat.tick() => {
                stream.write_all(HEARTBEAT).await?;
                stream.flush().await?;
                if heard.is_some_and(|heard| heard.elapsed() > node.switches.idle) {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
            () = node.broker.closed() => return Ok(()),
        }
    }
}

/// Serves a broker connection.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, node: &Node) -> io::Result<()> {
    hold(&mut stream, node).await
}

/// Serves a receiver connection, which requires a login.
pub(crate) async fn serve_login<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    node: &Node,
) -> io::Result<()> {
    let length = stream.read_u8().await?;
    let mut given = vec![0; usize::from(length)];
    stream.read_exact(&mut given).await?;
    let get = |key: &str| node.config.text(&format!("super_admin.{key}")).unwrap_or_default();
    if given != format!("{}:{}", get("username"), get("password")).as_bytes() {
        node.log.error(
            "org.wso2.carbon.databridge.core.internal.authentication.Authenticator",
            "wrong userName or password",
        );
        stream.write_u8(REFUSED).await?;
        return stream.shutdown().await;
    }
    stream.write_u8(WELCOME).await?;
    hold(&mut stream, node).await
}

/// Starts a broker connection as the client.
pub(crate) async fn greet<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> io::Result<()> {
    stream.write_all(HEADER).await
}

/// Logs in to a receiver.
pub(crate) async fn log_in<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    user: &str,
    password: &str,
) -> io::Result<()> {
    let text = format!("{user}:{password}");
    stream.write_u8(u8::try_from(text.len()).unwrap_or(u8::MAX)).await?;
    stream.write_all(text.as_bytes()).await?;
    stream.flush().await?;
    match stream.read_u8().await? {
        WELCOME => Ok(()),
        _ => Err(io::ErrorKind::PermissionDenied.into()),
    }
}
