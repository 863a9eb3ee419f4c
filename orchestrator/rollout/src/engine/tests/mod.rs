//! Tests of the engine with simulated hosts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use apim_protocol::message::StepId;
use apim_protocol::operation::absent::Absent;
use apim_protocol::operation::revert::{Proved, Revert};
use apim_protocol::operation::unit::{ProcessMatch, State, Unit};
use apim_protocol::operation::wait::Condition;
use apim_protocol::operation::{Mode, Operation};
use apim_protocol::value::{AbsPath, UnitName};
use tokio::sync::{mpsc, watch};

use super::event::Event;
use super::{Caller, Interrupt, RunResult, Settings, UnsupportedTasks};
use crate::plan::model::{Balancer, Lane, OnFailure, Peer, Plan, Rotation, Stage, Step};
use apim_product::NodeName;
use apim_product::StepOptions;
use apim_product::availability::Allowance;
use apim_product::hook::{Call, Hook, Hooks, Program, Shift, ShiftSpec};
use apim_product::work::Work;
use apim_transport::host::HostName;
use fake::{Act, Hosts};

mod availability;
mod behaviour;
mod deaths;
mod fake;
mod hooks;
mod peers;
mod real;
mod renewed;
mod rescue;
mod resumed;
mod rotation;
mod schedules;
mod told;

/// A plan under construction, with its hosts.
struct Scene {
    plan: Plan,
    hosts: Hosts,
    settings: Settings,
    next: u32,
}

impl Scene {
    fn new() -> Self {
        let mut settings = Settings::new(Mode::Apply, "apply");
        settings.timeouts.lock = Duration::ZERO;
        settings.timeouts.reconnect = Duration::from_millis(600);
        Self { plan: Plan::default(), hosts: Hosts::default(), settings, next: 1 }
    }

    fn stage(&mut self, on_failure: OnFailure) -> &mut Stage {
        let title = format!("stage {}", self.plan.stages.len() + 1);
        self.plan.stages.push(Stage { title, lanes: Vec::new(), width: None, on_failure });
        self.plan.stages.last_mut().unwrap()
    }

    /// Returns a step, which is in no lane yet.
    fn new_step(&mut self, act: Act) -> Step {
        let id = StepId(self.next);
        self.next += 1;
        let (node, proves_health) = match &act {
            Act::Restart(node) | Act::Move(node) | Act::Return(node) => (Some(node), false),
            Act::Prove(node) | Act::ProveInVain(node) => (Some(node), true),
            Act::Returned(node) => (Some(node), false),
            _ => (None, false),
        };
        let work = match &act {
            Act::Move(_) => moved(),
            Act::Return(_) => returned(Proved::Settled),
            _ => nothing(),
        };
        let pool = node.and_then(|node| self.hosts.world().pools.get(node).cloned());
        let step = Step {
            id,
            title: format!("step {}", id.0),
            work: work.into(),
            node: node.cloned().map(NodeName),
            budget: pool,
            proves_health,
            options: StepOptions::default(),
            rescue: Vec::new(),
        };
        self.hosts.world().acts.insert(id, act);
        step
    }

    /// Adds a step to the last stage, in the lane of `host`.
    fn step(&mut self, host: &str, act: Act) -> &mut Step {
        let step = self.new_step(act);
        let stage = self.plan.stages.last_mut().unwrap();
        let host = HostName(host.to_owned());
        let at = stage.lanes.iter().position(|lane| lane.host == host);
        let at = at.unwrap_or_else(|| {
            stage.lanes.push(Lane { host, steps: Vec::new() });
            stage.lanes.len() - 1
        });
        let lane = &mut stage.lanes[at];
        lane.steps.push(step);
        lane.steps.last_mut().unwrap()
    }

    fn pool(&mut self, pool: &str, limit: usize, nodes: &[&str]) {
        self.allow(pool, Allowance::Nodes(limit), nodes);
    }

    /// Adds a pool of these nodes, with the number that may be down.
    fn allow(&mut self, pool: &str, allowance: Allowance, nodes: &[&str]) {
        let limits = &mut self.settings.limits;
        limits.pools.insert(pool.to_owned(), allowance);
        limits.sizes.insert(pool.to_owned(), nodes.len());
        let mut world = self.hosts.world();
        world.limits.insert(pool.to_owned(), limits.of(pool));
        for node in nodes {
            world.pools.insert((*node).to_owned(), pool.to_owned());
        }
    }

    /// Adds peers, each with its host, that the run may check before it takes down a node of the
    /// pool.
    fn peers(&mut self, pool: &str, nodes: &[(&str, &str)]) {
        for (name, node) in nodes {
            let rotation = self.plan.rotations.get(&NodeName((*node).to_owned()));
            let balancers = rotation.map(|rotation| rotation.balancers.clone()).unwrap_or_default();
            let path = AbsPath::parse(&format!("/healthy/{node}")).unwrap();
            self.plan.peers.push(Peer {
                node: NodeName((*node).to_owned()),
                host: host(name),
                pool: pool.to_owned(),
                healthy: Operation::Absent(Absent { path, recursive: false }),
                is_worked_on: true,
                balancers,
                returned: None,
            });
        }
    }

