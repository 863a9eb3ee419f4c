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

use super::place::Place;
use super::trust::Trust;

/// Maximum number of bytes read of a response body. A longer response counts as complete, and its
/// connection is not reused.
const BODY: usize = 64 * 1024;
/// Maximum size of a response head, in bytes.
const HEAD: usize = 64 * 1024;

/// Maximum length of an error, in characters; names in a certificate may be long.
const WHY: usize = 240;

/// Client for repeated requests to one URL.
#[derive(Debug)]
pub struct Caller {
    place: Arc<Place>,
    terms: Terms,
    keeps: bool,
    kept: Option<Line>,
    /// Description of the current wait, for the timeout error.
    waits_for: &'static str,
}

/// Options of the requests.
#[derive(Debug, Clone)]
pub struct Terms {
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
    pub outcome: Result<u16, String>,
    /// Whether the request was retried over a new connection because the persistent one was closed
    /// before the first byte of the response. HTTP clients do the same for GET.
    pub again: bool,
}

/// An open connection.
#[derive(Debug)]
struct Line {
    sender: SendRequest<Empty<Bytes>>,
    /// Whether a byte was received since the start of the last request.
    heard: Arc<AtomicBool>,
    _driver: AbortOnDropHandle<()>,
}

/// Why a request failed.
enum Lost {
    /// The connection was closed before the first byte of the response.
    Unanswered(String),
    Broken(String),
}

impl Caller {
    /// Creates a client for `place`; `keeps` selects a persistent connection, otherwise each
    /// request opens a new one.
    #[must_use]
    pub const fn new(place: Arc<Place>, terms: Terms, keeps: bool) -> Self {
        Self { place, terms, keeps, kept: None, waits_for: "" }
    }

    /// Sends one request.
    pub async fn get(&mut self) -> Call {
        let mut again = false;
        let limit = self.terms.limit;
        let outcome = match timeout(limit, self.send(&mut again)).await {
            Ok(Ok(status)) => Ok(status),
            Ok(Err(Lost::Unanswered(why) | Lost::Broken(why))) => Err(why.chars().take(WHY).collect()),
            Err(_) => {
                self.kept = None;
                Err(format!("{} within {}", self.waits_for, words(limit)))
            }
        };
        Call { outcome, again }
    }

    async fn send(&mut self, again: &mut bool) -> Result<u16, Lost> {
        if let Some(mut line) = self.kept.take() {
            self.waits_for = "no response";
            // A persistent connection that was closed while idle is not an error.
            if line.sender.ready().await.is_ok() {
                match self.send_over(line).await {
                    Err(Lost::Unanswered(_)) => *again = true,
                    result => return result,
                }
            }
        }
        let line = self.open().await.map_err(Lost::Broken)?;
        self.send_over(line).await
    }

    async fn send_over(&mut self, mut line: Line) -> Result<u16, Lost> {
        self.waits_for = "no response";
        line.heard.store(false, Ordering::Relaxed);
        let request = self.request().map_err(Lost::Broken)?;
        let answer = match line.sender.send_request(request).await {
            Ok(answer) => answer,
            Err(_) if !line.heard.load(Ordering::Relaxed) => {
                return Err(Lost::Unanswered("the connection was closed without a response".to_owned()));
            }
            Err(error) if error.is_parse() => {
                return Err(Lost::Broken(format!("invalid HTTP response: {error}")));
            }
            Err(_) => return Err(Lost::Broken("the response is incomplete".to_owned())),
        };
        self.waits_for = "the response did not end";
        let status = answer.status().as_u16();
        let is_whole = read(answer).await?;
        if self.keeps && is_whole {
            self.kept = Some(line);
        }
        Ok(status)
    }

    fn request(&self) -> Result<Request<Empty<Bytes>>, String> {
        let connection = if self.keeps { "keep-alive" } else { "close" };
        Request::get(self.place.path.as_str())
            .header(header::HOST, self.place.authority.as_str())
            .header(header::USER_AGENT, concat!("apim-deploy/", env!("CARGO_PKG_VERSION"), " (probe)"))
            .header(header::ACCEPT, "*/*")
            // Proxies must revalidate, not answer from their cache.
            .header(header::CACHE_CONTROL, "no-cache")
            .header(header::CONNECTION, connection)
            .body(Empty::new())
            .map_err(|error| error.to_string())
    }

