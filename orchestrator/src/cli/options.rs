//! Options that several verbs share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::app::options::{Budget, Files, Plays, Reach, Shown};
use apim_product::Role;

/// Inventory, variables and vault passwords.
#[derive(Debug, Clone, Args)]
pub(super) struct FileArgs {
    /// Inventory file, or folder of inventory files
    inventory: PathBuf,
    /// Limit the run to hosts that match an Ansible pattern, such as `gateway:!gw3`
    #[arg(short, long, value_name = "PATTERN")]
    limit: Option<String>,
    /// Set variables: `name=value`, JSON or @FILE; takes precedence over all files (repeatable)
    #[arg(short = 'e', long = "extra-vars", value_name = "VARS")]
    extra_vars: Vec<String>,
    /// Read the vault password from a file, or from the output of an executable (repeatable)
    #[arg(long, value_name = "FILE", env = "ANSIBLE_VAULT_PASSWORD_FILE")]
    vault_password_file: Vec<PathBuf>,
    /// Set the vault password of a label: `label@FILE` or `label@prompt` (repeatable)
    #[arg(long, value_name = "ID")]
    vault_id: Vec<String>,
    /// Prompt for the vault password
    #[arg(long, visible_alias = "ask-vault-password")]
    ask_vault_pass: bool,
}

/// Playbook and tag selection.
#[derive(Debug, Clone, Args)]
pub(super) struct PlayArgs {
    /// Run a playbook: a file or a built-in name (site, start, stop, rolling-restart, …) [default:
    /// site]
    #[arg(short, long, value_name = "FILE")]
    playbook: Option<String>,
    /// Run only tasks with one of these tags
    #[arg(short, long, value_delimiter = ',', value_name = "TAGS")]
    tags: Vec<String>,
    /// Skip tasks with one of these tags
    #[arg(long, value_delimiter = ',', value_name = "TAGS")]
    skip_tags: Vec<String>,
}

/// Connections, concurrency and disruption budgets.
#[derive(Debug, Clone, Args)]
pub(super) struct ReachArgs {
    /// Set the maximum number of hosts processed in parallel
    #[arg(short, long, default_value_t = 50, allow_negative_numbers = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    forks: u16,
    /// Set the disruption budget: the nodes of a role that may be down at once, as `N`, `P%` or
    /// `ROLE=N` (0 forbids restarts); overrides the inventory (repeatable)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(Budget))]
    max_unavailable: Vec<Budget>,
    /// Do not drain nodes before taking them down
    #[arg(long)]
    no_drain: bool,
    /// Allow taking down the last healthy node of a role
    #[arg(long)]
    allow_outage: bool,
    /// Wait up to this many seconds for another run to release the host lock
    #[arg(long, default_value_t = 60, value_name = "SECS")]
    wait_for_lock: u16,
    /// Trust the keys of unknown hosts and add them to known_hosts
    #[arg(long)]
    accept_new_host_keys: bool,
    /// Use this known_hosts file [default: ~/.ssh/known_hosts]
    #[arg(long, value_name = "FILE")]
    known_hosts: Option<PathBuf>,
    /// Cache downloads in this folder [default: $XDG_CACHE_HOME/apim-deploy]
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// Keep run records and the key of saved plans in this folder [default:
    /// $XDG_STATE_HOME/apim-deploy]
    #[arg(long, value_name = "DIR", env = "APIM_DEPLOY_STATE_DIR")]
    state_dir: Option<PathBuf>,
    /// Read agent executables from this folder
    #[arg(long, value_name = "DIR", hide = true)]
    agent_dir: Option<PathBuf>,
}

/// Output detail and format.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct OutputArgs {
    /// Also show unchanged steps (-vv for more)
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = OutputFormat::Human)]
    output: OutputFormat,
}

/// The output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OutputFormat {
    /// Text.
    Human,
    /// One JSON object per line.
    Json,
}

impl OutputFormat {
    /// Returns whether the format is JSON.
    pub(super) const fn is_json(self) -> bool {
        matches!(self, Self::Json)
    }
}

impl OutputArgs {
    /// Returns whether the output format is JSON.
    pub(super) const fn is_json(self) -> bool {
        self.output.is_json()
    }
}

impl From<FileArgs> for Files {
    fn from(args: FileArgs) -> Self {
        let FileArgs { inventory, limit, extra_vars, vault_password_file, vault_id, ask_vault_pass } = args;
        Self { inventory, limit, extra_vars, vault_password_file, vault_id, ask_vault_pass }
    }
}

impl From<PlayArgs> for Plays {
    fn from(PlayArgs { playbook, tags, skip_tags }: PlayArgs) -> Self {
        Self { playbook, tags, skip_tags }
    }
}

impl From<ReachArgs> for Reach {
    fn from(args: ReachArgs) -> Self {
        let ReachArgs {
            forks,
            max_unavailable,
            no_drain,
            allow_outage,
            wait_for_lock,
            accept_new_host_keys,
            known_hosts,
            cache_dir,
            state_dir,
            agent_dir,
        } = args;
        Self {
            forks,
            max_unavailable,
            no_drain,
            allow_outage,
            wait_for_lock,
            accept_new_host_keys,
            known_hosts,
            cache_dir,
            state_dir,
            agent_dir,
        }
    }
}

impl From<OutputArgs> for Shown {
    fn from(OutputArgs { verbose, output }: OutputArgs) -> Self {
        Self { verbose, json: output.is_json() }
    }
}

/// `--role` names a group without a role.
#[derive(Debug, thiserror::Error)]
#[error("unknown role `{name}`; roles: {}", Role::ALL.map(Role::group).join(", "))]
pub(super) struct UnknownRole {
    name: String,
}

/// Parses a role.
pub(super) fn role(text: &str) -> Result<Role, UnknownRole> {
    Role::of_group(text).ok_or_else(|| UnknownRole { name: text.to_owned() })
}