    /// Adds load balancers that know `node`, which is on `host`.
    fn rotation(&mut self, host: &str, node: &str, balancers: &[&str]) {
        let path = |what: &str| AbsPath::parse(&format!("/{what}/{node}")).unwrap();
        let change = |what: &str| Operation::Absent(Absent { path: path(what), recursive: false });
        let balancers = balancers.iter().map(|lb| Balancer {
            host: HostName((*lb).to_owned()),
            known_by: path("known"),
            drain: change("out"),
            undrain: change("in"),
        });
        let rotation = Rotation {
            host: HostName(host.to_owned()),
            balancers: balancers.collect(),
            hooks: None,
            quiet: Condition::Exists(path("quiet")),
            limit_secs: 30,
        };
        let known = rotation.balancers.iter().map(|lb| (lb.host.clone(), node.to_owned()));
        self.hosts.world().rotation.extend(known);
        self.plan.rotations.insert(NodeName(node.to_owned()), rotation);
    }

    /// Adds hooks for an external load balancer of `node`, which is on `host`.
    fn hooks(&mut self, host: &str, node: &str) -> Arc<Hooks> {
        let hook = |what: &str| Hook {
            words: format!("{what} {node}"),
            call: Call::Command(Program {
                argv: vec![what.to_owned(), node.to_owned()],
                on: None,
                facts: BTreeMap::new(),
                environment: BTreeMap::new(),
                stdin: None,
            }),
            contains: None,
            timeout_secs: 10,
            retries: 2,
        };
        let hooks = Arc::new(Hooks {
            node: NodeName(node.to_owned()),
            host: host.to_owned(),
            marker: AbsPath::parse(&format!("/marked/{node}")).unwrap(),
            drain: vec![hook("drain")],
            drained: Vec::new(),
            undrain: vec![hook("undrain")],
        });
        self.rotation(host, node, &[]);
        if let Some(rotation) = self.plan.rotations.get_mut(&NodeName(node.to_owned())) {
            rotation.hooks = Some(Arc::clone(&hooks));
        }
        self.hosts.world().hooked.insert(node.to_owned());
        self.settings.hooks = Some(Caller(Arc::new(self.hosts.clone())));
        hooks
    }

    /// Adds the step that undrains `node` if hooks of an earlier run drained it.
    fn returned(&mut self, host: &str, node: &str) {
        let hooks = self.plan.rotations[&NodeName(node.to_owned())].hooks.clone().unwrap();
        let step = self.step(host, Act::Returned(node.into()));
        step.budget = None;
        step.work = Work::Shift(Shift { hooks, spec: ShiftSpec::UndrainIfDrained });
    }

    async fn run(&self) -> (RunResult, Vec<Event>) {
        let (_sender, interrupt) = watch::channel(Interrupt::None);
        self.run_until(interrupt, |_| {}).await
    }

    /// Runs the plan and passes every event to `seen`.
    async fn run_until(
        &self,
        interrupt: watch::Receiver<Interrupt>,
        mut seen: impl FnMut(&Event),
    ) -> (RunResult, Vec<Event>) {
        let (events, mut happened) = mpsc::unbounded_channel();
        let plan = Arc::new(self.plan.clone());
        let run = super::run(
            plan,
            Arc::new(self.hosts.clone()),
            Arc::new(UnsupportedTasks),
            self.settings.clone(),
            events,
            interrupt,
        );
        let run = tokio::spawn(tokio::time::timeout(Duration::from_secs(3000), run));
        let mut all = Vec::new();
        while let Some(event) = happened.recv().await {
            seen(&event);
            all.push(event);
        }
        (run.await.unwrap().expect("the run hangs"), all)
    }

    fn log(&self) -> Vec<String> {
        self.hosts.world().log.clone()
    }
}

fn nothing() -> Operation {
    Operation::Absent(Absent { path: AbsPath::parse("/nothing").unwrap(), recursive: false })
}

fn unit() -> UnitName {
    UnitName::parse("gateway").unwrap()
}

fn moved() -> Operation {
    Operation::Unit(Box::new(Unit {
        name: unit(),
        file: None,
        enabled: None,
        state: State::Started,
        inputs: Default::default(),
        watch: Vec::new(),
        log: None,
        ready: None,
        process: ProcessMatch::default(),
        stop_timeout_secs: 1,
        ask: true,
        script: None,
        release: None,
    }))
}

/// A rollback of a node that was up.
fn returned(unless: Proved) -> Operation {
    let path = |path: &str| AbsPath::parse(path).unwrap();
    Operation::Revert(Box::new(Revert {
        unit: unit(),
        releases: path("/releases"),
        link: path("/current"),
        to: None,
        unless: Some(unless),
        process: ProcessMatch::default(),
        stop_timeout_secs: 1,
        ask: true,
    }))
}

fn host(name: &str) -> HostName {
    HostName(name.to_owned())
}
