//! `status`: how every node is, and whether it differs from what the files say; once, or again and again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use apim_protocol::message::Job;
use apim_protocol::operation::Operation;
use apim_protocol::outcome::Outcome;
use apim_protocol::query::Query;
use futures_util::future::join_all;
use serde_json::json;
use tokio::sync::{Notify, Semaphore};

use super::connect::{self, Rights};
use super::exit::{Exit, Kind};
use super::issuing::Issue;
use super::looking::{Ready, Round};
use super::moment;
use super::options::{Files, Output, Plays, Reach, Shown};
use super::pipeline;
use super::read;
use super::serving::Balancers;
use super::standing::{Row, table};
use crate::apim::Cluster;
use crate::artifact::Cache;
use crate::inventory::host::HostName;
use crate::plan::model::{NodeName, Plan, Step};
use crate::report::live::Live;
use crate::report::{self, Look, remark};
use crate::rounds::{Asked, Away, Peer, Terms};
use crate::session::Connect;

/// While watching, a host that says nothing for so long is shown as away.
const WATCH_SILENCE: Duration = Duration::from_secs(15);

/// Options of `status`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    pub(super) shown: Shown,
    /// Look again every so often (2s), until Ctrl-C
    #[arg(short, long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "2s", value_parser = moment::duration)]
    watch: Option<Duration>,
    /// `off`: do not look for what apply would change
    #[arg(long, value_enum, default_value_t = Drift::On)]
    drift: Drift,
}

/// Whether drift is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Drift {
    /// Every step of the playbook is looked at.
    On,
    /// Only the nodes are.
    Off,
}

/// What is asked of one host: the steps, and the operations in the same order; behind them, what a load balancer is asked.
#[derive(Default)]
struct Questions<'a> {
    steps: Vec<&'a Step>,
    asked: Vec<Asked>,
}

/// What was last heard of each host; nothing before its first answer.
type Heard = BTreeMap<HostName, Result<Vec<Outcome>, Away>>;

pub(super) fn run(args: Args) -> Result<Kind, Exit> {
    let Args { files, reach, shown, watch, drift } = args;
    let look = Look::detect(shown.output == Output::Json, shown.verbose, false);
    let cache = reach.cache_dir.clone().map_or_else(Cache::of_user, Cache::new);
    let plays = Plays { playbook: None, tags: Vec::new(), skip_tags: Vec::new() };
    let (read, _, mut drafted) = read::all_with(&files, &plays, &cache, Issue::Tell)?;
    read::tell(&read, &look)?;
    let limited = read::limited(&read.inventory, &files)?;
    drafted.add_inspection(&read.cluster, &|host| limited.contains(host));
    let at_hand = pipeline::at_hand(&read.cluster, &drafted, (&cache, &look))?;
    let plan = drafted.finish(&at_hand);
    let mut questions = questions(&plan, &read.cluster, drift);
    let balancers = Balancers::of(&read.cluster, |node| {
        let nodes = questions.values().flat_map(|own| own.steps.iter().filter_map(|step| step.node.as_ref()));
        nodes.into_iter().any(|shown| shown == node)
    });
    for host in balancers.hosts() {
        let look = balancers.question(host).map(|look| Asked::look("who gets requests", look));
        questions.entry(host).or_default().asked.extend(look);
    }
    let hosts: Vec<HostName> = questions.keys().map(|host| (*host).clone()).collect();
    let connector = connect::connector_with(&read.inventory, Rights::Usual, &reach)?;
    let ready = Ready::new(read, look, hosts, connector, format!("status {}", files.inventory.display()));
    let cluster = &ready.read.cluster;
    let forks = Arc::new(Semaphore::new(usize::from(reach.forks)));
    ready.ask(|round| async {
        let shower = Shower { cluster, questions: &questions, balancers: &balancers, look };
        match watch {
            None => once(round, &shower, &forks).await,
            Some(every) => {
                again_and_again(round, &shower, (&forks, every.max(Duration::from_millis(200)))).await
            }
        }
    })
}

