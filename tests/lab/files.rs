//! An HTTP file server with the byte ranges and validators that resumed downloads need, and with
//! configurable faults.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a stalled answer keeps its connection open, and the time limit for a request.
const LIMIT: Duration = Duration::from_secs(600);

/// A fault of answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Trouble {
    /// No fault.
    #[default]
    None,
    /// The connection closes after this many bytes of the next body; later answers are complete.
    CutOnce(u64),
    /// Every body stops after this many bytes, and the connection stays open.
    Stall(u64),
    /// One bit of every body is flipped.
    Flip,
    /// Every answer has this status.
    Status(u16),
    /// Byte ranges are ignored: every answer is the whole file.
    NoRanges,
}

/// A received request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The path.
    pub path: String,
    /// The `Range` header.
    pub range: Option<String>,
}

#[derive(Debug, Default)]
struct Shared {
    trouble: Mutex<Trouble>,
    received: Mutex<Vec<Received>>,
}

/// A file server; stopped on drop.
#[derive(Debug)]
pub struct FileServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl FileServer {
    /// Serves `folder` at `address` (port 0: any free port).
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub fn start(folder: &Path, address: impl ToSocketAddrs) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let (stop, stopped) = channel();
        let (folder, state) = (folder.to_owned(), Arc::clone(&shared));
        let thread = std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if stopped.try_recv().is_ok() {
                    break;
                }
                let (folder, state) = (folder.clone(), Arc::clone(&state));
                // Errors are expected: clients close connections early.
                std::thread::spawn(move || answer(client, &folder, &state).unwrap_or_default());
            }
        });
        Ok(Self { address, shared, stop, thread: Some(thread) })
    }

    /// Returns the URL of the folder, without a trailing slash.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sets the fault of later answers.
    pub fn trouble(&self, trouble: Trouble) {
        *self.shared.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// Returns the requests received so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Serves until the process ends.
    pub fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap_or_default();
        }
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            // The listener checks for the stop only after a connection.
            if self.stop.send(()).is_ok() && TcpStream::connect(self.address).is_ok() {
                thread.join().unwrap_or_default();
            }
        }
    }
}

struct Request {
    head_only: bool,
    path: String,
    range: Option<String>,
    if_range: Option<String>,
}

fn read_request(client: &TcpStream) -> io::Result<Option<Request>> {
    let mut reader = BufReader::new(client);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut words = first.split_whitespace();
    let (Some(verb), Some(path)) = (words.next(), words.next()) else { return Ok(None) };
    let mut request =
        Request { head_only: verb == "HEAD", path: path.to_owned(), range: None, if_range: None };
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            return Ok(Some(request));
        }
        if let Some((name, value)) = line.split_once(':') {
            match name.to_ascii_lowercase().as_str() {
                "range" => request.range = Some(value.trim().to_owned()),
                "if-range" => request.if_range = Some(value.trim().to_owned()),
                _ => {}
            }
        }
    }
}

