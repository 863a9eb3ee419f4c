//! Options that several verbs share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use apim_product::availability::Allowance;

/// Inventory, variables and vault passwords.
#[derive(Debug, Clone, Args)]
pub(super) struct Files {
    /// Inventory file, or folder of inventory files
    pub(super) inventory: PathBuf,
    /// Limit the run to hosts that match an Ansible pattern, such as `gateway:!gw3`
    #[arg(short, long, value_name = "PATTERN")]
    pub(super) limit: Option<String>,
    /// Set variables: `name=value`, JSON or @FILE; takes precedence over all files (repeatable)
    #[arg(short = 'e', long = "extra-vars", value_name = "VARS")]
    pub(super) extra_vars: Vec<String>,
    /// Read the vault password from a file, or from the output of an executable (repeatable)
    #[arg(long, value_name = "FILE", env = "ANSIBLE_VAULT_PASSWORD_FILE")]
    pub(super) vault_password_file: Vec<PathBuf>,
    /// Set the vault password of a label: `label@FILE` or `label@prompt` (repeatable)
    #[arg(long, value_name = "ID")]
    pub(super) vault_id: Vec<String>,
    /// Prompt for the vault password
    #[arg(long, visible_alias = "ask-vault-password")]
    pub(super) ask_vault_pass: bool,
}

/// Playbook and tag selection.
#[derive(Debug, Clone, Args)]
pub(super) struct Plays {
    /// Run a playbook: a file or a built-in name (site, start, stop, rolling-restart, …) [default:
    /// site]
    #[arg(short, long, value_name = "FILE")]
    pub(super) playbook: Option<String>,
    /// Run only tasks with one of these tags
    #[arg(short, long, value_delimiter = ',', value_name = "TAGS")]
    pub(super) tags: Vec<String>,
    /// Skip tasks with one of these tags
    #[arg(long, value_delimiter = ',', value_name = "TAGS")]
    pub(super) skip_tags: Vec<String>,
}

/// Connections, concurrency and disruption budgets.
#[derive(Debug, Clone, Args)]
pub(super) struct Reach {
    /// Set the maximum number of hosts processed in parallel
    #[arg(short, long, default_value_t = 50, allow_negative_numbers = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) forks: u16,
    /// Set the disruption budget: the nodes of a role that may be down at once, as `N`, `P%` or
    /// `ROLE=N` (0 forbids restarts); overrides the inventory (repeatable)
    #[arg(long, value_name = "N", value_parser = limit)]
    pub(super) max_unavailable: Vec<(Option<String>, Allowance)>,
    /// Do not drain nodes before taking them down
    #[arg(long)]
    pub(super) no_drain: bool,
    /// Allow taking down the last healthy node of a role
    #[arg(long)]
    pub(super) allow_outage: bool,
    /// Wait up to this many seconds for another run to release the host lock
    #[arg(long, default_value_t = 60, value_name = "SECS")]
    pub(super) wait_for_lock: u16,
    /// Trust the keys of unknown hosts and add them to known_hosts
    #[arg(long)]
    pub(super) accept_new_host_keys: bool,
    /// Use this known_hosts file [default: ~/.ssh/known_hosts]
    #[arg(long, value_name = "FILE")]
    pub(super) known_hosts: Option<PathBuf>,
    /// Cache downloads in this folder [default: $XDG_CACHE_HOME/apim-deploy]
    #[arg(long, value_name = "DIR")]
    pub(super) cache_dir: Option<PathBuf>,
    /// Keep run records and the key of saved plans in this folder [default:
    /// $XDG_STATE_HOME/apim-deploy]
    #[arg(long, value_name = "DIR", env = "APIM_DEPLOY_STATE_DIR")]
    pub(super) state_dir: Option<PathBuf>,
    /// Read agent executables from this folder
    #[arg(long, value_name = "DIR", hide = true)]
    pub(super) agent_dir: Option<PathBuf>,
}

/// Output detail and format.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Shown {
    /// Also show unchanged steps (-vv for more)
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = Output::Human)]
    pub(super) output: Output,
}

/// The output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// Text.
    Human,
    /// One JSON object per line.
    Json,
}

/// Formats a disruption budget the way [`limit`] parses it.
pub(super) fn limit_text((role, allowance): &(Option<String>, Allowance)) -> String {
    match role {
        Some(role) => format!("{role}={allowance}"),
        None => allowance.to_string(),
    }
}

/// Parses a disruption budget: `N`, `P%` or `ROLE=N`.
pub(super) fn limit(text: &str) -> Result<(Option<String>, Allowance), String> {
    let (role, number) = match text.split_once('=') {
        Some((role, number)) => (Some(role), number),
        None => (None, text),
    };
    let number = Allowance::parse(number)?;
    match role {
        Some(role) if apim_product::Role::of_group(role).is_none() => Err(format!("unknown role `{role}`")),
        role => Ok((role.map(str::to_owned), number)),
    }
}
