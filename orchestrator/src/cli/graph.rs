//! `graph`: draw the topology from the inventory; contacts no host.

use std::path::PathBuf;

use super::command::Command;
use super::options::FileArgs;
use crate::app::exit::{Exit, Kind};
use crate::app::graph::{self, GraphRequest};
use apim_product::graph::Format;

/// Options of `graph`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: FileArgs,
    /// Output format [default: by the extension of --out, otherwise svg]
    #[arg(short, long, value_enum)]
    format: Option<Written>,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// An output format.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Written {
    /// SVG image
    Svg,
    /// Graphviz
    Dot,
    /// Mermaid, for Markdown
    Mermaid,
}

impl From<Written> for Format {
    fn from(written: Written) -> Self {
        match written {
            Written::Svg => Self::Svg,
            Written::Dot => Self::Dot,
            Written::Mermaid => Self::Mermaid,
        }
    }
}

impl Command for Args {
    fn is_json(&self) -> bool {
        false
    }

    fn run(self: Box<Self>) -> Result<Kind, Exit> {
        let Self { files, format, out } = *self;
        graph::run(&GraphRequest { files: files.into(), format: format.map(Format::from), out })
    }
}
