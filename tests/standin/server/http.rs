//! HTTP/1.1 on one connection: only what health checks, load tests and other stand-ins need.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::gate::Gate;
use crate::node::Node;
use crate::routes::{self, Site};

const HEAD: usize = 32 * 1024;
const BODY: usize = 1 << 20;
const KEEP: Duration = Duration::from_secs(60);

/// A request; its body is discarded.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) authorization: Option<String>,
    closes: bool,
    body: usize,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) kind: &'static str,
    pub(crate) body: String,
}

impl Reply {
    /// A status without a body.
    pub(crate) fn empty(status: u16) -> Reply {
        Reply { status, kind: "text/plain", body: String::new() }
    }
}

/// Serves a connection until the peer or the gate closes it.
pub(crate) async fn serve<S>(mut stream: S, node: Arc<Node>, site: Site) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let gate: &Gate = site.gate(&node);
    let mut buffer = Vec::new();
    loop {
        let read = tokio::select! {
            read = timeout(KEEP, next(&mut stream, &mut buffer)) => read.map_err(|_| io::ErrorKind::TimedOut)??,
            () = gate.closed() => break,
        };
        let Some(request) = read else { break };
        let active = gate.enter();
        skip_body(&mut stream, &mut buffer, request.body).await?;
        let reply = routes::answer(&node, site, &request).await;
        let text = format!(
            "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nServer: WSO2 Carbon Server\r\nConnection: {}\r\n\r\n{}",
            reply.status,
            reason(reply.status),
            reply.kind,
            reply.body.len(),
            if request.closes { "close" } else { "keep-alive" },
            if request.method == "HEAD" { "" } else { &reply.body },
        );
        stream.write_all(text.as_bytes()).await?;
        stream.flush().await?;
        drop(active);
        if request.closes {
            break;
        }
    }
    stream.shutdown().await
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        302 => "Found",
        401 => "Unauthorized",
        404 => "Not Found",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Answer",
    }
}

/// Reads the head of the next request; `None` at the end of the connection.
async fn next<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>) -> io::Result<Option<Request>> {
    loop {
        if let Some((length, request)) = parse(buffer)? {
            buffer.drain(..length);
            return Ok(Some(request));
        }
        if buffer.len() > HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

fn parse(buffer: &[u8]) -> io::Result<Option<(usize, Request)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(length) = parsed.parse(buffer).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let header = |name: &str| {
        let found = parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| String::from_utf8_lossy(header.value).into_owned())
    };
    let target = parsed.path.unwrap_or("/");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let connection = header("connection").unwrap_or_default().to_ascii_lowercase();
    let request = Request {
        method: parsed.method.unwrap_or("GET").to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        authorization: header("authorization"),
        closes: connection == "close"
            || header("transfer-encoding").is_some()
            || (parsed.version == Some(0) && connection != "keep-alive"),
        body: header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0),
    };
    Ok(Some((length, request)))
}

async fn skip_body<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    length: usize,
) -> io::Result<()> {
    if length > BODY {
        return Err(io::ErrorKind::InvalidData.into());
    }
    while buffer.len() < length {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    buffer.drain(..length);
    Ok(())
}