/// Returns what is asked of every host that carries a node.
fn questions<'a>(plan: &'a Plan, cluster: &Cluster, drift: Drift) -> BTreeMap<&'a HostName, Questions<'a>> {
    let mut all: BTreeMap<&'a HostName, Questions<'a>> = BTreeMap::new();
    for lane in plan.stages.iter().flat_map(|stage| &stage.lanes) {
        let own = all.entry(&lane.host).or_default();
        for step in &lane.steps {
            let job = match (step.query(), step.operation()) {
                (Some(query @ Query::Inspect(_)), _) => Job::Query(query.clone()),
                (None, Some(operation)) if drift == Drift::On && is_wish(operation) => {
                    Job::check(operation.clone())
                }
                _ => continue,
            };
            own.steps.push(step);
            own.asked.push(Asked::look(step.title.clone(), job));
        }
    }
    all.retain(|host, own| !own.steps.is_empty() && cluster.nodes_on(&host.0).next().is_some());
    all
}

fn is_wish(operation: &Operation) -> bool {
    !matches!(operation, Operation::Wait(_))
}

/// Asks one host.
async fn ask(
    peer: &mut Peer,
    questions: &Questions<'_>,
    (connect, terms): (&dyn Connect, &Terms),
) -> Result<Vec<Outcome>, Away> {
    peer.ask(connect, terms, &questions.asked, &|_, _| {}).await
}

async fn once(round: Round, shower: &Shower<'_>, forks: &Semaphore) -> Result<Kind, Exit> {
    let Round { mut peers, connect, terms } = round;
    let answers = join_all(peers.iter_mut().map(|peer| {
        let (connect, terms) = (connect.as_ref(), &terms);
        async move {
            // The semaphore is never closed.
            let _turn = forks.acquire().await;
            let answer = match shower.questions.get(&peer.host) {
                Some(questions) => ask(peer, questions, (connect, terms)).await,
                None => Ok(Vec::new()),
            };
            peer.goodbye().await;
            (peer.host.clone(), answer)
        }
    }));
    let heard: Heard = answers.await.into_iter().collect();
    if terms.stop.is_wished() {
        return Ok(Kind::Interrupted);
    }
    let rows = shower.rows(&heard);
    if shower.look.json {
        report::say(&shower.json(&rows))?;
    } else {
        report::say(&table(&rows, shower.cluster, shower.look.out))?;
        for (host, answer) in &heard {
            if let Err(Away { why, hint }) = answer {
                let hint = hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
                remark(&format!("{} {host}: {why}{hint}", shower.look.err.bad("unreachable")));
            }
        }
    }
    Ok(if shower.is_healthy(&rows) { Kind::Converged } else { Kind::Failed })
}

/// Every host is asked again and again, each at its own pace, so that one that is slow or away holds up no other.
async fn again_and_again(
    round: Round,
    shower: &Shower<'_>,
    (forks, every): (&Arc<Semaphore>, Duration),
) -> Result<Kind, Exit> {
    let Round { mut peers, connect, terms } = round;
    let terms = Terms { connect: WATCH_SILENCE, silence: WATCH_SILENCE, ..terms };
    let heard: Mutex<Heard> = Mutex::default();
    let (number, first_heard) = (peers.len(), Notify::new());
    let stop = terms.stop.clone();
    let asking = join_all(peers.iter_mut().map(|peer| {
        let (connect, terms, heard, first_heard) = (connect.as_ref(), &terms, &heard, &first_heard);
        async move {
            let Some(questions) = shower.questions.get(&peer.host) else { return };
            while !terms.stop.is_wished() {
                let answer = {
                    let _turn = forks.acquire().await;
                    ask(peer, questions, (connect, terms)).await
                };
                if !terms.stop.is_wished() {
                    let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                    heard.insert(peer.host.clone(), answer);
                    if heard.len() == number {
                        first_heard.notify_one();
                    }
                }
                tokio::select! {
                    () = tokio::time::sleep(every) => {}
                    () = terms.stop.wished() => {}
                }
            }
            peer.goodbye().await;
        }
    }));
    let showing = async {
        let mut face = Face::new(shower.look);
        // The first picture is worth a wait, but not for a host that is away.
        drop(tokio::time::timeout(Duration::from_secs(5), first_heard.notified()).await);
        while !stop.is_wished() {
            let now = heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
            face.show(&shower.rows(&now), shower)?;
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = stop.wished() => {}
            }
        }
        face.end();
        Ok::<_, Exit>(())
    };
    let (_, shown) = tokio::join!(asking, showing);
    shown.map(|()| Kind::Converged)
}

