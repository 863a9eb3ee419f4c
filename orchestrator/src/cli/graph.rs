//! `graph`: draw the topology from the inventory; contacts no host.

use std::path::PathBuf;

use super::exit::{Exit, Kind};
use super::options::Files;
use super::read;
use crate::report::{self, Look, remark};
use apim_product::graph::{Format, Graph};

/// Options of `graph`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: Files,
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

pub(super) fn run(args: &Args) -> Result<Kind, Exit> {
    let look = Look::detect(false, 0, false);
    let read = read::cluster(&args.files)?;
    read::tell(&read, &look)?;
    let text = Graph::of(&read.cluster).written(format(args));
    let Some(out) = &args.out else {
        report::say(text.trim_end())?;
        return Ok(Kind::Converged);
    };
    std::fs::write(out, text)
        .map_err(|error| Exit::new(Kind::Failed, format!("cannot write `{}`: {error}", out.display())))?;
    remark(&look.err.good(format!("written to {}", out.display())));
    Ok(Kind::Converged)
}

fn format(args: &Args) -> Format {
    let ending = args.out.as_ref().and_then(|out| out.extension()).and_then(|ending| ending.to_str());
    match (args.format, ending) {
        (Some(format), _) => format.into(),
        (None, Some("dot" | "gv")) => Format::Dot,
        (None, Some("mmd" | "mermaid" | "md")) => Format::Mermaid,
        (None, _) => Format::Svg,
    }
}
