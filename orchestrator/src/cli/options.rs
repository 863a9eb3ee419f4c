//! Options that several verbs share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::apim::availability::Allowance;

/// What is read.
#[derive(Debug, Clone, Args)]
pub(super) struct Files {
    /// The inventory: a file, or a folder of files
    pub(super) inventory: PathBuf,
    /// Only these hosts: an Ansible pattern, such as `gateway:!gw3`
    #[arg(short, long, value_name = "PATTERN")]
    pub(super) limit: Option<String>,
    /// A variable: `name=value`, JSON, or @FILE; may be repeated, and weighs more than any file
    #[arg(short = 'e', long = "extra-vars", value_name = "VARS")]
    pub(super) extra_vars: Vec<String>,
    /// A file that holds the vault password, or a program that prints it
    #[arg(long, value_name = "FILE", env = "ANSIBLE_VAULT_PASSWORD_FILE")]
    pub(super) vault_password_file: Vec<PathBuf>,
    /// A vault password by label: `label@FILE` or `label@prompt`
    #[arg(long, value_name = "ID")]
    pub(super) vault_id: Vec<String>,
    /// Ask for the vault password
    #[arg(long, visible_alias = "ask-vault-password")]
    pub(super) ask_vault_pass: bool,
}

/// Which plays and tasks.
#[derive(Debug, Clone, Args)]
pub(super) struct Plays {
    /// A playbook: a file, or the name of a built-in one (site, start, stop, rolling-restart, …); default: site
    #[arg(short, long, value_name = "FILE")]
    pub(super) playbook: Option<String>,
    /// Only tasks with one of these tags
    #[arg(short, long, value_delimiter = ',', value_name = "TAGS")]
    pub(super) tags: Vec<String>,
    /// No task with one of these tags
    #[arg(long, value_delimiter = ',', value_name = "TAGS")]
    pub(super) skip_tags: Vec<String>,
}

/// How hosts are reached and worked on.
#[derive(Debug, Clone, Args)]
pub(super) struct Reach {
    /// How many hosts are worked on at once
    #[arg(short, long, default_value_t = 50, allow_negative_numbers = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) forks: u16,
    /// How many nodes of a role may be down at once: `N` or `P%`, or `ROLE=N` for one role (0 forbids restarts); weighs more than
    /// the inventory
    #[arg(long, value_name = "N", value_parser = limit)]
    pub(super) max_unavailable: Vec<(Option<String>, Allowance)>,
    /// Take nodes down without taking them out of the load balancers first
    #[arg(long)]
    pub(super) no_drain: bool,
    /// Let the last healthy node of a role be taken down, too
    #[arg(long)]
    pub(super) allow_outage: bool,
    /// How many seconds to wait for another run to let go of a host
    #[arg(long, default_value_t = 60, value_name = "SECS")]
    pub(super) wait_for_lock: u16,
    /// Trust hosts that are seen for the first time, and write their keys to known_hosts
    #[arg(long)]
    pub(super) accept_new_host_keys: bool,
    /// The known_hosts file, in place of the user's
    #[arg(long, value_name = "FILE")]
    pub(super) known_hosts: Option<PathBuf>,
    /// Where downloads are kept; default: `$XDG_CACHE_HOME/apim-deploy`
    #[arg(long, value_name = "DIR")]
    pub(super) cache_dir: Option<PathBuf>,
    /// Where runs are recorded, and the key of plans is kept; default: `$XDG_STATE_HOME/apim-deploy`
    #[arg(long, value_name = "DIR", env = "APIM_DEPLOY_STATE_DIR")]
    pub(super) state_dir: Option<PathBuf>,
    /// The folder of agent executables
    #[arg(long, value_name = "DIR", hide = true)]
    pub(super) agent_dir: Option<PathBuf>,
}

/// What is shown.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Shown {
    /// Also show what is as wished; twice for more
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// Words for people, or one JSON object per line
    #[arg(short, long, value_enum, default_value_t = Output::Human)]
    pub(super) output: Output,
}

/// Who reads the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// People.
    Human,
    /// Programs.
    Json,
}

/// Returns a budget of the command line as it may be written there.
pub(super) fn limit_text((role, allowance): &(Option<String>, Allowance)) -> String {
    match role {
        Some(role) => format!("{role}={allowance}"),
        None => allowance.to_string(),
    }
}

/// Reads a budget of the command line.
pub(super) fn limit(text: &str) -> Result<(Option<String>, Allowance), String> {
    let (role, number) = match text.split_once('=') {
        Some((role, number)) => (Some(role), number),
        None => (None, text),
    };
    let number = Allowance::parse(number)?;
    match role {
        Some(role) if crate::apim::Role::of_group(role).is_none() => {
            Err(format!("there is no role `{role}`"))
        }
        role => Ok((role.map(str::to_owned), number)),
    }
}
