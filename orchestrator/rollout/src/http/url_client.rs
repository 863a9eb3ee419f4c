//! Sequential GET requests to one URL, over a persistent connection or over a new connection per
//! request. HTTP/1.1 without redirects and proxies; response bodies are read only up to a limit.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::error::{ConnectionError, Missing};
use super::target_url::TargetUrl;
use super::trust::Trust;

/// Maximum number of bytes read of a response body. A longer response counts as complete, and its
/// connection is not reused.
const BODY: usize = 64 * 1024;
/// Maximum size of a response head, in bytes.
const HEAD: usize = 64 * 1024;

/// Maximum length of the details of an error, in characters; names in a certificate may be long.
const DETAILS: usize = 200;

/// Client for repeated requests to one URL.
#[derive(Debug)]
pub struct UrlClient {
    target: Arc<TargetUrl>,
    options: UrlClientOptions,
    keeps: bool,
    kept: Option<Line>,
    /// What the client waits for, for the timeout error.
    waits_for: Missing,
}

/// Options of the requests.
#[derive(Debug, Clone)]
pub struct UrlClientOptions {
    /// Trusted authorities; required for `https`.
    pub trust: Option<Trust>,
    /// Addresses to use instead of name resolution; empty to resolve the name.
    pub addresses: Vec<IpAddr>,
    /// Timeout of one request, including the connection.
    pub limit: Duration,
}

/// Result of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The HTTP status, or the error.
    pub outcome: Result<u16, ConnectionError>,
    /// Whether the request was retried over a new connection because the persistent one was closed
    /// before the first byte of the response. HTTP clients do the same for GET.
    pub again: bool,
}

/// An open connection.
#[derive(Debug)]
struct Line {
    sender: SendRequest<Empty<Bytes>>,
    /// Whether a byte was received since the start of the last request.
    received: Arc<AtomicBool>,
    _driver: AbortOnDropHandle<()>,
}

impl UrlClient {
    /// Creates a client for `target`; `keeps` selects a persistent connection, otherwise each
    /// request opens a new one.
    #[must_use]
    pub const fn new(target: Arc<TargetUrl>, options: UrlClientOptions, keeps: bool) -> Self {
        Self { target, options, keeps, kept: None, waits_for: Missing::Connection }
    }

    /// Sends one request.
    pub async fn get(&mut self) -> Call {
        let mut again = false;
        let limit = self.options.limit;
        let outcome = match timeout(limit, self.send(&mut again)).await {
            Ok(Ok(status)) => Ok(status),
            Ok(Err(error)) => Err(error),
            Err(_) => {
                self.kept = None;
                Err(ConnectionError::Timeout { missing: self.waits_for, limit })
            }
        };
        Call { outcome, again }
    }

    async fn send(&mut self, again: &mut bool) -> Result<u16, ConnectionError> {
        if let Some(mut line) = self.kept.take() {
            self.waits_for = Missing::Response;
            // A persistent connection that was closed while idle is not an error.
            if line.sender.ready().await.is_ok() {
                match self.send_over(line).await {
                    Err(ConnectionError::ClosedUnanswered) => *again = true,
                    result => return result,
                }
            }
        }
        let line = self.open().await?;
        self.send_over(line).await
    }

    async fn send_over(&mut self, mut line: Line) -> Result<u16, ConnectionError> {
        self.waits_for = Missing::Response;
        line.received.store(false, Ordering::Relaxed);
        let request = self.request()?;
        let answer = match line.sender.send_request(request).await {
            Ok(answer) => answer,
            Err(_) if !line.received.load(Ordering::Relaxed) => {
                return Err(ConnectionError::ClosedUnanswered);
            }
            Err(error) if error.is_parse() => {
                return Err(ConnectionError::NotHttp(details(&error)));
            }
            Err(_) => return Err(ConnectionError::Incomplete),
        };
        self.waits_for = Missing::ResponseEnd;
        let status = answer.status().as_u16();
        let is_whole = read(answer).await?;
        if self.keeps && is_whole {
            self.kept = Some(line);
        }
        Ok(status)
    }

