//! `logs`: the logs of many nodes, merged by time stamp; optionally followed.

use regex::Regex;

use super::command::Command;
use super::options::{FileArgs, OutputArgs, ReachArgs};
use super::time_args;
use crate::app::exit::{Exit, Kind};
use crate::app::query::logs::{LogsRequest, run};
use apim_product::logs;
use apim_product::yaml::nearest;

/// Options of `logs`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: FileArgs,
    /// Hosts, as an Ansible pattern [default: all hosts with nodes]
    pattern: Option<String>,
    #[command(flatten)]
    reach: ReachArgs,
    /// Stream new entries until Ctrl-C
    #[arg(short = 'F', long)]
    follow: bool,
    /// Show only entries since a duration ago (10m) or a time (2026-11-22T05:00:00Z)
    #[arg(short, long, value_name = "TIME", value_parser = time_args::since)]
    since: Option<u64>,
    /// Show only entries with a line that matches this regular expression; filtered on the hosts
    #[arg(short, long, value_name = "REGEX", value_parser = pattern)]
    grep: Option<String>,
    /// Show this many of the latest entries of each log [default: 20; all with --since]
    #[arg(short = 'n', long, value_name = "N")]
    lines: Option<u32>,
    /// Show this log: carbon, errors, audit, http_access, api, correlation, service, trace,
    /// metrics, bots, unit (the systemd journal), or a file name (repeatable)
    #[arg(long = "file", value_name = "LOG", default_value = "carbon", value_parser = log_name)]
    logs: Vec<String>,
    #[command(flatten)]
    shown: OutputArgs,
}

impl Command for Args {
    fn is_json(&self) -> bool {
        self.shown.is_json()
    }

    fn run(self: Box<Self>) -> Result<Kind, Exit> {
        let Self { files, pattern, reach, follow, since, grep, lines, logs, shown } = *self;
        run(&LogsRequest {
            files: files.into(),
            pattern,
            reach: reach.into(),
            follow,
            since,
            grep,
            lines,
            logs,
            shown: shown.into(),
        })
    }
}

/// A regular expression that is invalid.
#[derive(Debug, thiserror::Error)]
#[error("\n{0}")]
struct InvalidPattern(regex::Error);

/// A log that is not known.
#[derive(Debug, thiserror::Error)]
enum UnknownLog {
    #[error("unknown log; did you mean `{0}`?")]
    Near(String),
    #[error("unknown log; use {0}, or a file name that ends with .log")]
    Other(String),
}

fn pattern(text: &str) -> Result<String, InvalidPattern> {
    Regex::new(text).map(|_| text.to_owned()).map_err(InvalidPattern)
}

fn log_name(text: &str) -> Result<String, UnknownLog> {
    if logs::is_name(text) {
        return Ok(text.to_owned());
    }
    let known: Vec<&str> = logs::names().collect();
    Err(match nearest(text, known.iter().copied()) {
        Some(near) => UnknownLog::Near(near.to_owned()),
        None => UnknownLog::Other(known.join(", ")),
    })
}
