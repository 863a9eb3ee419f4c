//! `certs`: list the certificates of the cluster and their expiry.

use std::path::PathBuf;

use super::command::Command;
use super::options::{FileArgs, OutputArgs};
use crate::app::certs::{self, CertsRequest};
use crate::app::exit::{Exit, Kind};

/// Options of `certs`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: FileArgs,
    /// Issue missing and expiring certificates in mode `issued`; contacts no host
    #[arg(long)]
    issue: bool,
    /// Also list the public authorities in truststores
    #[arg(short, long)]
    all: bool,
    /// Cache downloads in this folder [default: $XDG_CACHE_HOME/apim-deploy]
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    #[command(flatten)]
    shown: OutputArgs,
}

impl Command for Args {
    fn is_json(&self) -> bool {
        self.shown.is_json()
    }

    fn run(self: Box<Self>) -> Result<Kind, Exit> {
        let Self { files, issue, all, cache_dir, shown } = *self;
        certs::run(&CertsRequest { files: files.into(), issue, all, cache_dir, shown: shown.into() })
    }
}
