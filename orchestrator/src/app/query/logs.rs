//! `logs`: the logs of many nodes, merged by time stamp; optionally followed.

use std::time::Duration;

use apim_protocol::mask;
use apim_protocol::observation::LogEntry;
use apim_protocol::outcome::Outcome;
use apim_protocol::query::Query;
use apim_protocol::query::follow::Follow;
use apim_protocol::value::Secret;
use futures_util::future::join_all;
use serde_json::json;
use tokio::sync::mpsc::{self, Sender};

use crate::app::connect::Rights;
use crate::app::exit::{Exit, Kind};
use crate::app::options::{Files, Reach, Shown as Output};
use crate::app::query::log_merge::{Said, Shown, merge};
use crate::app::query::{self, QueryRequest, QuerySession};
use crate::app::verb::Verb;
use crate::report::style::harmless;
use crate::report::{self, Look, remark};
use apim_product::{Node, logs};
use apim_transport::host::HostName;
use apim_transport::query::{HostClient, HostQuery, QueryOptions};
use apim_transport::session::Connect;

/// Default number of entries per log.
const LINES: u32 = 20;
/// Batches buffered per log.
const AHEAD: usize = 2;
/// Connection timeout.
const REACH: Duration = Duration::from_secs(30);
/// Timeout for a host to search its logs.
const SEARCH: Duration = Duration::from_secs(600);
/// Longest pause between connection attempts to an unreachable host.
const TRY_AGAIN: Duration = Duration::from_secs(10);
/// Entries with the same time stamp to remember, so that they are not repeated after a reconnect.
const REMEMBERED: usize = 1000;

/// Options of `logs`.
#[derive(Debug, Clone)]
pub(crate) struct LogsRequest {
    pub(crate) files: Files,
    /// Hosts, as an Ansible pattern [default: all hosts with nodes]
    pub(crate) pattern: Option<String>,
    pub(crate) reach: Reach,
    /// Stream new entries until Ctrl-C
    pub(crate) follow: bool,
    /// Show only entries since a duration ago (10m) or a time (2026-11-22T05:00:00Z)
    pub(crate) since: Option<u64>,
    /// Show only entries with a line that matches this regular expression; filtered on the hosts
    pub(crate) grep: Option<String>,
    /// Show this many of the latest entries of each log [default: 20; all with --since]
    pub(crate) lines: Option<u32>,
    /// Show this log: carbon, errors, audit, http_access, api, correlation, service, trace,
    /// metrics, bots, unit (the systemd journal), or a file name (repeatable)
    pub(crate) logs: Vec<String>,
    pub(crate) shown: Output,
}

/// One log of one node.
struct Source<'a> {
    node: &'a Node,
    log: &'a str,
    /// Prefix of its lines.
    prefix: String,
}

pub(crate) fn run(args: &LogsRequest) -> Result<Kind, Exit> {
    let query = QueryRequest {
        verb: Verb::Logs,
        files: &args.files,
        reach: &args.reach,
        shown: args.shown,
        pattern: args.pattern.as_deref(),
        rights: Rights::Usual,
    };
    let mut ready = query::prepare(&query)?;
    let cluster = ready.read.cluster.clone();
    ready.hosts.retain(|host| cluster.nodes_on(&host.0).next().is_some());
    let nodes: Vec<&Node> = ready.hosts.iter().flat_map(|host| cluster.nodes_on(&host.0)).collect();
    if nodes.is_empty() {
        return Err(Exit::new(Kind::Usage, "none of these hosts runs a node, so there are no logs")
            .hint("`apim-deploy status` lists the hosts with nodes"));
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
    let printer = Printer { sources: &sources, look, secrets: &secrets };
    ready.ask(|session| stream(session, args, &printer))
}

/// Prints the entries of all logs.
struct Printer<'a> {
    sources: &'a [Source<'a>],
    look: Look,
    secrets: &'a [Secret],
}

