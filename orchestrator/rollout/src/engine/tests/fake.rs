//! Simulated hosts: scripted agents over in-memory pipes, in a world whose nodes are up or down.
//!
//! Latency is a number of scheduler turns, not time, so thousands of schedules take seconds.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};

use apim_protocol::facts::Facts;
use apim_protocol::frame::MAGIC;
use apim_protocol::message::{Hello, Refused, Reply, Request, Run, StepId};
use apim_protocol::operation::Operation;
use apim_protocol::operation::archive::part::Part;
use apim_protocol::operation::wait::Condition;
use apim_protocol::outcome::{Change, Difference, Failure, Outcome, ReleaseChange};
use apim_protocol::value::{Content, UnitName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, WriteHalf};
use tokio::sync::mpsc;
use tokio::task::yield_now;

use apim_transport::host::HostName;
use apim_transport::session::{Connect, Link};

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    /// It is up to date.
    Nothing,
    /// It changes something, the first time.
    Change,
    /// It fails, in apply mode.
    Fail,
    /// It fails this many times, in apply mode.
    FailTimes(u32),
    /// It needs this content, the first time.
    Fetch(Content),
    /// It needs these parts of the content, the first time.
    FetchParts(Content, Vec<Part>),
    /// It restarts a node, which is down then. Requests a permit if the node is up.
    Restart(String),
    /// It changes the release of a node, with a restart.
    Move(String),
    /// It rolls a node back.
    Return(String),
    /// A health check that passes: the node is healthy from then on.
    Prove(String),
    /// A health check that never passes.
    ProveInVain(String),
    /// It reports whether the node is marked as drained by hooks.
    Returned(String),
    /// It waits until the run is interrupted.
    Wait,
    /// The link drops during the step, the first time; the agent finishes the step.
    Drop,
}

/// State of the simulated world.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) acts: BTreeMap<StepId, Act>,
    pub(super) turns: BTreeMap<StepId, usize>,
    /// Pool of each node.
    pub(super) pools: BTreeMap<String, String>,
    pub(super) limits: BTreeMap<String, usize>,
    pub(super) down: BTreeSet<String>,
    /// Nodes that were taken down with a permit, and have not recovered.
    pub(super) taken: BTreeSet<String>,
    /// Pools with a node that was taken down and has recovered.
    pub(super) tried: BTreeSet<String>,
    /// Nodes that get requests, by load balancer.
    pub(super) rotation: BTreeSet<(HostName, String)>,
    /// How many times the connections of a node are counted before there are none.
    pub(super) busy: BTreeMap<String, usize>,
    /// Steps whose process crashes immediately: they fail, and their node is down.
    pub(super) stillborn: BTreeSet<StepId>,
    /// How many checks find a healthy node unhealthy.
    pub(super) hiccups: BTreeMap<String, usize>,
    /// Load balancers that refuse every change.
    pub(super) stubborn: BTreeSet<HostName>,
    /// Load balancers that never answer a change.
    pub(super) hanging: BTreeSet<HostName>,
    /// Nodes with hooks for an external load balancer.
    pub(super) hooked: BTreeSet<String>,
    /// Nodes that hooks drained.
    pub(super) left_out: BTreeSet<String>,
    /// Nodes with a drain marker on their host.
    pub(super) marked: BTreeSet<String>,
    /// How many times hooks (`drain g1`) fail.
    pub(super) broken: BTreeMap<String, usize>,
    /// Hooks that hang until they time out.
    pub(super) stuck: BTreeSet<String>,
    /// Node that dies when another node recovers, by the latter.
    pub(super) deaths: BTreeMap<String, String>,
    /// Nodes that died this way.
    pub(super) died: BTreeSet<String>,
    pub(super) converged: BTreeSet<StepId>,
    /// Hosts that cannot be reached.
    pub(super) dead: BTreeSet<HostName>,
    /// How many times a host is reported as locked by another run.
    pub(super) held: BTreeMap<HostName, usize>,
    /// What happened, in order.
    pub(super) log: Vec<String>,
    pub(super) violations: Vec<String>,
    /// Number of lanes in progress, and its maximum.
    pub(super) at_work: usize,
    pub(super) most_at_work: usize,
}

/// Connects to simulated hosts.
#[derive(Clone, Default)]
pub(super) struct Hosts(pub(super) Arc<Mutex<World>>);

impl Hosts {
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }
}

