//! GET, one after the other, to one place, over connections whose life the caller sees: kept from one request to the next, or a new one
//! each time. HTTP/1.1; no redirect is followed, no proxy is used, and of an answer no more is read than is good for anything.

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

/// So much of an answer's body is read; what is longer counts as answered, and its connection is not used again.
const BODY: usize = 64 * 1024;
/// The longest head of an answer.
const HEAD: usize = 64 * 1024;

/// The longest reason; what is in a certificate may be long.
const WHY: usize = 240;

/// Whoever asks, again and again.
#[derive(Debug)]
pub struct Caller {
    place: Arc<Place>,
    terms: Terms,
    keeps: bool,
    kept: Option<Line>,
    /// What it waits for, for words.
    waits_for: &'static str,
}

/// On which terms one asks.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Whom to trust; needed where the place is encrypted.
    pub trust: Option<Trust>,
    /// Where the place is, in place of what its name resolves to.
    pub addresses: Vec<IpAddr>,
    /// How long a whole request may take.
    pub limit: Duration,
}

/// What came of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The status, or why there is none.
    pub outcome: Result<u16, String>,
    /// Whether it was sent a second time, over a new connection, because the kept one ended before a byte of the answer came: every client
    /// does that with a GET.
    pub again: bool,
}

/// An open connection.
#[derive(Debug)]
struct Line {
    sender: SendRequest<Empty<Bytes>>,
    /// Whether a byte came since the last request was begun.
    heard: Arc<AtomicBool>,
    _driver: AbortOnDropHandle<()>,
}

/// Why there is no answer.
enum Lost {
    /// The connection ended before a byte of it.
    Unheard(String),
    Broken(String),
}

impl Caller {
    /// Returns one who asks `place`, and keeps its connection from one request to the next or makes a new one each time.
    #[must_use]
    pub const fn new(place: Arc<Place>, terms: Terms, keeps: bool) -> Self {
        Self { place, terms, keeps, kept: None, waits_for: "" }
    }

    /// Asks once.
    pub async fn get(&mut self) -> Call {
        let mut again = false;
        let limit = self.terms.limit;
        let outcome = match timeout(limit, self.ask(&mut again)).await {
            Ok(Ok(status)) => Ok(status),
            Ok(Err(Lost::Unheard(why) | Lost::Broken(why))) => Err(why.chars().take(WHY).collect()),
            Err(_) => {
                self.kept = None;
                Err(format!("{} within {}", self.waits_for, words(limit)))
            }
        };
        Call { outcome, again }
    }

    async fn ask(&mut self, again: &mut bool) -> Result<u16, Lost> {
        if let Some(mut line) = self.kept.take() {
            self.waits_for = "no answer";
            // One that was closed while nobody asked is nobody's loss.
            if line.sender.ready().await.is_ok() {
                match self.ask_over(line).await {
                    Err(Lost::Unheard(_)) => *again = true,
                    asked => return asked,
                }
            }
        }
        let line = self.open().await.map_err(Lost::Broken)?;
        self.ask_over(line).await
    }

    async fn ask_over(&mut self, mut line: Line) -> Result<u16, Lost> {
        self.waits_for = "no answer";
        line.heard.store(false, Ordering::Relaxed);
        let request = self.request().map_err(Lost::Broken)?;
        let answer = match line.sender.send_request(request).await {
            Ok(answer) => answer,
            Err(_) if !line.heard.load(Ordering::Relaxed) => {
                return Err(Lost::Unheard("the connection was closed without an answer".to_owned()));
            }
            Err(error) if error.is_parse() => return Err(Lost::Broken(format!("no HTTP: {error}"))),
            Err(_) => return Err(Lost::Broken("the answer broke off".to_owned())),
        };
        self.waits_for = "the answer did not end";
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
            // What stands in between is to ask, not to remember.
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
        self.waits_for = "no handshake (TLS)";
        let trust = self.terms.trust.as_ref().ok_or("nobody is trusted")?;
        let name = ServerName::try_from(self.place.name.clone())
            .map_err(|_| format!("`{}` is no name for TLS", self.place.name))?;
        let connector = TlsConnector::from(Arc::clone(&trust.0));
        let stream = connector.connect(name, stream).await.map_err(|error| tls(&error))?;
        shake_hands(stream).await
    }

    /// Tries one address after the other, as clients do.
    async fn connect(&self) -> Result<TcpStream, String> {
        let Place { name, port, .. } = self.place.as_ref();
        let addresses: Vec<SocketAddr> = match (self.terms.addresses.as_slice(), self.place.address()) {
            ([], Some(address)) => vec![SocketAddr::from((address, *port))],
            ([], None) => lookup_host((name.as_str(), *port))
                .await
                .map_err(|_| format!("the name {name} cannot be resolved"))?
                .collect(),
            (given, _) => given.iter().map(|address| SocketAddr::from((*address, *port))).collect(),
        };
        let share = self.terms.limit / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
        let mut why = format!("the name {name} has no address");
        for address in addresses {
            why = match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Where that does not work it is only slower.
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

/// Begins to speak HTTP.
async fn shake_hands(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<Line, String> {
    let heard = Arc::new(AtomicBool::new(false));
    let heeded = Heeded { stream, heard: Arc::clone(&heard) };
    let begun = http1::Builder::new().max_buf_size(HEAD).handshake(TokioIo::new(heeded)).await;
    let (sender, connection) = begun.map_err(|error| format!("no HTTP: {error}"))?;
    // How it ends is told to whoever asks over it.
    let driver = tokio::spawn(async move { drop(connection.await) });
    Ok(Line { sender, heard, _driver: AbortOnDropHandle::new(driver) })
}

/// Reads an answer's body as far as is good for anything; says whether it was read to its end.
async fn read(mut answer: Response<Incoming>) -> Result<bool, Lost> {
    let mut left = BODY;
    while let Some(frame) = answer.body_mut().frame().await {
        let frame = frame.map_err(|_| Lost::Broken("the answer broke off".to_owned()))?;
        let long = frame.data_ref().map_or(0, Bytes::len);
        let Some(less) = left.checked_sub(long) else { return Ok(false) };
        left = less;
    }
    Ok(true)
}

/// Returns why a handshake failed; the reasons of TLS come wrapped into errors of reading and writing.
fn tls(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(why)) => format!("its certificate is not trusted: {why}"),
        Some(inner) => format!("no handshake (TLS): {inner}"),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the connection was closed in the handshake (TLS)".to_owned()
        }
        None => format!("no handshake (TLS): {error}"),
    }
}

/// Returns a time in words: `300 ms`, `5 s`.
fn words(limit: Duration) -> String {
    match limit.as_millis() {
        millis if millis % 1000 == 0 => format!("{} s", millis / 1000),
        millis => format!("{millis} ms"),
    }
}

/// A stream that notes when a byte came.
struct Heeded<S> {
    stream: S,
    heard: Arc<AtomicBool>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Heeded<S> {
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

impl<S: AsyncWrite + Unpin> AsyncWrite for Heeded<S> {
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
