//! `status`: state, health and drift of every node; once or continuously.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use apim_protocol::message::Job;
use apim_protocol::operation::Operation;
use apim_protocol::outcome::Outcome;
use apim_protocol::query::Query;
use futures_util::future::join_all;
use serde_json::json;
use tokio::sync::{Notify, Semaphore};

use crate::app::connect::{self, Rights};
use crate::app::exit::{Exit, Kind};
use crate::app::inputs::Inputs;
use crate::app::options::{Files, Plays, Reach, Shown};
use crate::app::query::lb_status::Balancers;
use crate::app::query::node_status::{NotObserved, Row, table};
use crate::app::query::{QuerySession, ReadyQuery};
use crate::app::read;
use crate::app::rollout;
use crate::app::verb::Verb;
use crate::report::live::Live;
use crate::report::{self, Look, remark};
use apim_product::Cluster;
use apim_product::NodeName;
use apim_rollout::plan::PlanOptions;
use apim_rollout::plan::model::{Plan, Step};
use apim_transport::host::HostName;
use apim_transport::query::{HostClient, HostQuery, HostUnavailable, QueryOptions};
use apim_transport::session::Connect;

/// With --watch, a host that is silent for this long is shown as unreachable.
const WATCH_SILENCE: Duration = Duration::from_secs(15);

/// Options of `status`.
#[derive(Debug, Clone)]
pub(crate) struct StatusRequest {
    pub(crate) files: Files,
    pub(crate) reach: Reach,
    pub(crate) shown: Shown,
    /// Refresh at this interval until Ctrl-C [default: 2s]
    pub(crate) watch: Option<Duration>,
    /// Check for drift: the changes that apply would make
    pub(crate) drift: bool,
}

/// The queries for one host: its steps with their operations in the same order, followed by the
/// query for the load balancer.
#[derive(Default)]
struct Questions<'a> {
    steps: Vec<&'a Step>,
    asked: Vec<HostQuery>,
}

/// The latest answer of each host; no entry before the first answer.
type Heard = BTreeMap<HostName, Result<Vec<Outcome>, HostUnavailable>>;

pub(crate) fn run(args: StatusRequest) -> Result<Kind, Exit> {
    let StatusRequest { files, reach, shown, watch, drift } = args;
    let (look, cache) = (shown.look(), reach.cache());
    let inputs = Inputs::issued(&files, &Plays::default(), &cache)?;
    let drafted = inputs.draft(PlanOptions { inspects: true, ..PlanOptions::default() })?;
    let Inputs { read, .. } = inputs;
    read::report(&read, &look)?;
    let at_hand = rollout::at_hand(&read.cluster, &drafted, &cache, &look)?;
    let plan = drafted.finish(&at_hand);
    let mut questions = questions(&plan, &read.cluster, drift);
    let balancers = Balancers::of(&read.cluster, |node| {
        let nodes = questions.values().flat_map(|own| own.steps.iter().filter_map(|step| step.node.as_ref()));
        nodes.into_iter().any(|shown| shown == node)
    });
    for host in balancers.hosts() {
        let look = balancers.question(host).map(|look| HostQuery::look("load balancer rotation", look));
        questions.entry(host).or_default().asked.extend(look);
    }
    let hosts: Vec<HostName> = questions.keys().map(|host| (*host).clone()).collect();
    let connector = connect::connector_with(&read.inventory, Rights::Usual, &reach)?;
    let ready = ReadyQuery::new(
        read,
        look,
        hosts,
        connector,
        format!("{} {}", Verb::Status, files.inventory.display()),
    );
    let cluster = &ready.read.cluster;
    let forks = Semaphore::new(usize::from(reach.forks));
    ready.ask(|session| async {
        let view = View { cluster, questions: &questions, balancers: &balancers, look };
        match watch {
            None => once(session, &view, &forks).await,
            Some(every) => refresh(session, &view, &forks, every.max(Duration::from_millis(200))).await,
        }
    })
}

/// Returns the queries for every host with a node.
fn questions<'a>(plan: &'a Plan, cluster: &Cluster, drift: bool) -> BTreeMap<&'a HostName, Questions<'a>> {
    let mut all: BTreeMap<&'a HostName, Questions<'a>> = BTreeMap::new();
    for lane in plan.lanes() {
        let own = all.entry(&lane.host).or_default();
        for step in &lane.steps {
            let job = match (step.query(), step.operation()) {
                (Some(query @ Query::Inspect(_)), _) => Job::Query(query.clone()),
                (None, Some(operation)) if drift && is_desired_state(operation) => {
                    Job::check(operation.clone())
                }
                _ => continue,
            };
            own.steps.push(step);
            own.asked.push(HostQuery::look(step.title.clone(), job));
        }
    }
    all.retain(|host, own| !own.steps.is_empty() && cluster.nodes_on(&host.0).next().is_some());
    all
}

fn is_desired_state(operation: &Operation) -> bool {
    !matches!(operation, Operation::Wait(_))
}

/// Queries one host.
async fn ask(
    peer: &mut HostClient,
    questions: &Questions<'_>,
    connect: &dyn Connect,
    terms: &QueryOptions,
) -> Result<Vec<Outcome>, HostUnavailable> {
    peer.ask(connect, terms, &questions.asked, &|_, _| {}).await
}

