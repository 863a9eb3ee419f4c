//! Big files that a cluster is made from: fetched once into a cache, verified before anybody uses them, then only named.
//!
//! A local file is used where it lies. Nothing here knows what is in a file; what must be had is said by `apim::Artifact`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use apim_protocol::value::Sha256;
use tokio::task::JoinSet;

use crate::apim::Artifact;
use crate::apim::settings::source::Fetch;

mod digests;
mod download;
mod error;
mod outline;

#[cfg(test)]
mod tests;

pub use error::ArtifactError;

use digests::Digests;

/// Downloads that run at once.
const AT_ONCE: usize = 3;

/// Hears how far a file is: its name, bytes done, bytes in all (0 unknown); both `u64::MAX` when it is there.
pub type Progress = Arc<dyn Fn(&str, u64, u64) + Send + Sync>;

/// Where files are kept, and how they are fetched.
#[derive(Debug, Clone)]
pub struct Cache {
    /// The folder.
    pub folder: PathBuf,
    /// The most bytes that one file may have.
    pub max_bytes: u64,
}

/// A file that is here and is what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// Where.
    pub path: PathBuf,
    /// How long.
    pub size: u64,
}

impl Cache {
    /// Returns a cache in `folder`.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        // The product's archives have about half a gigabyte; a JDK less.
        Self { folder, max_bytes: 8 << 30 }
    }

    /// Returns the user's own: `$XDG_CACHE_HOME/apim-deploy`, else `~/.cache/apim-deploy`.
    #[must_use]
    pub fn of_user() -> Self {
        let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let folder = from("XDG_CACHE_HOME").filter(|path| path.is_absolute());
        let folder = folder.or_else(|| Some(from("HOME")?.join(".cache"))).unwrap_or_else(std::env::temp_dir);
        Self::new(folder.join("apim-deploy"))
    }

    /// Says whether nothing would have to be fetched over the network for `artifact`.
    #[must_use]
    pub fn is_here(&self, artifact: &Artifact) -> bool {
        !is_url(&artifact.source) || self.place_of(artifact).is_file()
    }

    /// Returns where `artifact` is on this machine, verified or not, if it is there.
    #[must_use]
    pub fn path_of(&self, artifact: &Artifact) -> Option<PathBuf> {
        let path = if is_url(&artifact.source) { self.place_of(artifact) } else { local_path(artifact) };
        path.is_file().then_some(path)
    }

    /// Returns the kept file called `name` whose digest begins so, if there is exactly one.
    #[must_use]
    pub fn find(&self, beginning: &str, name: &str) -> Option<PathBuf> {
        let folders = std::fs::read_dir(self.folder.join("files")).ok()?;
        let mut found = folders
            .filter_map(Result::ok)
            .filter(|entry| entry.file_name().to_str().is_some_and(|digest| digest.starts_with(beginning)))
            .map(|entry| entry.path().join(file_name(name)))
            .filter(|path| path.is_file());
        let first = found.next()?;
        found.next().is_none().then_some(first)
    }

    /// Returns every local file that cannot be read or is not what it should be: which, what is wrong, what to do.
    ///
    /// What is hashed is remembered, so that `provide` need not do it again.
    pub async fn check_local(&self, artifacts: &[Artifact]) -> Vec<(Artifact, String, String)> {
        let mut wrong = Vec::new();
        let digests = Arc::new(Digests::load(&self.folder));
        for artifact in artifacts.iter().filter(|artifact| !is_url(&artifact.source)) {
            if let Err(error) = verify(&local_path(artifact), artifact, &digests).await {
                let why =
                    std::error::Error::source(&error).map_or_else(String::new, |why| format!(": {why}"));
                wrong.push((artifact.clone(), format!("{error}{why}"), hint(artifact, &error)));
            }
        }
        digests.save();
        wrong
    }

    /// Makes sure that every artifact that hosts get from here is here, and returns where; those that hosts fetch
    /// themselves are left out.
    ///
    /// # Errors
    /// For each artifact that cannot be had or is not what it should be.
    pub async fn provide(
        &self,
        artifacts: &[Artifact],
        progress: &Progress,
    ) -> Result<BTreeMap<Sha256, Ready>, Vec<ArtifactError>> {
        let digests = Arc::new(Digests::load(&self.folder));
        let mut tasks = JoinSet::new();
        let mut queue = artifacts.iter().filter(|artifact| !is_pulled(artifact)).cloned();
        let (mut ready, mut errors) = (BTreeMap::new(), Vec::new());
        loop {
            while tasks.len() < AT_ONCE
                && let Some(artifact) = queue.next()
            {
                let (cache, progress, digests) = (self.clone(), Arc::clone(progress), Arc::clone(&digests));
                tasks
                    .spawn(async move { (artifact.sha256, cache.one(&artifact, &digests, &progress).await) });
            }
            match tasks.join_next().await {
                Some(Ok((sha256, Ok(file)))) => drop(ready.insert(sha256, file)),
                Some(Ok((_, Err(error)))) => errors.push(error),
                Some(Err(error)) => {
                    if let Ok(panic) = error.try_into_panic() {
                        std::panic::resume_unwind(panic);
                    }
                }
                None => break,
            }
        }
        digests.save();
        if errors.is_empty() { Ok(ready) } else { Err(errors) }
    }

    async fn one(
        &self,
        artifact: &Artifact,
        digests: &Arc<Digests>,
        progress: &Progress,
    ) -> Result<Ready, ArtifactError> {
        let ready = if is_url(&artifact.source) {
            let path = self.place_of(artifact);
            if !path.is_file() {
                download::fetch(self, artifact, &path, progress).await?;
            }
            let verified = verify(&path, artifact, digests).await;
            if verified.is_err() {
                // Somebody changed the cache: the next run fetches it again.
                drop(std::fs::remove_file(&path));
            }
            verified?
        } else {
            verify(&local_path(artifact), artifact, digests).await?
        };
        progress(&artifact.name.0, u64::MAX, u64::MAX);
        Ok(ready)
    }

    fn place_of(&self, artifact: &Artifact) -> PathBuf {
        self.folder.join("files").join(artifact.sha256.to_string()).join(file_name(&artifact.name.0))
    }
}

