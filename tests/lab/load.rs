//! Constant, counted load on a service, by clients with and without kept connections.

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

use crate::poll::until;

/// The maximum duration of an answer.
const LIMIT: Duration = Duration::from_secs(20);
/// The interval between two requests of a client.
const INTERVAL: Duration = Duration::from_millis(10);
/// The maximum size of the head of an answer, in bytes.
const HEAD: usize = 16 * 1024;

/// A URL to request.
#[derive(Debug, Clone)]
pub struct Target {
    /// The host name.
    pub name: String,
    /// The address of the name.
    pub address: SocketAddr,
    /// The path; must be answered with 200.
    pub path: String,
    /// The trusted authorities; `None` for plain HTTP.
    pub trust: Option<Arc<ClientConfig>>,
}

/// Returns a TLS configuration that trusts only the authorities of a PEM file.
///
/// # Panics
/// If the file contains none.
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

/// The results of all clients.
#[derive(Debug, Default)]
pub struct Tally {
    /// The number of requests.
    pub sent: usize,
    /// The number of requests retried over a new connection, because the kept one was closed before the
    /// first byte of the answer: every client does that with a GET.
    pub retried: usize,
    /// Why requests failed.
    pub failed: Vec<String>,
    /// The longest duration of a request.
    pub longest: Duration,
}

/// Running clients.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    tally: Arc<Mutex<Tally>>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts two clients for each target: one keeps its connection, the other does not.
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

    /// Returns the number of requests sent so far.
    #[must_use]
    pub fn sent(&self) -> usize {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).sent
    }

    /// Waits until the clients have sent this many requests in total.
    ///
    /// # Panics
    /// If that takes longer than 20 s.
    pub fn await_total(&self, requests: usize) {
        let is_reached = until(LIMIT, || self.sent() >= requests);
        assert!(is_reached, "only {} of {requests} requests within {LIMIT:?}", self.sent());
    }

    /// Ends the load and returns the results.
    ///
    /// # Panics
    /// If a client panicked.
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

/// Why a request has no answer.
enum Lost {
    /// The connection was closed before the first byte of the answer.
    Closed,
    Broken(String),
}

impl Client {
    fn work(mut self, stop: &AtomicBool, tally: &Mutex<Tally>) {
        while !stop.load(Ordering::Relaxed) {
            let begun = Instant::now();
            let was_kept = self.kept.is_some();
            let mut outcome = self.send();
            let retried = was_kept && matches!(outcome, Err(Lost::Closed));
            if retried {
                outcome = self.send();
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
            tally.retried += usize::from(retried);
            tally.longest = tally.longest.max(took);
            let name = &self.target.name;
            tally.failed.extend(why.map(|why| format!("{name} after {took:.1?}: {why}")));
            drop(tally);
            // Paces the load.
            std::thread::sleep(INTERVAL);
        }
    }

    /// Sends one request; returns the status.
    fn send(&mut self) -> Result<u16, Lost> {
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
        let stream = TcpStream::connect_timeout(&self.target.address, LIMIT)?;
        stream.set_read_timeout(Some(LIMIT))?;
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

/// Reads a whole answer. Returns its status and whether the connection is kept open.
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
        let parsed = head.parse(&bytes).map_err(|error| Lost::Broken(format!("not HTTP: {error}")))?;
        let httparse::Status::Complete(body) = parsed else {
            match (read, bytes.is_empty()) {
                (0, true) => return Err(Lost::Closed),
                (0, false) => return Err(broken("the answer's head was cut off")),
                _ if bytes.len() > HEAD => return Err(broken("the answer's head is too long")),
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
            // The body ends with the connection.
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
