//! `logs`: the logs of many nodes in one order, and what is added to them.

use std::time::Duration;

use apim_protocol::mask;
use apim_protocol::observation::LogEntry;
use apim_protocol::outcome::Outcome;
use apim_protocol::query::Query;
use apim_protocol::query::follow::Follow;
use apim_protocol::value::Secret;
use futures_util::future::join_all;
use regex::Regex;
use serde_json::json;
use tokio::sync::mpsc::{self, Sender};

use super::connect::Rights;
use super::exit::{Exit, Kind};
use super::looking::{self, Round, Wanted};
use super::merge::{Said, Shown, merge};
use super::moment;
use super::options::{Files, Reach, Shown as Output};
use crate::apim::{Node, logs};
use crate::inventory::host::HostName;
use crate::report::style::harmless;
use crate::report::{self, Look, remark};
use crate::rounds::{Asked, Away, Peer, Terms};
use crate::session::Connect;
use crate::yaml::nearest;

/// Entries of a log that are shown when nobody says how many.
const LINES: u32 = 20;
/// Batches of a log that may wait to be shown.
const AHEAD: usize = 2;
/// How long a host may take to be reached.
const REACH: Duration = Duration::from_secs(30);
/// How long a host may search its logs.
const SEARCH: Duration = Duration::from_secs(600);
/// The longest time between two tries of a host that is away.
const TRY_AGAIN: Duration = Duration::from_secs(10);
/// Of entries with the same stamp so many are remembered, not to be told twice after a link was lost.
const REMEMBERED: usize = 1000;

/// Options of `logs`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: Files,
    /// The hosts: an Ansible pattern; all that carry nodes without one
    pattern: Option<String>,
    #[command(flatten)]
    reach: Reach,
    /// Go on with what is added, until Ctrl-C
    #[arg(short = 'F', long)]
    follow: bool,
    /// Only what was written since: so long ago (10m), or a moment (2026-11-22T05:00:00Z)
    #[arg(short, long, value_name = "TIME", value_parser = moment::since)]
    since: Option<u64>,
    /// Only entries with a line that matches this regular expression; hosts search, and send only those
    #[arg(short, long, value_name = "REGEX", value_parser = pattern)]
    grep: Option<String>,
    /// The last so many entries of each log; default: 20, or with --since all
    #[arg(short = 'n', long, value_name = "N")]
    lines: Option<u32>,
    /// Which log: carbon, errors, audit, http_access, api, correlation, service, trace, metrics, bots, unit (what systemd's
    /// journal has), or a file's name; may be repeated
    #[arg(long = "file", value_name = "LOG", default_value = "carbon", value_parser = log_name)]
    logs: Vec<String>,
    #[command(flatten)]
    pub(super) shown: Output,
}

fn pattern(text: &str) -> Result<String, String> {
    match Regex::new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("\n{error}")),
    }
}

fn log_name(text: &str) -> Result<String, String> {
    if logs::is_name(text) {
        return Ok(text.to_owned());
    }
    let known: Vec<&str> = logs::names().collect();
    Err(match nearest(text, known.iter().copied()) {
        Some(near) => format!("there is no log of that name; did you mean `{near}`?"),
        None => format!(
            "there is no log of that name; there are {}, and names of files that end with .log",
            known.join(", ")
        ),
    })
}

/// One log of one node.
struct Source<'a> {
    node: &'a Node,
    log: &'a str,
    /// What stands before its lines.
    prefix: String,
}

pub(super) fn run(args: &Args) -> Result<Kind, Exit> {
    let wanted = Wanted {
        verb: "logs",
        files: &args.files,
        reach: &args.reach,
        shown: args.shown,
        pattern: args.pattern.as_deref(),
        rights: Rights::Usual,
    };
    let mut ready = looking::prepare(&wanted)?;
    let cluster = ready.read.cluster.clone();
    ready.hosts.retain(|host| cluster.nodes_on(&host.0).next().is_some());
    let nodes: Vec<&Node> = ready.hosts.iter().flat_map(|host| cluster.nodes_on(&host.0)).collect();
    if nodes.is_empty() {
        return Err(Exit::new(Kind::Usage, "none of these hosts carries a node, so there are no logs")
            .hint("see which do with `apim-deploy status`"));
    }
    let secrets = ready.secrets();
    let sources: Vec<Source<'_>> = nodes
        .iter()
        .flat_map(|node| {
            let prefix = move |log: &str| match args.logs.as_slice() {
                [_] => node.name.0.clone(),
                _ => format!("{} {log}", node.name.0),
            };
            args.logs.iter().map(move |log| Source { node, log, prefix: prefix(log) })
        })
        .collect();
    let look = ready.look;
    ready.ask(|round| tell(round, args, &sources, (look, &secrets)))
}

