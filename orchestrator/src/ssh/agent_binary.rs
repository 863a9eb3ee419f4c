//! The agent's executables on the control machine, by architecture: where they are found, and their digests.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use apim_protocol::value::Sha256;
use sha2::Digest as _;
use tokio::sync::OnceCell;
use tokio_util::bytes::Bytes;

/// Names the folder of agent executables, before all other places.
pub const FOLDER_VARIABLE: &str = "APIM_DEPLOY_AGENT_DIR";

/// Longest architecture name that is understood.
const ARCHITECTURE_LIMIT: usize = 32;

/// One executable of the agent.
#[derive(Debug)]
pub struct AgentBinary {
    /// Where it lies.
    pub path: PathBuf,
    /// Its digest.
    pub sha256: Sha256,
    bytes: OnceCell<Bytes>,
}

impl AgentBinary {
    /// Returns the executable at `path`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(path: &Path) -> std::io::Result<Self> {
        let mut file = std::fs::File::open(path)?;
        let mut hasher = sha2::Sha256::new();
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            hasher.update(buffer.get(..read).unwrap_or_default());
        }
        let sha256 = Sha256::from_bytes(hasher.finalize().into());
        Ok(Self { path: path.to_owned(), sha256, bytes: OnceCell::new() })
    }

    /// Returns the name of its folder on a host.
    pub(super) fn folder(&self) -> String {
        self.sha256.to_string().chars().take(16).collect()
    }

    /// Returns its bytes, read once for all hosts that need them.
    pub(super) async fn bytes(&self) -> std::io::Result<Bytes> {
        let read = || async { tokio::fs::read(&self.path).await.map(Bytes::from) };
        self.bytes.get_or_try_init(read).await.cloned()
    }
}

/// The agent's executables, by `uname -m`.
#[derive(Debug, Default)]
pub struct AgentBinaries(BTreeMap<String, Arc<AgentBinary>>);

/// No executable of the agent was found.
#[derive(Debug, thiserror::Error)]
#[error("no agent executable was found in {}", .looked.iter().map(|at| format!("`{}`", at.display())).collect::<Vec<_>>().join(", "))]
pub struct NoAgentBinary {
    /// The folders that were looked into.
    pub looked: Vec<PathBuf>,
}

impl NoAgentBinary {
    /// What to do about it.
    pub const HINT: &str = "build it with `agent/build-static.sh`, or name the folder that holds `apim-agent-x86_64` in APIM_DEPLOY_AGENT_DIR";
}

impl AgentBinaries {
    /// Returns these executables.
    ///
    /// Architectures that are no plain names are left out.
    #[must_use]
    pub fn new(binaries: impl IntoIterator<Item = (String, AgentBinary)>) -> Self {
        let named = binaries.into_iter().filter(|(architecture, _)| is_architecture(architecture));
        Self(named.map(|(architecture, binary)| (architecture, Arc::new(binary))).collect())
    }

    /// Returns the executable for an architecture.
    #[must_use]
    pub fn get(&self, architecture: &str) -> Option<&Arc<AgentBinary>> {
        self.0.get(architecture)
    }

    /// Returns the architectures there are executables for, such as `aarch64, x86_64`.
    #[must_use]
    pub fn architectures(&self) -> String {
        self.0.keys().cloned().collect::<Vec<_>>().join(", ")
    }

    /// Returns all of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &AgentBinary)> {
        self.0.iter().map(|(architecture, binary)| (architecture.as_str(), binary.as_ref()))
    }
}

/// Finds the agent's executables, which are called `apim-agent-<architecture>`: in the folder that `APIM_DEPLOY_AGENT_DIR` names,
/// else beside this program, else in `target/agent` of the workspace this program was built in.
///
/// # Errors
/// When there is none in any of these places.
pub fn locate() -> Result<AgentBinaries, NoAgentBinary> {
    let named = std::env::var_os(FOLDER_VARIABLE).map(PathBuf::from);
    let own = std::env::current_exe().ok().and_then(|path| path.canonicalize().ok());
    locate_in(&folders(named, own.as_deref()))
}

fn folders(named: Option<PathBuf>, own: Option<&Path>) -> Vec<PathBuf> {
    if let Some(named) = named {
        return vec![named];
    }
    let beside = own.and_then(Path::parent).map(Path::to_owned);
    let target = own.and_then(|own| own.ancestors().find(|folder| folder.ends_with("target")));
    beside.into_iter().chain(target.map(|target| target.join("agent"))).collect()
}

fn locate_in(folders: &[PathBuf]) -> Result<AgentBinaries, NoAgentBinary> {
    for folder in folders {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        let found = entries.filter_map(Result::ok).filter_map(|entry| {
            let name = entry.file_name();
            let architecture = name.to_str()?.strip_prefix("apim-agent-")?.to_owned();
            if !is_architecture(&architecture) {
                return None;
            }
            Some((architecture, AgentBinary::read(&entry.path()).ok()?))
        });
        let found = AgentBinaries::new(found);
        if !found.0.is_empty() {
            return Ok(found);
        }
    }
    Err(NoAgentBinary { looked: folders.to_vec() })
}

fn is_architecture(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !text.is_empty() && text.len() <= ARCHITECTURE_LIMIT && text.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_found_by_name_in_the_first_folder_that_has_any() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        std::fs::create_dir_all(target.join("agent")).unwrap();
        std::fs::create_dir_all(target.join("debug")).unwrap();
        let own = target.join("debug/apim-deploy");
        let places = folders(None, Some(&own));
        let error = locate_in(&places).unwrap_err();
        assert!(error.to_string().contains("target/agent"), "{error}");

        std::fs::write(target.join("agent/apim-agent-x86_64"), b"elf").unwrap();
        std::fs::write(target.join("agent/apim-agent-x86_64.sha256"), b"").unwrap();
        let found = locate_in(&places).unwrap();
        assert_eq!(found.architectures(), "x86_64");
        assert_eq!(found.get("x86_64").unwrap().sha256, Sha256::of(b"elf"));
        assert_eq!(folders(Some("/named".into()), Some(&own)), [PathBuf::from("/named")]);
    }
}
