//! Options of the use cases, as plain data. `cli` fills them from flags.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::report::Look;
use apim_product::Role;
use apim_product::availability::{Allowance, AllowanceError};
use apim_rollout::artifact::Cache;
use apim_rollout::probe::Statuses;
use apim_rollout::state;

/// Inventory, variables and vault passwords.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    /// Inventory file, or folder of inventory files
    pub(crate) inventory: PathBuf,
    /// Limit the run to hosts that match an Ansible pattern, such as `gateway:!gw3`
    pub(crate) limit: Option<String>,
    /// Set variables: `name=value`, JSON or @FILE; takes precedence over all files (repeatable)
    pub(crate) extra_vars: Vec<String>,
    /// Read the vault password from a file, or from the output of an executable (repeatable)
    pub(crate) vault_password_file: Vec<PathBuf>,
    /// Set the vault password of a label: `label@FILE` or `label@prompt` (repeatable)
    pub(crate) vault_id: Vec<String>,
    /// Prompt for the vault password
    pub(crate) ask_vault_pass: bool,
}

/// Playbook and tag selection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plays {
    /// Run a playbook: a file or a built-in name (site, start, stop, rolling-restart, …) [default:
    /// site]
    pub(crate) playbook: Option<String>,
    /// Run only tasks with one of these tags
    pub(crate) tags: Vec<String>,
    /// Skip tasks with one of these tags
    pub(crate) skip_tags: Vec<String>,
}

/// Connections, concurrency and disruption budgets.
#[derive(Debug, Clone)]
pub(crate) struct Reach {
    /// Set the maximum number of hosts processed in parallel
    pub(crate) forks: u16,
    /// Set the disruption budget: the nodes of a role that may be down at once, as `N`, `P%` or
    /// `ROLE=N` (0 forbids restarts); overrides the inventory (repeatable)
    pub(crate) max_unavailable: Vec<Budget>,
    /// Do not drain nodes before taking them down
    pub(crate) no_drain: bool,
    /// Allow taking down the last healthy node of a role
    pub(crate) allow_outage: bool,
    /// Wait up to this many seconds for another run to release the host lock
    pub(crate) wait_for_lock: u16,
    /// Trust the keys of unknown hosts and add them to known_hosts
    pub(crate) accept_new_host_keys: bool,
    /// Use this known_hosts file [default: ~/.ssh/known_hosts]
    pub(crate) known_hosts: Option<PathBuf>,
    /// Cache downloads in this folder [default: $XDG_CACHE_HOME/apim-deploy]
    pub(crate) cache_dir: Option<PathBuf>,
    /// Keep run records and the key of saved plans in this folder [default:
    /// $XDG_STATE_HOME/apim-deploy]
    pub(crate) state_dir: Option<PathBuf>,
    /// Read agent executables from this folder
    pub(crate) agent_dir: Option<PathBuf>,
}

/// Output detail and format.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    /// Also show unchanged steps (-vv for more)
    pub(crate) verbose: u8,
    /// Whether to print one JSON object per line instead of text
    pub(crate) json: bool,
}

/// Availability probes of a run that changes the cluster.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProbeOptions {
    /// URLs to send requests to.
    pub(crate) urls: Vec<String>,
    /// Time between two requests to a URL.
    pub(crate) interval: Duration,
    /// Time after which a request fails.
    pub(crate) timeout: Duration,
    /// Accepted statuses; empty accepts 2xx and 3xx.
    pub(crate) expect: Vec<Statuses>,
    /// PEM files of trusted authorities.
    pub(crate) authorities: Vec<PathBuf>,
    /// Host names of URLs, with the address to use.
    pub(crate) resolve: Vec<(String, IpAddr)>,
    /// Number of failed requests after which no more healthy nodes are taken down.
    pub(crate) stop_after: Option<u64>,
}

impl Reach {
    /// Returns the artifact cache.
    pub(crate) fn cache(&self) -> Cache {
        self.cache_dir.clone().map_or_else(Cache::of_user, Cache::new)
    }

    /// Returns the folder of run records and keys.
    pub(crate) fn state_folder(&self) -> PathBuf {
        self.state_dir.clone().unwrap_or_else(state::of_user)
    }
}

impl Shown {
    /// Detects colours and live output.
    pub(crate) fn look(self) -> Look {
        self.look_with_diff(false)
    }

    /// Like [`Self::look`], with the diffs of text files if `diff` is set.
    pub(crate) fn look_with_diff(self, diff: bool) -> Look {
        Look::detect(self.json, self.verbose, diff)
    }
}

/// A disruption budget: how many nodes of a role, or of every role, may be down at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Budget {
    /// The role; `None` sets the budget of every role.
    pub(crate) role: Option<String>,
    /// The number of nodes.
    pub(crate) allowance: Allowance,
}

/// Why a disruption budget is invalid.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BudgetError {
    /// The text before `=` is not a role.
    #[error("unknown role `{0}`")]
    UnknownRole(String),
    /// The number of nodes is invalid.
    #[error(transparent)]
    Allowance(#[from] AllowanceError),
}

impl FromStr for Budget {
    type Err = BudgetError;

    /// Parses `N`, `P%` or `ROLE=N`.
    fn from_str(text: &str) -> Result<Self, BudgetError> {
        let (role, number) = match text.split_once('=') {
            Some((role, number)) => (Some(role), number),
            None => (None, text),
        };
        let allowance = Allowance::parse(number)?;
        match role {
            Some(role) if Role::of_group(role).is_none() => Err(BudgetError::UnknownRole(role.to_owned())),
            role => Ok(Self { role: role.map(str::to_owned), allowance }),
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.role {
            Some(role) => write!(f, "{role}={}", self.allowance),
            None => self.allowance.fmt(f),
        }
    }
}