fn answer(mut client: TcpStream, folder: &Path, shared: &Shared) -> io::Result<()> {
    client.set_read_timeout(Some(LIMIT))?;
    let Some(request) = read_request(&client)? else { return Ok(()) };
    let received = Received { path: request.path.clone(), range: request.range.clone() };
    shared.received.lock().unwrap_or_else(PoisonError::into_inner).push(received);
    let trouble = {
        let mut trouble = shared.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let now = *trouble;
        if matches!(now, Trouble::CutOnce(_)) {
            *trouble = Trouble::None;
        }
        now
    };
    if let Trouble::Status(status) = trouble {
        return write!(client, "HTTP/1.1 {status} Trouble\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    let Some(mut file) = open(folder, &request.path) else {
        return write!(client, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let size = file.metadata()?.len();
    let tag = tag(&file)?;
    let unchanged = request.if_range.as_ref().is_none_or(|wanted| *wanted == tag);
    let start =
        request.range.as_deref().filter(|_| unchanged && trouble != Trouble::NoRanges).and_then(range_start);
    let start = match start {
        Some(start) if start >= size => {
            return write!(
                client,
                "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */{size}\r\nContent-Length: 0\r\n\
                 Connection: close\r\n\r\n"
            );
        }
        other => other,
    };
    let (status, from) = start.map_or(("200 OK", 0), |start| ("206 Partial Content", start));
    let mut head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nETag: {tag}\r\nAccept-Ranges: bytes\r\nConnection: close\r\n",
        size - from
    );
    if start.is_some() {
        head.push_str(&format!("Content-Range: bytes {from}-{}/{size}\r\n", size.saturating_sub(1)));
    }
    head.push_str("\r\n");
    client.write_all(head.as_bytes())?;
    if request.head_only {
        return Ok(());
    }
    file.seek(SeekFrom::Start(from))?;
    body(client, file, trouble)
}

fn body(mut client: TcpStream, file: File, trouble: Trouble) -> io::Result<()> {
    match trouble {
        Trouble::CutOnce(count) => io::copy(&mut file.take(count), &mut client).map(drop),
        Trouble::Stall(count) => {
            io::copy(&mut file.take(count), &mut client)?;
            client.flush()?;
            // Reads until the client closes the connection.
            io::copy(&mut &client, &mut io::sink()).map(drop)
        }
        Trouble::Flip => {
            let mut bytes = Vec::new();
            file.take(u64::MAX).read_to_end(&mut bytes)?;
            let middle = bytes.len() / 2;
            if let Some(byte) = bytes.get_mut(middle) {
                *byte ^= 1;
            }
            client.write_all(&bytes)
        }
        Trouble::None | Trouble::NoRanges | Trouble::Status(_) => io::copy(&mut &file, &mut client).map(drop),
    }
}

fn open(folder: &Path, path: &str) -> Option<File> {
    let parts: Vec<&str> =
        path.split(['?', '#']).next()?.split('/').filter(|part| !part.is_empty()).collect();
    if parts.iter().any(|part| *part == ".." || *part == ".") {
        return None;
    }
    let path: PathBuf = folder.join(parts.join("/"));
    path.is_file().then(|| File::open(path).ok()).flatten()
}

fn tag(file: &File) -> io::Result<String> {
    use std::os::unix::fs::MetadataExt as _;
    let about = file.metadata()?;
    Ok(format!("\"{:x}-{:x}-{:x}\"", about.ino(), about.len(), about.mtime_nsec()))
}

fn range_start(range: &str) -> Option<u64> {
    range.strip_prefix("bytes=")?.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(server: &FileServer, headers: &str) -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(server.address).expect("the server answers");
        write!(stream, "GET /file HTTP/1.1\r\nHost: lab\r\n{headers}\r\n").expect("a request");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("an answer");
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
        (String::from_utf8_lossy(&bytes[..end]).into_owned(), bytes[end..].to_vec())
    }

    #[test]
    fn serves_files_ranges_and_faults() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("file"), b"0123456789").expect("a file");
        let server = FileServer::start(folder.path(), ("127.0.0.1", 0)).expect("a server");
        let (head, body) = get(&server, "");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert_eq!(body, b"0123456789");
        let tag = head.lines().find_map(|line| line.strip_prefix("ETag: ")).expect("a tag").to_owned();

        let (head, body) = get(&server, &format!("Range: bytes=4-\r\nIf-Range: {tag}\r\n"));
        assert!(head.contains("206") && head.contains("Content-Range: bytes 4-9/10"), "{head}");
        assert_eq!(body, b"456789");
        let (head, body) = get(&server, "Range: bytes=4-\r\nIf-Range: \"another\"\r\n");
        assert!(head.contains("200 OK"), "{head}");
        assert_eq!(body.len(), 10);
        assert!(get(&server, "Range: bytes=10-\r\n").0.contains("416"));

        server.trouble(Trouble::CutOnce(3));
        assert_eq!(get(&server, "").1, b"012");
        assert_eq!(get(&server, "").1.len(), 10);
        server.trouble(Trouble::Flip);
        assert_ne!(get(&server, "").1, b"0123456789");
        server.trouble(Trouble::Status(503));
        assert!(get(&server, "").0.contains("503"));
        assert_eq!(server.requests().len(), 8);
    }
}