impl Connect for Hosts {
    fn connect<'a>(
        &'a self,
        host: &'a HostName,
    ) -> Pin<Box<dyn Future<Output = Result<Link, Failure>> + Send + 'a>> {
        Box::pin(async move {
            if self.world().dead.contains(host) {
                return Err(Failure::new(format!("no route to {host}")).hint("switch it on"));
            }
            let (here, there) = tokio::io::duplex(16 * 1024);
            tokio::spawn(Agent::serve(self.clone(), host.clone(), there));
            let (reader, writer) = tokio::io::split(here);
            Ok(Link::over(host.0.clone(), reader, writer))
        })
    }
}

struct Agent {
    hosts: Hosts,
    host: HostName,
    out: WriteHalf<DuplexStream>,
    requests: mpsc::UnboundedReceiver<Heard>,
    queue: VecDeque<Run>,
    cancelled: bool,
    failed: bool,
    goodbye: bool,
    leave: Option<Option<String>>,
    received: u64,
    refused_content: bool,
}

enum Heard {
    Request(Box<Request>),
    Chunk(u64),
}

/// The link is gone.
struct Gone;

impl Agent {
    async fn serve(hosts: Hosts, host: HostName, stream: DuplexStream) {
        let (mut reader, out) = tokio::io::split(stream);
        let (heard, requests) = mpsc::unbounded_channel();
        let reading = tokio::spawn(async move {
            while let Ok(kind) = reader.read_u8().await {
                let Ok(length) = reader.read_u32().await else { return };
                let mut payload = vec![0; length as usize];
                if reader.read_exact(&mut payload).await.is_err() {
                    return;
                }
                let one = match kind {
                    0 => Heard::Request(Box::new(serde_json::from_slice(&payload).unwrap())),
                    _ => Heard::Chunk(payload.len() as u64 - 40),
                };
                if heard.send(one).is_err() {
                    return;
                }
            }
        });
        let mut agent = Self {
            hosts,
            host,
            out,
            requests,
            queue: VecDeque::new(),
            cancelled: false,
            failed: false,
            goodbye: false,
            leave: None,
            received: 0,
            refused_content: false,
        };
        // A lost link ends a simulated agent like a real one.
        drop(agent.talk().await);
        reading.abort();
    }

    async fn talk(&mut self) -> Result<(), Gone> {
        self.out.write_all(&MAGIC).await.map_err(|_| Gone)?;
        let Some(Heard::Request(request)) = self.requests.recv().await else { return Err(Gone) };
        assert!(matches!(*request, Request::Open(_)), "the session begins with Open");
        let held = {
            let mut world = self.hosts.world();
            let held = world.held.entry(self.host.clone()).or_default();
            let is_held = *held > 0;
            *held = held.saturating_sub(1);
            is_held
        };
        if held {
            return self.say(Reply::Refused(Refused { why: "held by ops@elsewhere".into() })).await;
        }
        self.say(Reply::Hello(Box::new(Hello {
            build: "b".into(),
            facts: Facts::default(),
            done: Vec::new(),
        })))
        .await?;
        loop {
            if let Some(run) = self.queue.pop_front() {
                self.step(run).await?;
            } else if self.goodbye {
                return self.say(Reply::Bye).await;
            } else {
                self.hear().await?;
            }
        }
    }

    async fn say(&mut self, reply: Reply) -> Result<(), Gone> {
        let payload = serde_json::to_vec(&reply).unwrap();
        let mut frame = vec![0];
        frame.extend_from_slice(&(payload.len() as u32).to_be_bytes());
        frame.extend_from_slice(&payload);
        self.out.write_all(&frame).await.map_err(|_| Gone)
    }

    async fn hear(&mut self) -> Result<(), Gone> {
        match self.requests.recv().await.ok_or(Gone)? {
            Heard::Chunk(bytes) => self.received += bytes,
            Heard::Request(request) => match *request {
                Request::Run(run) => self.queue.push_back(*run),
                Request::NoContent { .. } => self.refused_content = true,
                Request::PermitDecision { refused, .. } => self.leave = Some(refused),
                Request::Cancel => self.cancelled = true,
                Request::Resume => self.failed = false,
                Request::Goodbye => self.goodbye = true,
                Request::Alive { .. } => {}
                Request::Open(_) => panic!("a second Open"),
                Request::Outline { .. } => panic!("an outline that was not requested"),
            },
        }
        Ok(())
    }