async fn stream(session: QuerySession, args: &LogsRequest, printer: &Printer<'_>) -> Result<Kind, Exit> {
    let Printer { sources, look, .. } = printer;
    let QuerySession { connect, terms, .. } = session;
    let terms = QueryOptions { connect: REACH, ..terms };
    let (senders, receivers): (Vec<_>, Vec<_>) = sources.iter().map(|_| mpsc::channel(AHEAD)).unzip();
    let asking = join_all(sources.iter().zip(senders).map(|(source, sender)| {
        let mut stream = Stream {
            peer: HostClient::new(HostName(source.node.host.clone())),
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
    let mut written = Ok(());
    let mut show = |shown: Shown| {
        let said = match shown {
            Shown::Entry(number, entry) => match sources.get(number) {
                Some(source) if look.json => report::say(&printer.object(source, &entry)),
                Some(source) => report::say(&printer.text(number, source, &entry)),
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
        // Do not wait for pending entries.
        () = terms.stop.requested() => return Ok(if args.follow { Kind::Converged } else { Kind::Interrupted }),
    };
    written?;
    Ok(if all.iter().all(|is_complete| *is_complete) { Kind::Converged } else { Kind::Failed })
}

impl Printer<'_> {
    fn object(&self, source: &Source<'_>, entry: &LogEntry) -> String {
        let at = entry.at.and_then(|at| jiff::Timestamp::from_millisecond(i64::try_from(at).ok()?).ok());
        json!({
            "event": "entry", "node": source.node.name.0, "host": source.node.host, "log": source.log,
            "at": at.map(|at| at.to_string()), "text": mask::text(&entry.text, self.secrets),
        })
        .to_string()
    }

    fn text(&self, number: usize, source: &Source<'_>, entry: &LogEntry) -> String {
        let width = self.sources.iter().map(|source| source.prefix.chars().count()).max().unwrap_or(0);
        let prefix = self.look.out.tinted(number, format!("{:width$}", source.prefix));
        let text = mask::text(&entry.text, self.secrets);
        harmless(&text).lines().map(|line| format!("{prefix}  {line}\n")).collect()
    }
}

/// Streams one log and reconnects if the connection is lost.
struct Stream {
    peer: HostClient,
    follow: Follow,
    sender: Sender<Said>,
    /// Time stamp of the last entry shown, and the entries with this time stamp.
    last: Option<u64>,
    same: Vec<String>,
}

impl Stream {
    /// Returns whether all requested entries were shown.
    async fn run(&mut self, connect: &dyn Connect, terms: &QueryOptions) -> bool {
        let mut pause = Duration::from_secs(1);
        let mut is_again = false;
        loop {
            let (batches, mut heard) = mpsc::channel(AHEAD);
            let asked = HostQuery {
                own_deadline: if self.follow.goes_on { Duration::ZERO } else { SEARCH },
                entries: Some(batches),
                ..HostQuery::look("logs", Query::Follow(self.follow.clone()))
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
                            // If the receiver is closed, the stream ends soon.
                            drop(sender.send(Said::Note("reconnected".to_owned())).await);
                        }
                        was_heard = true;
                        entries.retain(|entry| !is_again || is_live || is_new(entry, *last, same));
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
                Err(away) => (away.why(), false),
            };
            if terms.stop.is_requested() {
                return true;
            }
            if was_heard {
                pause = Duration::from_secs(1);
            }
            let goes_on = self.follow.goes_on && !is_final;
            let words = if goes_on { format!("{why}; reconnecting") } else { why };
            if !is_again || was_heard || !goes_on {
                drop(self.sender.send(Said::Note(words)).await);
            }
            if !goes_on {
                return false;
            }
            // Logs of other hosts do not wait for the existing entries of an unreachable host.
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

/// Returns whether an entry was not shown before the connection was lost.
fn is_new(entry: &LogEntry, last: Option<u64>, same: &[String]) -> bool {
    match (entry.at, last) {
        (Some(at), Some(last)) => at > last || (at == last && !same.contains(&entry.text)),
        (None, Some(_)) => !same.contains(&entry.text),
        (_, None) => true,
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