    async fn open(&mut self) -> Result<Line, String> {
        self.waits_for = "no connection";
        let stream = self.connect().await?;
        if !self.place.is_encrypted {
            return shake_hands(stream).await;
        }
        self.waits_for = "no TLS handshake";
        let trust = self.terms.trust.as_ref().ok_or("no trusted authorities configured")?;
        let name = ServerName::try_from(self.place.name.clone())
            .map_err(|_| format!("invalid TLS server name `{}`", self.place.name))?;
        let connector = TlsConnector::from(Arc::clone(&trust.0));
        let stream = connector.connect(name, stream).await.map_err(|error| tls(&error))?;
        shake_hands(stream).await
    }

    /// Tries the addresses in order, as HTTP clients do.
    async fn connect(&self) -> Result<TcpStream, String> {
        let Place { name, port, .. } = self.place.as_ref();
        let addresses: Vec<SocketAddr> = match (self.terms.addresses.as_slice(), self.place.address()) {
            ([], Some(address)) => vec![SocketAddr::from((address, *port))],
            ([], None) => lookup_host((name.as_str(), *port))
                .await
                .map_err(|_| format!("cannot resolve {name}"))?
                .collect(),
            (given, _) => given.iter().map(|address| SocketAddr::from((*address, *port))).collect(),
        };
        let share = self.terms.limit / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
        let mut why = format!("{name} has no address");
        for address in addresses {
            why = match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Without this option, the connection is only slower.
                    drop(stream.set_nodelay(true));
                    return Ok(stream);
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    "connection refused".to_owned()
                }
                Ok(Err(error)) => format!("no connection: {error}"),
                Err(_) => format!("no connection within {}", words(share)),
            };
        }
        Err(why)
    }
}

/// Starts HTTP on a connected stream.
async fn shake_hands(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<Line, String> {
    let heard = Arc::new(AtomicBool::new(false));
    let observed = Observed { stream, heard: Arc::clone(&heard) };
    let begun = http1::Builder::new().max_buf_size(HEAD).handshake(TokioIo::new(observed)).await;
    let (sender, connection) = begun.map_err(|error| format!("invalid HTTP response: {error}"))?;
    // The sender reports the errors of the connection.
    let driver = tokio::spawn(async move { drop(connection.await) });
    Ok(Line { sender, heard, _driver: AbortOnDropHandle::new(driver) })
}

/// Reads a response body up to [`BODY`] bytes; returns whether it was read to its end.
async fn read(mut answer: Response<Incoming>) -> Result<bool, Lost> {
    let mut left = BODY;
    while let Some(frame) = answer.body_mut().frame().await {
        let frame = frame.map_err(|_| Lost::Broken("the response is incomplete".to_owned()))?;
        let long = frame.data_ref().map_or(0, Bytes::len);
        let Some(less) = left.checked_sub(long) else { return Ok(false) };
        left = less;
    }
    Ok(true)
}

/// Describes a failed TLS handshake; TLS errors are wrapped in I/O errors.
fn tls(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(why)) => format!("certificate not trusted: {why}"),
        Some(inner) => format!("TLS handshake failed: {inner}"),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the connection was closed during the TLS handshake".to_owned()
        }
        None => format!("TLS handshake failed: {error}"),
    }
}

/// Formats a duration: `300 ms`, `5 s`.
fn words(limit: Duration) -> String {
    match limit.as_millis() {
        millis if millis % 1000 == 0 => format!("{} s", millis / 1000),
        millis => format!("{millis} ms"),
    }
}

/// A stream that records whether a byte was received.
struct Observed<S> {
    stream: S,
    heard: Arc<AtomicBool>,
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
            self.heard.store(true, Ordering::Relaxed);
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
