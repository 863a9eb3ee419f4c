//! Constant, counted load on a service: clients that keep their connections and clients that make one for each request.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two requests of a client.
const PAUSE: Duration = Duration::from_millis(10);
/// The longest head of an answer.
const HEAD: usize = 16 * 1024;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Target {
    /// The name that clients know.
    pub name: String,
    /// Where it is.
    pub address: SocketAddr,
    /// What is asked for; must be answered with 200.
    pub path: String,
    /// Whom TLS clients trust; `None` for plain HTTP.
    pub trust: Option<Arc<ClientConfig>>,
}

/// Returns what trusts the authorities of a PEM file and nobody else.
///
/// # Panics
/// When there are none in it.
#[must_use]
pub fn trusting(authorities: &Path) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for one in CertificateDer::pem_file_iter(authorities).expect("a file of authorities") {
        roots.add(one.expect("a certificate")).expect("an authority");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Arc::new(builder.expect("versions of TLS").with_root_certificates(roots).with_no_client_auth())
}

/// What clients saw.
#[derive(Debug, Default)]
pub struct Tally {
    /// How many requests were made.
    pub sent: usize,
    /// Those that were sent again over a new connection, because the kept one had been closed before a byte of the answer: every
    /// client does that with a GET.
    pub resent: usize,
    /// Why requests had no good answer.
    pub failed: Vec<String>,
    /// The longest that a client waited for an answer.
    pub longest: Duration,
}

/// Clients at work.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    tally: Arc<Mutex<Tally>>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Sets clients to work: for each target one that keeps its connection and one that does not.
    #[must_use]
    pub fn on(targets: &[Target]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let tally = Arc::new(Mutex::new(Tally::default()));
        let work = |target: &Target, keeps: bool| {
            let (target, stop, tally) = (target.clone(), Arc::clone(&stop), Arc::clone(&tally));
            std::thread::spawn(move || Client { target, keeps, kept: None }.work(&stop, &tally))
        };
        let clients = targets.iter().flat_map(|target| [work(target, true), work(target, false)]).collect();
        Self { stop, tally, clients }
    }

    /// Ends the load and returns what the clients saw.
    ///
    /// # Panics
    /// When a client did.
    #[must_use]
    pub fn end(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().expect("a client's end");
        }
        std::mem::take(&mut *self.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

trait Link: Read + Write + Send {}
impl<T: Read + Write + Send> Link for T {}

struct Client {
    target: Target,
    keeps: bool,
    kept: Option<Box<dyn Link>>,
}

/// How a request ended that has no answer.
enum Lost {
    /// The other side had closed before it answered a byte.
    Closed,
    Broken(String),
}

impl Client {
    fn work(mut self, stop: &AtomicBool, tally: &Mutex<Tally>) {
        while !stop.load(Ordering::Relaxed) {
            let begun = Instant::now();
            let was_kept = self.kept.is_some();
            let mut outcome = self.ask();
            let resent = was_kept && matches!(outcome, Err(Lost::Closed));
            if resent {
                outcome = self.ask();
            }
            let took = begun.elapsed();
            let why = match outcome {
                Ok(200) => None,
                Ok(status) => Some(format!("status {status}")),
                Err(Lost::Closed) => Some("closed without an answer".to_owned()),
                Err(Lost::Broken(why)) => Some(why),
            };
            let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            tally.sent += 1;
            tally.resent += usize::from(resent);
            tally.longest = tally.longest.max(took);
            let name = &self.target.name;
            tally.failed.extend(why.map(|why| format!("{name} after {took:.1?}: {why}")));
            drop(tally);
            std::thread::sleep(PAUSE);
        }
    }

    /// Asks once; returns the status.
    fn ask(&mut self) -> Result<u16, Lost> {
        let mut link = match self.kept.take() {
            Some(link) => link,
            None => self.connect().map_err(|error| Lost::Broken(format!("no connection: {error}")))?,
        };
        let Target { name, path, .. } = &self.target;
        let connection = if self.keeps { "keep-alive" } else { "close" };
        let request = format!("GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: {connection}\r\n\r\n");
        link.write_all(request.as_bytes()).and_then(|()| link.flush()).map_err(|_| Lost::Closed)?;
        let (status, stays) = answer(&mut *link)?;
        if self.keeps && stays {
            self.kept = Some(link);
        }
        Ok(status)
    }

    fn connect(&self) -> io::Result<Box<dyn Link>> {
        let stream = TcpStream::connect_timeout(&self.target.address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let Some(trust) = &self.target.trust else { return Ok(Box::new(stream)) };
        let name = ServerName::try_from(self.target.name.clone()).map_err(io::Error::other)?;
        let session = ClientConnection::new(Arc::clone(trust), name).map_err(io::Error::other)?;
        let mut link = StreamOwned::new(session, stream);
        while link.conn.is_handshaking() {
            link.conn.complete_io(&mut link.sock)?;
        }
        Ok(Box::new(link))
    }
}

/// Reads an answer to its end; returns its status and whether the connection stays.
fn answer(link: &mut dyn Link) -> Result<(u16, bool), Lost> {
    let broken = |why: &str| Lost::Broken(why.to_owned());
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    loop {
        let read = match link.read(&mut part) {
            Ok(read) => read,
            Err(_) if bytes.is_empty() => return Err(Lost::Closed),
            Err(error) => return Err(Lost::Broken(format!("in the middle of an answer: {error}"))),
        };
        bytes.extend_from_slice(&part[..read]);
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Response::new(&mut headers);
        let parsed = head.parse(&bytes).map_err(|error| Lost::Broken(format!("no HTTP: {error}")))?;
        let httparse::Status::Complete(body) = parsed else {
            match (read, bytes.is_empty()) {
                (0, true) => return Err(Lost::Closed),
                (0, false) => return Err(broken("the answer's head was cut off")),
                _ if bytes.len() > HEAD => return Err(broken("the answer's head has no end")),
                _ => continue,
            }
        };
        let header = |name: &str| {
            let found = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
            found.map(|header| String::from_utf8_lossy(header.value).to_ascii_lowercase())
        };
        let closes = header("connection").is_some_and(|value| value.contains("close"));
        let status = head.code.unwrap_or_default();
        let is_whole = match header("content-length").and_then(|length| length.trim().parse::<usize>().ok()) {
            Some(length) => bytes.len() >= body + length,
            None if header("transfer-encoding").is_some() => bytes.ends_with(b"0\r\n\r\n"),
            // Its end is the connection's.
            None => read == 0,
        };
        if is_whole {
            return Ok((status, !closes && read > 0));
        }
        if read == 0 {
            return Err(broken("the answer was cut off"));
        }
    }
}
