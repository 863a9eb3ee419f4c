//! One download: streamed to a partial file, resumed where it broke off, checked while it comes in, put into place when it is right.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use apim_protocol::value::Sha256;
use futures_util::StreamExt as _;
use sha2::Digest as _;

use super::{ArtifactError, Cache, Progress};
use crate::apim::Artifact;
use crate::http::header::{CONTENT_RANGE, ETAG, HeaderMap, IF_RANGE, LAST_MODIFIED, RANGE};
use crate::http::{self, Client, Response, StatusCode, shown, words};

/// How often a broken download is taken up again.
const ATTEMPTS: u32 = 5;
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(20);
/// How long the other side may be silent.
const SILENCE: Duration = Duration::from_secs(60);

/// What is here so far of a file.
struct Partial {
    file: File,
    /// Where the server's name for this version of the file is kept.
    validator: PathBuf,
    hasher: sha2::Sha256,
    length: u64,
}

/// Why one attempt came to nothing.
enum Broken {
    /// Worth another attempt.
    Again(String),
    /// Not worth one.
    Final(ArtifactError),
}

/// Fetches `artifact` to `path`.
pub(super) async fn fetch(
    cache: &Cache,
    artifact: &Artifact,
    path: &Path,
    progress: &Progress,
) -> Result<(), ArtifactError> {
    let keep = |source| ArtifactError::Cache { name: artifact.name.0.clone(), path: path.to_owned(), source };
    let client = client(artifact)?;
    let partial_path = cache.folder.join("partial").join(artifact.sha256.to_string());
    let mut partial = Partial::open(&partial_path).await.map_err(keep)?;
    // Another run may have finished it while we waited for its lock.
    if path.is_file() {
        return Ok(());
    }
    let mut attempt = 1;
    loop {
        let resumed = partial.length > 0;
        match partial.receive(&client, cache, artifact, progress).await {
            Ok(()) => {
                let found = partial.digest();
                if found == artifact.sha256 {
                    return partial.put(&partial_path, path).map_err(keep);
                }
                partial.restart().map_err(keep)?;
                // What was here before may have been another version's beginning: once more from the start.
                if !resumed {
                    return Err(ArtifactError::WrongDigest {
                        name: artifact.name.0.clone(),
                        from: shown(&artifact.source),
                        found,
                        wanted: artifact.sha256,
                    });
                }
            }
            Err(Broken::Final(error)) => return Err(error),
            Err(Broken::Again(why)) if attempt >= ATTEMPTS => {
                return Err(failed(artifact, &format!("{why} ({attempt} attempts)")));
            }
            Err(Broken::Again(_)) => {
                tokio::time::sleep(Duration::from_millis(250 << attempt)).await;
                attempt += 1;
            }
        }
    }
}

fn client(artifact: &Artifact) -> Result<Client, ArtifactError> {
    let builder = http::builder(artifact.proxy.as_deref()).map_err(|why| failed(artifact, &why))?;
    let builder = builder.connect_timeout(CONNECT).read_timeout(SILENCE);
    builder.build().map_err(|error| failed(artifact, &words(&error)))
}

impl Partial {
    /// Opens what is here so far, alone: a second run waits until this one is done.
    async fn open(path: &Path) -> io::Result<Self> {
        let path = path.to_owned();
        let opened = tokio::task::spawn_blocking(move || {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let mut file = File::options().create(true).truncate(false).read(true).write(true).open(&path)?;
            file.lock()?;
            let mut hasher = sha2::Sha256::new();
            let mut buffer = vec![0; 1 << 20];
            let mut length = 0;
            loop {
                let read = file.read(&mut buffer)?;
                if read == 0 {
                    break;
                }
                hasher.update(buffer.get(..read).unwrap_or_default());
                length += read as u64;
            }
            Ok(Self { file, validator: path.with_extension("version"), hasher, length })
        });
        opened.await.unwrap_or_else(|error| Err(io::Error::other(error)))
    }

    fn digest(&self) -> Sha256 {
        Sha256::from_bytes(self.hasher.clone().finalize().into())
    }

    fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.hasher = sha2::Sha256::new();
        self.length = 0;
        match std::fs::remove_file(&self.validator) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    async fn receive(
        &mut self,
        client: &Client,
        cache: &Cache,
        artifact: &Artifact,
        progress: &Progress,
    ) -> Result<(), Broken> {
        let mut request = client.get(&artifact.source);
        if self.length > 0 {
            request = request.header(RANGE, format!("bytes={}-", self.length));
            if let Ok(version) = std::fs::read_to_string(&self.validator) {
                request = request.header(IF_RANGE, version);
            }
        }
        let response = request.send().await.map_err(|error| Broken::Again(words(&error)))?;
        self.judge(&response, artifact)?;
        let total = response.content_length().map_or(0, |rest| rest + self.length);
        let too_long = || {
            let (name, url) = (artifact.name.0.clone(), shown(&artifact.source));
            Broken::Final(ArtifactError::TooLong { name, url, limit: cache.max_bytes })
        };
        if total > cache.max_bytes {
            return Err(too_long());
        }
        let mut body = response.bytes_stream();
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|error| Broken::Again(words(&error)))?;
            if self.length + piece.len() as u64 > cache.max_bytes {
                return Err(too_long());
            }
            self.file.write_all(&piece).map_err(|error| self.unwritable(artifact, error))?;
            self.hasher.update(&piece);
            self.length += piece.len() as u64;
            progress(&artifact.name.0, self.length, total);
        }
        Ok(())
    }

    /// Goes on behind what is here when the server does, and from the start when it sends the whole file.
    fn judge(&mut self, response: &Response, artifact: &Artifact) -> Result<(), Broken> {
        let status = response.status();
        match status {
            StatusCode::PARTIAL_CONTENT if begins_at(response.headers()) == Some(self.length) => Ok(()),
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE if self.length > 0 => {
                self.restart().map_err(|error| self.unwritable(artifact, error))?;
                Err(Broken::Again("the server cannot go on where it broke off".to_owned()))
            }
            StatusCode::OK => {
                self.restart().map_err(|error| self.unwritable(artifact, error))?;
                if let Some(version) = version(response.headers()) {
                    // Without it a later attempt goes on unconditionally, and the digest decides.
                    drop(std::fs::write(&self.validator, version));
                }
                Ok(())
            }
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Err(Broken::Again(format!("the server answered {status}")))
            }
            status => Err(Broken::Final(failed(artifact, &format!("the server answered {status}")))),
        }
    }

    fn unwritable(&self, artifact: &Artifact, source: io::Error) -> Broken {
        let path = self.validator.with_extension("");
        Broken::Final(ArtifactError::Cache { name: artifact.name.0.clone(), path, source })
    }

    fn put(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::rename(from, to)?;
        match std::fs::remove_file(&self.validator) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Returns where the part that the server sends begins.
fn begins_at(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
    range.split_once('-')?.0.trim().parse().ok()
}

/// Returns the server's name for this version of the file; weak ones do not vouch for bytes.
fn version(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    text(ETAG).filter(|tag| !tag.starts_with("W/")).or_else(|| text(LAST_MODIFIED))
}

fn failed(artifact: &Artifact, why: &str) -> ArtifactError {
    ArtifactError::Fetch { name: artifact.name.0.clone(), url: shown(&artifact.source), why: why.to_owned() }
}