    async fn step(&mut self, run: Run) -> Result<(), Gone> {
        while !self.requests.is_empty() {
            self.hear().await?;
        }
        let step = run.step;
        if self.hosts.world().dead.contains(&self.host) {
            return Err(Gone);
        }
        if step == StepId(u32::MAX) {
            let outcome = self.aside(&run).await;
            return self.say(Reply::Finished { step, outcome, millis: 1 }).await;
        }
        let outcome = if self.failed || self.cancelled {
            Outcome::Skipped("an earlier step failed, or the run was interrupted".into())
        } else if !run.job.may_change() {
            self.check(step)
        } else {
            self.say(Reply::Started { step }).await?;
            self.hosts.world().log.push(format!("{}: {}", self.host, run.title));
            let turns = self.hosts.world().turns.get(&step).copied().unwrap_or(0);
            {
                let mut world = self.hosts.world();
                world.at_work += 1;
                world.most_at_work = world.most_at_work.max(world.at_work);
            }
            for _ in 0..turns {
                yield_now().await;
            }
            let outcome = self.apply(step).await;
            self.hosts.world().at_work -= 1;
            outcome?
        };
        self.failed |= outcome.is_failure() && !run.ignore_failure;
        self.say(Reply::Finished { step, outcome, millis: 1 }).await
    }

    /// Handles operations outside the plan: load balancer changes and checks of nodes. The path
    /// selects the action.
    async fn aside(&self, run: &Run) -> Outcome {
        let path = match run.job.operation().unwrap() {
            Operation::File(file) => file.path.to_string(),
            Operation::Absent(absent) => absent.path.to_string(),
            Operation::Wait(wait) => match wait.conditions.first() {
                Some(Condition::Exists(path)) => path.to_string(),
                _ => panic!("{wait:?}"),
            },
            other => panic!("{other:?}"),
        };
        let (what, node) = path.trim_start_matches('/').split_once('/').unwrap();
        let at = (self.host.clone(), node.to_owned());
        if matches!(what, "out" | "in") && self.hosts.world().hanging.contains(&self.host) {
            std::future::pending::<()>().await;
        }
        let mut world = self.hosts.world();
        let is_met = match what {
            "out" if !run.job.may_change() => !world.rotation.contains(&at),
            "out" | "in" if world.stubborn.contains(&self.host) => {
                return Outcome::Failed(Failure::new("the test of its files failed"));
            }
            "out" => {
                world.log.push(format!("{}: {node} out", self.host));
                world.rotation.remove(&at);
                true
            }
            "in" => {
                world.log.push(format!("{}: {node} in", self.host));
                if world.down.contains(node) && !world.died.contains(node) {
                    world.violations.push(format!("{node} was undrained while it was down"));
                }
                world.rotation.insert(at);
                true
            }
            "quiet" => {
                let left = world.busy.entry(node.to_owned()).or_default();
                *left = left.saturating_sub(1);
                *left == 0
            }
            "healthy" => {
                let hiccups = world.hiccups.entry(node.to_owned()).or_default();
                let is_away = *hiccups > 0;
                *hiccups = hiccups.saturating_sub(1);
                !is_away && !world.down.contains(node)
            }
            "marked" if !run.job.may_change() => !world.marked.contains(node),
            "marked" if matches!(run.job.operation(), Some(Operation::File(_))) => {
                world.log.push(format!("{}: {node} marked", self.host));
                world.marked.insert(node.to_owned());
                true
            }
            "marked" => {
                world.log.push(format!("{}: {node} unmarked", self.host));
                world.marked.remove(node);
                true
            }
            _ => true,
        };
        if is_met { Outcome::Ok } else { Outcome::WouldChange(Difference::one("3 connections")) }
    }

    fn check(&self, step: StepId) -> Outcome {
        let world = self.hosts.world();
        let differs = match world.acts.get(&step).cloned().unwrap_or(Act::Nothing) {
            Act::Nothing => false,
            Act::Prove(node) | Act::ProveInVain(node) => world.down.contains(&node),
            Act::Returned(node) => world.marked.contains(&node),
            Act::Change
            | Act::Fail
            | Act::FailTimes(_)
            | Act::Fetch(_)
            | Act::FetchParts(..)
            | Act::Restart(_)
            | Act::Move(_)
            | Act::Return(_)
            | Act::Wait
            | Act::Drop => !world.converged.contains(&step),
        };
        if differs { Outcome::WouldChange(Difference::one("it differs")) } else { Outcome::Ok }
    }

