//! The file of a saved plan: versioned JSON, sealed with the user's key, so that the applied plan
//! is the one that was written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use apim_protocol::value::Sha256;
use serde::{Deserialize, Serialize};

use super::key::Key;
use super::step::{HostIdentity, SavedStage};
use crate::state;
use apim_product::yaml::{ReadError, read_bounded};

/// Format marker of the file.
const FORMAT: &str = "apim-deploy plan";
/// Format version that is written and read.
const VERSION: u32 = 1;
/// Maximum file size in bytes, about 100,000 steps.
const LARGEST: u64 = 64 * 1024 * 1024;

/// A saved plan: its steps, its inputs, and the survey that it is based on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedPlan {
    /// Author, time and program versions.
    #[serde(rename = "made")]
    pub origin: Origin,
    /// Command line options of the plan.
    #[serde(rename = "asked")]
    pub options: CommandOptions,
    /// Keyed digest of every inventory and playbook file, by name (relative to the inventory's
    /// folder if it is inside).
    pub files: BTreeMap<String, Sha256>,
    /// Digests of the required artifacts, by name.
    pub artifacts: BTreeMap<String, Sha256>,
    /// The steps, each with its survey result.
    pub stages: Vec<SavedStage>,
    /// Identities of the hosts.
    pub hosts: BTreeMap<String, HostIdentity>,
}

/// Author, time and program versions of a saved plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Time of creation, RFC 3339 in UTC.
    pub at: String,
    /// User and machine.
    pub by: String,
    /// Version of apim-deploy.
    pub version: String,
    /// The digest of its executable.
    pub build: Sha256,
    /// The digests of the agent's executables, by architecture.
    pub agents: BTreeMap<String, Sha256>,
}

/// Command line options of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandOptions {
    /// The inventory, as an absolute path.
    pub inventory: PathBuf,
    /// `--playbook`.
    pub playbook: Option<String>,
    /// `--limit`.
    pub limit: Option<String>,
    /// `--tags`.
    pub tags: Vec<String>,
    /// `--skip-tags`.
    pub skip_tags: Vec<String>,
    /// Keyed digest of `--extra-vars`, which may contain secrets; `None` if not given.
    pub extra_vars: Option<Sha256>,
    /// Each `--max-unavailable`, in order.
    #[serde(default)]
    pub max_unavailable: Vec<String>,
    /// `--allow-outage`.
    #[serde(default)]
    pub allow_outage: bool,
    /// `--no-drain`.
    #[serde(default)]
    pub no_drain: bool,
}

/// The file as written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    format: String,
    version: u32,
    key: String,
    seal: Sha256,
    plan: SavedPlan,
}

/// The header, read first to identify the file.
#[derive(Debug, Deserialize)]
struct Head {
    format: String,
    version: u32,
    key: String,
}

/// Why a file cannot be used as a saved plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanFileError {
    /// The file cannot be read.
    #[error("cannot read the plan `{}`", path.display())]
    Unreadable {
        /// Path of the file.
        path: PathBuf,
        /// The cause.
        source: ReadError,
    },
    /// The file cannot be written.
    #[error("cannot write the plan `{}`", path.display())]
    Unwritable {
        /// Path of the file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The file is not a saved plan.
    #[error("`{}` is not a saved plan: {why}", path.display())]
    Foreign {
        /// Path of the file.
        path: PathBuf,
        /// What is wrong with its content.
        why: String,
    },
    /// The file has a newer format version.
    #[error("`{}` was written by a newer apim-deploy: format version {version}, supported is {VERSION}", path.display())]
    Newer {
        /// Path of the file.
        path: PathBuf,
        /// Format version of the file.
        version: u32,
    },
    /// The file was sealed with another key.
    #[error("`{}` was not created with the plan key of this user on this machine", path.display())]
    OtherKey {
        /// Path of the file.
        path: PathBuf,
    },
    /// The file was modified.
    #[error("`{}` was modified: {why}", path.display())]
    Changed {
        /// Path of the file.
        path: PathBuf,
        /// How the modification was detected.
        why: String,
    },
}

impl PlanFileError {
    /// Returns a hint for the user.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => {
                "check the path; `apim-deploy plan INVENTORY --out FILE` creates a saved plan"
            }
            Self::Unwritable { .. } => "choose another path with --out",
            Self::Foreign { .. } => "`apim-deploy plan INVENTORY --out FILE` creates a saved plan",
            Self::Newer { .. } => {
                "apply it with the version of apim-deploy that created it, or create a new plan"
            }
            Self::OtherKey { .. } => {
                "apply it as the user and on the machine that created it, or copy that user's `plan.key` and pass its folder with --state-dir"
            }
            Self::Changed { .. } => "create a new plan",
        }
    }
}

impl SavedPlan {
    /// Writes the plan to `path` atomically, readable by its owner only.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path, key: &Key) -> Result<(), PlanFileError> {
        let sealed = Sealed {
            format: FORMAT.to_owned(),
            version: VERSION,
            key: key.id(),
            seal: self.seal(key),
            plan: self.clone(),
        };
        let failed = |source| PlanFileError::Unwritable { path: path.to_owned(), source };
        let mut text = serde_json::to_vec_pretty(&sealed).map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        state::replace(path, &text).map_err(failed)
    }

    /// Reads a plan.
    ///
    /// # Errors
    /// If the file is not a saved plan, was modified, or was sealed with another key.
    pub fn read(path: &Path, key: &Key) -> Result<Self, PlanFileError> {
        let path = || path.to_owned();
        let text = read_bounded(&path(), LARGEST)
            .map_err(|source| PlanFileError::Unreadable { path: path(), source })?;
        let head: Head = serde_json::from_slice(&text)
            .map_err(|error| PlanFileError::Foreign { path: path(), why: error.to_string() })?;
        if head.format != FORMAT {
            let why = format!("unknown format `{}`", head.format.chars().take(40).collect::<String>());
            return Err(PlanFileError::Foreign { path: path(), why });
        }
        if head.version != VERSION {
            return Err(PlanFileError::Newer { path: path(), version: head.version });
        }
        if head.key != key.id() {
            return Err(PlanFileError::OtherKey { path: path() });
        }
        let sealed: Sealed = serde_json::from_slice(&text)
            .map_err(|error| PlanFileError::Changed { path: path(), why: error.to_string() })?;
        if sealed.seal != sealed.plan.seal(key) {
            let why = "its seal does not match its content".to_owned();
            return Err(PlanFileError::Changed { path: path(), why });
        }
        Ok(sealed.plan)
    }

    /// Returns the keyed digest of the whole plan.
    #[must_use]
    pub fn seal(&self, key: &Key) -> Sha256 {
        // A plan contains only strings, numbers and digests, so it can always be serialized.
        key.digest("plan", &serde_json::to_vec(self).unwrap_or_default())
    }
}