async fn once(session: QuerySession, view: &View<'_>, forks: &Semaphore) -> Result<Kind, Exit> {
    let QuerySession { mut peers, connect, terms } = session;
    let answers = join_all(peers.iter_mut().map(|peer| {
        let (connect, terms) = (connect.as_ref(), &terms);
        async move {
            // The semaphore is never closed.
            let _turn = forks.acquire().await;
            let answer = match view.questions.get(&peer.host) {
                Some(questions) => ask(peer, questions, connect, terms).await,
                None => Ok(Vec::new()),
            };
            peer.goodbye().await;
            (peer.host.clone(), answer)
        }
    }));
    let heard: Heard = answers.await.into_iter().collect();
    if terms.stop.is_requested() {
        return Ok(Kind::Interrupted);
    }
    let rows = view.rows(&heard);
    if view.look.json {
        report::say(&view.json(&rows))?;
    } else {
        report::say(&table(&rows, view.cluster, view.look.out))?;
        for (host, answer) in &heard {
            if let Err(away) = answer {
                let hint = away.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
                remark(&format!("{} {host}: {}{hint}", view.look.err.bad("unreachable"), away.why()));
            }
        }
    }
    Ok(if view.is_healthy(&rows) { Kind::Converged } else { Kind::Failed })
}

/// Queries every host in its own loop, so that a slow or unreachable host does not delay the
/// others.
async fn refresh(
    session: QuerySession,
    view: &View<'_>,
    forks: &Semaphore,
    every: Duration,
) -> Result<Kind, Exit> {
    let QuerySession { mut peers, connect, terms } = session;
    let terms = QueryOptions { connect: WATCH_SILENCE, silence: WATCH_SILENCE, ..terms };
    let heard: Mutex<Heard> = Mutex::default();
    let (number, first_heard) = (peers.len(), Notify::new());
    let stop = terms.stop.clone();
    let asking = join_all(peers.iter_mut().map(|peer| {
        let (connect, terms, heard, first_heard) = (connect.as_ref(), &terms, &heard, &first_heard);
        async move {
            let Some(questions) = view.questions.get(&peer.host) else { return };
            while !terms.stop.is_requested() {
                let answer = {
                    let _turn = forks.acquire().await;
                    ask(peer, questions, connect, terms).await
                };
                if !terms.stop.is_requested() {
                    let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                    heard.insert(peer.host.clone(), answer);
                    if heard.len() == number {
                        first_heard.notify_one();
                    }
                }
                tokio::select! {
                    () = tokio::time::sleep(every) => {}
                    () = terms.stop.requested() => {}
                }
            }
            peer.goodbye().await;
        }
    }));
    let showing = async {
        let mut face = Face::new(view.look);
        // Wait for the first answers, but not for unreachable hosts.
        drop(tokio::time::timeout(Duration::from_secs(5), first_heard.notified()).await);
        while !stop.is_requested() {
            let now = heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
            face.show(&view.rows(&now), view, every)?;
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = stop.requested() => {}
            }
        }
        face.end();
        Ok::<_, Exit>(())
    };
    let (_, shown) = tokio::join!(asking, showing);
    shown.map(|()| Kind::Converged)
}

/// Renders the latest answers.
struct View<'a> {
    cluster: &'a Cluster,
    questions: &'a BTreeMap<&'a HostName, Questions<'a>>,
    balancers: &'a Balancers,
    look: Look,
}

impl View<'_> {
    fn rows<'a>(&'a self, heard: &'a Heard) -> Vec<Row<'a>> {
        let mut rows = Vec::new();
        for node in self.cluster.nodes() {
            let host = HostName(node.host.clone());
            let Some(questions) = self.questions.get(&host).filter(|own| !own.steps.is_empty()) else {
                continue;
            };
            let (seen, drift) = match heard.get(&host) {
                None => (Err(NotObserved::Connecting), None),
                Some(Err(_)) => (Err(NotObserved::Unreachable), None),
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
    /// Returns the observation of a node and the number of its pending changes.
    fn of<'a>(
        &self,
        node: &NodeName,
        outcomes: &'a [Outcome],
    ) -> (Result<&'a apim_protocol::observation::Observation, NotObserved>, Option<usize>) {
        let own = || {
            let all = self.steps.iter().zip(outcomes);
            all.filter(|(step, _)| step.node.as_ref().is_none_or(|name| name == node))
        };
        let is_look = |step: &Step| matches!(step.query(), Some(Query::Inspect(_)));
        let seen = match own().find(|(step, _)| is_look(step) && step.node.as_ref() == Some(node)) {
            Some((_, Outcome::Observed(seen))) => Ok(seen.as_ref()),
            Some((_, Outcome::Failed(failure))) => Err(NotObserved::Failed(failure.what.clone())),
            _ => Err(NotObserved::NotChecked),
        };
        let checks_drift = self.steps.iter().any(|step| !is_look(step));
        let differs = |outcome: &Outcome| matches!(outcome, Outcome::WouldChange(_) | Outcome::Failed(_));
        let drift = (seen.is_ok() && checks_drift)
            .then(|| own().filter(|(step, outcome)| !is_look(step) && differs(outcome)).count());
        (seen, drift)
    }
}

/// How updates are shown: redrawn in place on a terminal, otherwise one line per changed node.
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

    fn show(&mut self, rows: &[Row<'_>], view: &View<'_>, every: Duration) -> Result<(), Exit> {
        let now = jiff::Zoned::now().strftime("%H:%M:%S").to_string();
        match self {
            Self::Drawn(live) => {
                let out = view.look.out;
                let every = every.as_secs_f64();
                let foot = out.faint(format!("{now}, refreshing every {every} s, Ctrl-C quits"));
                live.draw(format!("{}{foot}", table(rows, view.cluster, out)));
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
            Self::Objects => report::say(&view.json(rows))?,
        }
        Ok(())
    }

    fn end(self) {
        if let Self::Drawn(live) = self {
            live.end();
        }
    }
}