    async fn apply(&mut self, step: StepId) -> Result<Outcome, Gone> {
        if matches!(self.check(step), Outcome::Ok) {
            return Ok(Outcome::Ok);
        }
        let act = self.hosts.world().acts.get(&step).cloned().unwrap_or(Act::Nothing);
        let done = match act {
            Act::Nothing | Act::Change | Act::Returned(_) => true,
            Act::Fail => return Ok(Outcome::Failed(Failure::new("broken").hint("repair it"))),
            Act::FailTimes(0) => true,
            Act::FailTimes(times) => {
                self.hosts.world().acts.insert(step, Act::FailTimes(times - 1));
                return Ok(Outcome::Failed(Failure::new("not yet")));
            }
            Act::ProveInVain(_) => return Ok(Outcome::Failed(Failure::new("not healthy in time"))),
            Act::Fetch(content) => {
                let Content { sha256, size } = content;
                self.say(Reply::Need { step, sha256, size, offset: 0 }).await?;
                while self.received < size && !self.refused_content {
                    self.hear().await?;
                }
                !std::mem::take(&mut self.refused_content)
            }
            Act::FetchParts(Content { sha256, size }, parts) => {
                let wanted = parts.iter().fold(0, |sum: u64, part| sum.saturating_add(part.length));
                self.say(Reply::NeedParts { step, sha256, size, parts, offset: 0 }).await?;
                while self.received < wanted.max(1) && !self.refused_content {
                    self.hear().await?;
                }
                !std::mem::take(&mut self.refused_content)
            }
            Act::Restart(node) | Act::Move(node) | Act::Return(node) => {
                let needs_permit = !self.hosts.world().down.contains(&node);
                if needs_permit {
                    let unit = UnitName::parse("gateway").unwrap();
                    self.say(Reply::PermitRequest { step, unit, reason: "changed".into() }).await?;
                    while self.leave.is_none() {
                        self.hear().await?;
                    }
                    if let Some(Some(why)) = self.leave.take() {
                        return Ok(Outcome::Failed(Failure::new(format!("permit refused: {why}"))));
                    }
                }
                self.hosts.world().take_down(&node, needs_permit);
                if self.hosts.world().stillborn.contains(&step) {
                    return Ok(Outcome::Failed(Failure::new("the process ended right after its start")));
                }
                true
            }
            Act::Prove(node) => {
                self.hosts.world().recover(&node);
                return Ok(Outcome::Ok);
            }
            Act::Wait => {
                while !self.cancelled {
                    self.hear().await?;
                }
                true
            }
            Act::Drop => {
                self.hosts.world().converged.insert(step);
                return Err(Gone);
            }
        };
        if !done {
            return Ok(Outcome::Failed(Failure::new("no content")));
        }
        self.hosts.world().converged.insert(step);
        let is_move = matches!(self.hosts.world().acts.get(&step), Some(Act::Move(_)));
        let release = ReleaseChange { from: "1".into(), to: "2".into() };
        let change = if is_move { release.into() } else { Change::from("it was changed") };
        Ok(Outcome::Changed(Difference::one(change)))
    }
}

impl World {
    /// Takes a node down; with a permit, unless it was down before the request. A node with a permit
    /// may have died since.
    fn take_down(&mut self, node: &str, has_permit: bool) {
        let pool = self.pools.get(node).cloned().unwrap_or_default();
        let others = self.down.iter().filter(|other| self.pools.get(*other) == Some(&pool)).count();
        let limit = self.limits.get(&pool).copied().unwrap_or(1);
        if !self.down.contains(node) {
            if others >= limit {
                self.violations.push(format!("{node} was taken down while {:?} were down", self.down));
            }
            let size = self.pools.values().filter(|other| **other == pool).count();
            if size > 1 && others + 1 == size {
                self.violations.push(format!("{node} was the last one of {pool}"));
            }
            let follows = self.taken.iter().any(|other| self.pools.get(other) == Some(&pool));
            if follows && !self.tried.contains(&pool) {
                self.violations.push(format!("{node} did not wait for the canary of {pool}"));
            }
            let is_in_rotation = self.hooked.contains(node) && !self.left_out.contains(node);
            if is_in_rotation || self.rotation.iter().any(|(_, known)| known == node) {
                self.violations.push(format!("{node} was taken down while in rotation"));
            }
        }
        if has_permit {
            self.taken.insert(node.to_owned());
        }
        self.down.insert(node.to_owned());
    }

    fn recover(&mut self, node: &str) {
        self.down.remove(node);
        if let Some(victim) = self.deaths.remove(node)
            && self.down.insert(victim.clone())
        {
            self.log.push(format!("{victim} died"));
            self.died.insert(victim);
        }
        if self.taken.remove(node) {
            self.tried.extend(self.pools.get(node).cloned());
        }
    }
}
