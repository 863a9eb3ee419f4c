//! Downloads one file: streams it to a partial file, resumes after interruptions, verifies the
//! digest and moves it into the cache.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use apim_protocol::value::Sha256;
use futures_util::StreamExt as _;
use sha2::Digest as _;

use super::{ArtifactError, Cache, Progress};
use crate::http::{Client, ClientError, ClientOptions, Response, Status, shown};
use apim_product::Artifact;

/// Maximum number of attempts.
const ATTEMPTS: u32 = 5;
/// Timeout for connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Timeout for a response or the next part of it.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// A partial download.
struct Partial {
    file: File,
    /// The path of the file with the server's validator (`ETag` or `Last-Modified`).
    validator: PathBuf,
    hasher: sha2::Sha256,
    length: u64,
}

/// Why an attempt failed.
enum Broken {
    /// Temporary: try again.
    Again(AttemptError),
    /// Permanent.
    Final(ArtifactError),
}

/// Why the server did not send the file.
#[derive(Debug, thiserror::Error)]
enum AttemptError {
    #[error(transparent)]
    Request(#[from] ClientError),
    #[error("the server does not support resuming this download")]
    NotResumable,
    #[error("the server responded with {0}")]
    Status(Status),
}

impl From<ClientError> for Broken {
    fn from(error: ClientError) -> Self {
        Self::Again(error.into())
    }
}

/// Downloads `artifact` to `path`.
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
    // Another run may have finished the download while this one waited for the lock.
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
                // The resumed part may belong to another version of the file: start from the
                // beginning.
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
                return Err(failed(artifact, &format_args!("{why} ({attempt} attempts)")));
            }
            Err(Broken::Again(_)) => {
                tokio::time::sleep(Duration::from_millis(250 << attempt)).await;
                attempt += 1;
            }
        }
    }
}

fn client(artifact: &Artifact) -> Result<Client, ArtifactError> {
    let options = ClientOptions {
        proxy: artifact.proxy.as_deref(),
        connect_timeout: Some(CONNECT_TIMEOUT),
        read_timeout: Some(READ_TIMEOUT),
        ..ClientOptions::default()
    };
    Client::new(&options).map_err(|error| failed(artifact, &error))
}

impl Partial {
    /// Opens and locks the partial file. A second run waits until this one is done.
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
        let mut request = client.request("GET", &artifact.source);
        if self.length > 0 {
            request = request.header("range", &format!("bytes={}-", self.length));
            if let Ok(version) = std::fs::read_to_string(&self.validator) {
                request = request.header("if-range", &version);
            }
        }
        let response = request.send().await?;
        self.check_response(&response, artifact)?;
        let total = response.content_length().map_or(0, |rest| rest + self.length);
        let too_long = || {
            let (name, url) = (artifact.name.0.clone(), shown(&artifact.source));
            Broken::Final(ArtifactError::TooLong { name, url, limit: cache.max_bytes })
        };
        if total > cache.max_bytes {
            return Err(too_long());
        }
        let mut body = response.parts();
        while let Some(piece) = body.next().await {
            let piece = piece?;
            let piece = piece.as_ref();
            if self.length + piece.len() as u64 > cache.max_bytes {
                return Err(too_long());
            }
            self.file.write_all(piece).map_err(|error| self.unwritable(artifact, error))?;
            self.hasher.update(piece);
            self.length += piece.len() as u64;
            progress(&artifact.name.0, self.length, total);
        }
        Ok(())
    }

    /// Checks the response. Continues the partial file if the server does, and restarts if it sends
    /// the whole file.
    fn check_response(&mut self, response: &Response, artifact: &Artifact) -> Result<(), Broken> {
        let status = response.status();
        match status {
            Status::PARTIAL_CONTENT if begins_at(response) == Some(self.length) => Ok(()),
            Status::PARTIAL_CONTENT | Status::RANGE_NOT_SATISFIABLE if self.length > 0 => {
                self.restart().map_err(|error| self.unwritable(artifact, error))?;
                Err(Broken::Again(AttemptError::NotResumable))
            }
            Status::OK => {
                self.restart().map_err(|error| self.unwritable(artifact, error))?;
                if let Some(version) = version(response) {
                    // Without the validator a later attempt resumes unconditionally. The digest is
                    // checked in any case.
                    drop(std::fs::write(&self.validator, version));
                }
                Ok(())
            }
            status if status.is_server_error() || status == Status::TOO_MANY_REQUESTS => {
                Err(Broken::Again(AttemptError::Status(status)))
            }
            status => Err(Broken::Final(failed(artifact, &AttemptError::Status(status)))),
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

/// Returns the start of the range in the response.
fn begins_at(response: &Response) -> Option<u64> {
    let range = response.header("content-range")?.strip_prefix("bytes ")?;
    range.split_once('-')?.0.trim().parse().ok()
}

/// Returns the validator of the response. Weak ETags are ignored, because they do not guarantee
/// identical bytes.
fn version(response: &Response) -> Option<String> {
    let text = |name| response.header(name).map(str::to_owned);
    text("etag").filter(|tag| !tag.starts_with("W/")).or_else(|| text("last-modified"))
}

fn failed(artifact: &Artifact, why: &dyn std::fmt::Display) -> ArtifactError {
    ArtifactError::Fetch { name: artifact.name.0.clone(), url: shown(&artifact.source), why: why.to_string() }
}
