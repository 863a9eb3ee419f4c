//! `graph`: draw the topology from the inventory; contacts no host.

use std::path::PathBuf;

use crate::app::exit::{Exit, Kind};
use crate::app::options::Files;
use crate::app::read;
use crate::report::{self, Look, remark};
use apim_product::graph::{Format, Graph};

/// Options of `graph`.
#[derive(Debug, Clone)]
pub(crate) struct GraphRequest {
    pub(crate) files: Files,
    /// Output format [default: by the extension of --out, otherwise svg]
    pub(crate) format: Option<Format>,
    /// Write to this file instead of standard output
    pub(crate) out: Option<PathBuf>,
}

pub(crate) fn run(args: &GraphRequest) -> Result<Kind, Exit> {
    let look = Look::detect(false, 0, false);
    let read = read::cluster(&args.files)?;
    read::report(&read, &look)?;
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

fn format(args: &GraphRequest) -> Format {
    let ending = args.out.as_ref().and_then(|out| out.extension()).and_then(|ending| ending.to_str());
    match (args.format, ending) {
        (Some(format), _) => format,
        (None, Some("dot" | "gv")) => Format::Dot,
        (None, Some("mmd" | "mermaid" | "md")) => Format::Mermaid,
        (None, _) => Format::Svg,
    }
}