    fn request(&self) -> Result<Request<Empty<Bytes>>, ConnectionError> {
        let connection = if self.keeps { "keep-alive" } else { "close" };
        Request::get(self.target.path.as_str())
            .header(header::HOST, self.target.authority.as_str())
            .header(header::USER_AGENT, concat!("apim-deploy/", env!("CARGO_PKG_VERSION"), " (probe)"))
            .header(header::ACCEPT, "*/*")
            // Proxies must revalidate, not answer from their cache.
            .header(header::CACHE_CONTROL, "no-cache")
            .header(header::CONNECTION, connection)
            .body(Empty::new())
            .map_err(|error| ConnectionError::Request(details(&error)))
    }

    async fn open(&mut self) -> Result<Line, ConnectionError> {
        self.waits_for = Missing::Connection;
        let stream = self.connect().await?;
        if !self.target.is_encrypted {
            return shake_hands(stream).await;
        }
        self.waits_for = Missing::Handshake;
        let trust = self.options.trust.as_ref().ok_or(ConnectionError::NoAuthorities)?;
        let name = ServerName::try_from(self.target.name.clone())
            .map_err(|_| ConnectionError::ServerName(self.target.name.clone()))?;
        let connector = TlsConnector::from(Arc::clone(&trust.0));
        let stream = connector.connect(name, stream).await.map_err(|error| tls(&error))?;
        shake_hands(stream).await
    }

    /// Tries the addresses in order, as HTTP clients do.
    async fn connect(&self) -> Result<TcpStream, ConnectionError> {
        let TargetUrl { name, port, .. } = self.target.as_ref();
        let addresses: Vec<SocketAddr> = match (self.options.addresses.as_slice(), self.target.address()) {
            ([], Some(address)) => vec![SocketAddr::from((address, *port))],
            ([], None) => lookup_host((name.as_str(), *port))
                .await
                .map_err(|_| ConnectionError::Unresolved(name.clone()))?
                .collect(),
            (given, _) => given.iter().map(|address| SocketAddr::from((*address, *port))).collect(),
        };
        let share = self.options.limit / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
        let mut why = ConnectionError::NoAddress(name.clone());
        for address in addresses {
            why = match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Without this option, the connection is only slower.
                    drop(stream.set_nodelay(true));
                    return Ok(stream);
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    ConnectionError::Refused
                }
                Ok(Err(error)) => ConnectionError::Failed(details(&error)),
                Err(_) => ConnectionError::Timeout { missing: Missing::Connection, limit: share },
            };
        }
        Err(why)
    }
}

/// Starts HTTP on a connected stream.
async fn shake_hands(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<Line, ConnectionError> {
    let received = Arc::new(AtomicBool::new(false));
    let observed = Observed { stream, received: Arc::clone(&received) };
    let begun = http1::Builder::new().max_buf_size(HEAD).handshake(TokioIo::new(observed)).await;
    let (sender, connection) = begun.map_err(|error| ConnectionError::NotHttp(details(&error)))?;
    // The sender reports the errors of the connection.
    let driver = tokio::spawn(async move { drop(connection.await) });
    Ok(Line { sender, received, _driver: AbortOnDropHandle::new(driver) })
}

/// Reads a response body up to [`BODY`] bytes; returns whether it was read to its end.
async fn read(mut answer: Response<Incoming>) -> Result<bool, ConnectionError> {
    let mut left = BODY;
    while let Some(frame) = answer.body_mut().frame().await {
        let frame = frame.map_err(|_| ConnectionError::Incomplete)?;
        let long = frame.data_ref().map_or(0, Bytes::len);
        let Some(less) = left.checked_sub(long) else { return Ok(false) };
        left = less;
    }
    Ok(true)
}

/// Classifies a failed TLS handshake; TLS errors are wrapped in I/O errors.
fn tls(error: &io::Error) -> ConnectionError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(why)) => ConnectionError::Untrusted(details(why)),
        Some(inner) => ConnectionError::Handshake(details(inner)),
        None if error.kind() == io::ErrorKind::UnexpectedEof => ConnectionError::ClosedInHandshake,
        None => ConnectionError::Handshake(details(error)),
    }
}

/// Returns the start of an error's message.
fn details(error: &impl ToString) -> String {
    error.to_string().chars().take(DETAILS).collect()
}

/// A stream that records whether a byte was received.
struct Observed<S> {
    stream: S,
    received: Arc<AtomicBool>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Observed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let done = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        if buffer.filled().len() > before {
            self.received.store(true, Ordering::Relaxed);
        }
        Poll::Ready(done)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Observed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
