//! `rollback`: return nodes to their previous release, with the configuration of that release.

use super::command::Command;
use super::options::{FileArgs, OutputArgs, ReachArgs, role};
use super::probe::ProbeArgs;
use crate::app::exit::{Exit, Kind};
use crate::app::rollback::{self, RollbackRequest};
use apim_product::Role;
use apim_protocol::value::is_release_name;

/// Options of `rollback`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: FileArgs,
    /// Limit to nodes of this role: control_plane, key_manager, gateway, traffic_manager,
    /// all_in_one (repeatable)
    #[arg(short, long, value_name = "ROLE", value_delimiter = ',', value_parser = role)]
    role: Vec<Role>,
    /// Roll back to this release, by name or prefix such as `4.5.0` [default: the previous release
    /// of each host]
    #[arg(long, value_name = "RELEASE", value_parser = release)]
    to: Option<String>,
    /// Skip the confirmation prompt
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    reach: ReachArgs,
    #[command(flatten)]
    probe: ProbeArgs,
    #[command(flatten)]
    shown: OutputArgs,
}

impl Command for Args {
    fn is_json(&self) -> bool {
        self.shown.is_json()
    }

    fn run(self: Box<Self>) -> Result<Kind, Exit> {
        let Self { files, role, to, yes, reach, probe, shown } = *self;
        rollback::run(RollbackRequest {
            files: files.into(),
            roles: role,
            to,
            yes,
            reach: reach.into(),
            probe: probe.into(),
            shown: shown.into(),
        })
    }
}

/// A release name that is invalid.
#[derive(Debug, thiserror::Error)]
#[error("invalid release name `{0}`")]
struct InvalidRelease(String);

fn release(text: &str) -> Result<String, InvalidRelease> {
    if is_release_name(text) { Ok(text.to_owned()) } else { Err(InvalidRelease(text.to_owned())) }
}