/// Makes pictures of what was heard.
struct Shower<'a> {
    cluster: &'a Cluster,
    questions: &'a BTreeMap<&'a HostName, Questions<'a>>,
    balancers: &'a Balancers,
    look: Look,
}

impl Shower<'_> {
    fn rows<'a>(&'a self, heard: &'a Heard) -> Vec<Row<'a>> {
        let mut rows = Vec::new();
        for node in self.cluster.nodes() {
            let host = HostName(node.host.clone());
            let Some(questions) = self.questions.get(&host).filter(|own| !own.steps.is_empty()) else {
                continue;
            };
            let (seen, drift) = match heard.get(&host) {
                None => (Err("connecting".to_owned()), None),
                Some(Err(_)) => (Err("unreachable".to_owned()), None),
                Some(Ok(outcomes)) => questions.of(&node.name, outcomes),
            };
            let serving = self.balancers.serving(&node.name, |host| {
                let outcomes = heard.get(host)?.as_ref().ok()?;
                outcomes.get(self.questions.get(host)?.steps.len())
            });
            rows.push(Row { node, seen, drift, serving });
        }
        rows
    }

    fn is_healthy(&self, rows: &[Row<'_>]) -> bool {
        !rows.is_empty() && rows.iter().all(Row::is_healthy)
    }

    fn json(&self, rows: &[Row<'_>]) -> String {
        let nodes: Vec<_> = rows.iter().map(|row| row.json(self.cluster)).collect();
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        json!({"event": "status", "at": now, "healthy": self.is_healthy(rows), "nodes": nodes}).to_string()
    }
}

impl Questions<'_> {
    /// What was seen of a node, and how many of its steps would change something.
    fn of<'a>(
        &self,
        node: &NodeName,
        outcomes: &'a [Outcome],
    ) -> (Result<&'a apim_protocol::observation::Observation, String>, Option<usize>) {
        let own = || {
            let all = self.steps.iter().zip(outcomes);
            all.filter(|(step, _)| step.node.as_ref().is_none_or(|name| name == node))
        };
        let is_look = |step: &Step| matches!(step.query(), Some(Query::Inspect(_)));
        let seen = match own().find(|(step, _)| is_look(step) && step.node.as_ref() == Some(node)) {
            Some((_, Outcome::Observed(seen))) => Ok(seen.as_ref()),
            Some((_, Outcome::Failed(failure))) => Err(failure.what.clone()),
            _ => Err("not looked at".to_owned()),
        };
        let has_wishes = self.steps.iter().any(|step| !is_look(step));
        let differs = |outcome: &Outcome| matches!(outcome, Outcome::WouldChange(_) | Outcome::Failed(_));
        let drift = (seen.is_ok() && has_wishes)
            .then(|| own().filter(|(step, outcome)| !is_look(step) && differs(outcome)).count());
        (seen, drift)
    }
}

/// How a picture is shown: drawn in place on a terminal, else only lines that say something new.
enum Face {
    Drawn(Live),
    Lines(BTreeMap<String, String>),
    Objects,
}

impl Face {
    fn new(look: Look) -> Self {
        match (look.json, Live::new()) {
            (true, _) => Self::Objects,
            (false, Some(live)) => Self::Drawn(live),
            (false, None) => Self::Lines(BTreeMap::new()),
        }
    }

    fn show(&mut self, rows: &[Row<'_>], shower: &Shower<'_>) -> Result<(), Exit> {
        let now = jiff::Zoned::now().strftime("%H:%M:%S").to_string();
        match self {
            Self::Drawn(live) => {
                let out = shower.look.out;
                let foot = out.faint(format!("{now}, again and again until Ctrl-C"));
                live.draw(format!("{}{foot}", table(rows, shower.cluster, out)));
            }
            Self::Lines(known) => {
                for row in rows {
                    let line = row.line();
                    if known.get(&row.node.name.0) != Some(&line) {
                        report::say(&format!("{now} {}", report::style::harmless(&line)))?;
                        known.insert(row.node.name.0.clone(), line);
                    }
                }
            }
            Self::Objects => report::say(&shower.json(rows))?,
        }
        Ok(())
    }

    fn end(self) {
        if let Self::Drawn(live) = self {
            live.end();
        }
    }
}