async fn tell(
    round: Round,
    args: &Args,
    sources: &[Source<'_>],
    (look, secrets): (Look, &[Secret]),
) -> Result<Kind, Exit> {
    let Round { connect, terms, .. } = round;
    let terms = Terms { connect: REACH, ..terms };
    let (senders, receivers): (Vec<_>, Vec<_>) = sources.iter().map(|_| mpsc::channel(AHEAD)).unzip();
    let asking = join_all(sources.iter().zip(senders).map(|(source, sender)| {
        let mut stream = Stream {
            peer: Peer::new(HostName(source.node.host.clone())),
            follow: Follow {
                log: logs::log(source.node, source.log),
                last: args.lines.or(args.since.is_none().then_some(LINES)),
                since: args.since,
                matching: args.grep.clone(),
                goes_on: args.follow,
            },
            sender,
            last: None,
            same: Vec::new(),
        };
        let (connect, terms) = (connect.as_ref(), &terms);
        async move { stream.run(connect, terms).await }
    }));
    let width = sources.iter().map(|source| source.prefix.chars().count()).max().unwrap_or(0);
    let mut written = Ok(());
    let mut show = |shown: Shown| {
        let said = match shown {
            Shown::Entry(number, entry) => match sources.get(number) {
                Some(source) if look.json => report::say(&object(source, &entry, secrets)),
                Some(source) => report::say(&text(source, &entry, (number, width, look, secrets))),
                None => Ok(()),
            },
            Shown::Note(number, words) => {
                let name = sources.get(number).map_or("?", |source| source.prefix.as_str());
                remark(&look.err.change(format!("{name}: {}", harmless(&words))));
                Ok(())
            }
        };
        if written.is_ok() {
            written = said;
        }
    };
    let all = tokio::select! {
        (all, ()) = async { tokio::join!(asking, merge(receivers, &mut show)) } => all,
        // What is still on its way is not waited for.
        () = terms.stop.wished() => return Ok(if args.follow { Kind::Converged } else { Kind::Interrupted }),
    };
    written?;
    Ok(if all.iter().all(|is_told| *is_told) { Kind::Converged } else { Kind::Failed })
}

fn object(source: &Source<'_>, entry: &LogEntry, secrets: &[Secret]) -> String {
    let at = entry.at.and_then(|at| jiff::Timestamp::from_millisecond(i64::try_from(at).ok()?).ok());
    json!({
        "event": "entry", "node": source.node.name.0, "host": source.node.host, "log": source.log,
        "at": at.map(|at| at.to_string()), "text": mask::text(&entry.text, secrets),
    })
    .to_string()
}

fn text(
    source: &Source<'_>,
    entry: &LogEntry,
    (number, width, look, secrets): (usize, usize, Look, &[Secret]),
) -> String {
    let prefix = look.out.tinted(number, format!("{:width$}", source.prefix));
    let text = mask::text(&entry.text, secrets);
    harmless(&text).lines().map(|line| format!("{prefix}  {line}\n")).collect()
}

/// Hears one log, and hears it again where the link is lost.
struct Stream {
    peer: Peer,
    follow: Follow,
    sender: Sender<Said>,
    /// The stamp of the last entry told, and the entries that have it.
    last: Option<u64>,
    same: Vec<String>,
}

impl Stream {
    /// Says whether all was told that was asked for.
    async fn run(&mut self, connect: &dyn Connect, terms: &Terms) -> bool {
        let mut pause = Duration::from_secs(1);
        let mut is_again = false;
        loop {
            let (batches, mut heard) = mpsc::channel(AHEAD);
            let asked = Asked {
                takes: if self.follow.goes_on { Duration::ZERO } else { SEARCH },
                told: Some(batches),
                ..Asked::look("logs", Query::Follow(self.follow.clone()))
            };
            let mut was_heard = false;
            let Self { peer, sender, last, same, .. } = self;
            let (outcome, ()) = tokio::join!(
                async move {
                    let outcome = peer.ask(connect, terms, &[asked], &|_, _| {}).await;
                    peer.goodbye().await;
                    outcome
                },
                async {
                    while let Some((mut entries, is_live)) = heard.recv().await {
                        if is_again && !std::mem::replace(&mut was_heard, true) {
                            // A reader that is gone ends all of it soon.
                            drop(sender.send(Said::Note("it can be read again".to_owned())).await);
                        }
                        was_heard = true;
                        entries.retain(|entry| is_new(entry, (is_again && !is_live, *last, same)));
                        for entry in &entries {
                            remember(entry, last, same);
                        }
                        drop(sender.send(Said::Entries(entries, is_live)).await);
                    }
                }
            );
            let (why, is_final) = match outcome.map(|outcomes| outcomes.into_iter().next()) {
                Ok(Some(Outcome::Failed(failure))) => {
                    let hint = failure.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
                    (format!("{}{hint}", failure.what), true)
                }
                Ok(_) => return true,
                Err(Away { why, .. }) => (why, false),
            };
            if terms.stop.is_wished() {
                return true;
            }
            if was_heard {
                pause = Duration::from_secs(1);
            }
            let goes_on = self.follow.goes_on && !is_final;
            let words = if goes_on { format!("{why}; trying again") } else { why };
            if !is_again || was_heard || !goes_on {
                drop(self.sender.send(Said::Note(words)).await);
            }
            if !goes_on {
                return false;
            }
            // Whoever waits for what was there does not wait for a host that is away.
            drop(self.sender.send(Said::Entries(Vec::new(), true)).await);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(TRY_AGAIN);
            is_again = true;
            if self.last.is_some() {
                self.follow.since = self.last;
                self.follow.last = None;
            }
        }
    }
}

/// Says whether an entry was not told before the link was lost.
fn is_new(entry: &LogEntry, (is_again, last, same): (bool, Option<u64>, &[String])) -> bool {
    match (is_again, entry.at, last) {
        (true, Some(at), Some(last)) => at > last || (at == last && !same.contains(&entry.text)),
        (true, None, Some(_)) => !same.contains(&entry.text),
        _ => true,
    }
}

fn remember(entry: &LogEntry, last: &mut Option<u64>, same: &mut Vec<String>) {
    if entry.at > *last {
        *last = entry.at;
        same.clear();
    }
    if (entry.at.is_none() || entry.at == *last) && same.len() < REMEMBERED {
        same.push(entry.text.clone());
    }
}