/// Returns where an artifact of this machine should be, when it is not there.
#[must_use]
pub fn missing(artifact: &Artifact) -> Option<PathBuf> {
    let path = (!is_url(&artifact.source)).then(|| local_path(artifact))?;
    (!path.is_file()).then_some(path)
}

/// Says what to do about a local file, with the setting that names it.
fn hint(artifact: &Artifact, error: &ArtifactError) -> String {
    let setting = artifact.setting;
    match error {
        ArtifactError::WrongDigest { .. } => format!(
            "put the right file there, or correct the digest beside `{setting}` if you trust this one"
        ),
        _ => format!(
            "put it there, or say with `{setting}` where it is (a relative path starts at the folder of the file that names it)"
        ),
    }
}

/// Returns the last part of a name, so that no name leads out of the cache.
fn file_name(name: &str) -> &str {
    match name.rsplit(['/', '\\']).next() {
        None | Some("" | "." | "..") => "file",
        Some(last) => last,
    }
}

fn is_url(source: &str) -> bool {
    source.starts_with("http://") || source.starts_with("https://")
}

fn is_pulled(artifact: &Artifact) -> bool {
    artifact.fetch == Fetch::Pull && is_url(&artifact.source)
}

/// A relative path is meant from the folder of the file that names it.
fn local_path(artifact: &Artifact) -> PathBuf {
    let source = artifact.source.strip_prefix("file://").unwrap_or(&artifact.source);
    let home = || std::env::var_os("HOME").map(PathBuf::from);
    if let Some(rest) = source.strip_prefix("~/")
        && let Some(home) = home()
    {
        return home.join(rest);
    }
    let file = artifact.place.file.as_ref().map(|file| PathBuf::from(&file.name));
    match file.as_deref().and_then(Path::parent) {
        Some(folder) => folder.join(source),
        None => PathBuf::from(source),
    }
}

async fn verify(path: &Path, artifact: &Artifact, digests: &Arc<Digests>) -> Result<Ready, ArtifactError> {
    let (path, digests) = (path.to_owned(), Arc::clone(digests));
    let read = tokio::task::spawn_blocking({
        let path = path.clone();
        move || digests.of(&path)
    });
    let name = artifact.name.0.clone();
    let unreadable = |source| ArtifactError::Unreadable { name: name.clone(), path: path.clone(), source };
    let (found, size) = match read.await {
        Ok(read) => read.map_err(unreadable)?,
        Err(error) => return Err(unreadable(std::io::Error::other(error))),
    };
    if found == artifact.sha256 {
        return Ok(Ready { path, size });
    }
    Err(ArtifactError::WrongDigest {
        name: artifact.name.0.clone(),
        from: path.display().to_string(),
        found,
        wanted: artifact.sha256,
    })
}
