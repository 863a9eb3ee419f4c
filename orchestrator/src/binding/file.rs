//! The file of a bound plan: JSON with a form of its own, sealed by the user's key, so that what is carried out is what was written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use apim_protocol::value::Sha256;
use serde::{Deserialize, Serialize};

use super::key::Key;
use super::work::{HostSeen, StageBound};
use crate::state;
use crate::yaml::{ReadError, read_bounded};

/// What the file says that it is.
const FORMAT: &str = "apim-deploy plan";
/// The form that is written and read.
const VERSION: u32 = 1;
/// The largest file that is read: some 100,000 steps.
const LARGEST: u64 = 64 * 1024 * 1024;

/// A plan, what it was made from, and what was found when it was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoundPlan {
    /// By whom, when, with which programs.
    pub made: Made,
    /// What was asked for.
    pub asked: Asked,
    /// The keyed digest of every file of inventory and playbook, by name (relative to the inventory's folder, where it lies there).
    pub files: BTreeMap<String, Sha256>,
    /// Which artifacts are needed, by name.
    pub artifacts: BTreeMap<String, Sha256>,
    /// The steps, and how each was found.
    pub stages: Vec<StageBound>,
    /// Who the hosts were.
    pub hosts: BTreeMap<String, HostSeen>,
}

/// By whom a plan was made, when, with which programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Made {
    /// When, in UTC.
    pub at: String,
    /// Who, where.
    pub by: String,
    /// The version of this program.
    pub version: String,
    /// The digest of its executable.
    pub build: Sha256,
    /// The digests of the agent's executables, by architecture.
    pub agents: BTreeMap<String, Sha256>,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
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
    /// The keyed digest of `--extra-vars`, which may hold secrets; `None` without any.
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

/// As it is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    format: String,
    version: u32,
    key: String,
    seal: Sha256,
    plan: BoundPlan,
}

/// What is read first: enough to say what it is.
#[derive(Debug, Deserialize)]
struct Head {
    format: String,
    version: u32,
    key: String,
}

/// Why a file is no plan to be carried out.
#[derive(Debug, thiserror::Error)]
pub enum PlanFileError {
    /// It cannot be read.
    #[error("cannot read the plan `{}`", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: ReadError,
    },
    /// It cannot be written.
    #[error("cannot write the plan `{}`", path.display())]
    Unwritable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It holds something else.
    #[error("`{}` is no plan of apim-deploy: {why}", path.display())]
    Foreign {
        /// Which.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// It is of a later form.
    #[error("`{}` was written by a newer apim-deploy: its form is {version}, and this one reads {VERSION}", path.display())]
    Newer {
        /// Which.
        path: PathBuf,
        /// Its form.
        version: u32,
    },
    /// It was sealed with another key.
    #[error("`{}` was not made with the plan key of this user on this machine", path.display())]
    OtherKey {
        /// Which.
        path: PathBuf,
    },
    /// It is a plan, and not as it was written.
    #[error("`{}` is not as it was written: {why}", path.display())]
    Changed {
        /// Which.
        path: PathBuf,
        /// How that is known.
        why: String,
    },
}

impl PlanFileError {
    /// Returns what to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => {
                "is the path right? `apim-deploy plan INVENTORY --out FILE` writes a plan"
            }
            Self::Unwritable { .. } => "name another place with --out",
            Self::Foreign { .. } => "`apim-deploy plan INVENTORY --out FILE` writes a plan",
            Self::Newer { .. } => "carry it out with the program that made it, or make it anew with this one",
            Self::OtherKey { .. } => {
                "apply it as the user and on the machine that made it, or take that user's `plan.key` along and name its folder with --state-dir"
            }
            Self::Changed { .. } => "make the plan anew",
        }
    }
}

impl BoundPlan {
    /// Writes the plan to `path`: whole or not at all, for its owner only.
    ///
    /// # Errors
    /// When it cannot be written.
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
    /// When it is none, is not as it was written, or is not this user's.
    pub fn read(path: &Path, key: &Key) -> Result<Self, PlanFileError> {
        let path = || path.to_owned();
        let text = read_bounded(&path(), LARGEST)
            .map_err(|source| PlanFileError::Unreadable { path: path(), source })?;
        let head: Head = serde_json::from_slice(&text)
            .map_err(|error| PlanFileError::Foreign { path: path(), why: error.to_string() })?;
        if head.format != FORMAT {
            let why = format!("it says that it is `{}`", head.format.chars().take(40).collect::<String>());
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
            let why = "its seal does not fit what it holds".to_owned();
            return Err(PlanFileError::Changed { path: path(), why });
        }
        Ok(sealed.plan)
    }

    /// Returns what stands for the whole plan.
    #[must_use]
    pub fn seal(&self, key: &Key) -> Sha256 {
        // What is only texts, numbers and digests can always be written.
        key.digest("plan", &serde_json::to_vec(self).unwrap_or_default())
    }
}
