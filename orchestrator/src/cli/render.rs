//! `render`: write the files that apply would deploy to `DIR/<host>/<path on the host>`.

use std::path::PathBuf;

use super::command::Command;
use super::options::{FileArgs, OutputFormat};
use crate::app::exit::{Exit, Kind};
use crate::app::render::{self, RenderRequest};

/// Options of `render`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: FileArgs,
    /// Write the files to this folder; they contain secrets
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = OutputFormat::Human)]
    output: OutputFormat,
}

impl Command for Args {
    fn is_json(&self) -> bool {
        self.output.is_json()
    }

    fn run(self: Box<Self>) -> Result<Kind, Exit> {
        let Self { files, out, output } = *self;
        render::run(&RenderRequest { files: files.into(), out, json: output.is_json() })
    }
}
