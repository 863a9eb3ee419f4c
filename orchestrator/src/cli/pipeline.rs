//! Shared by every verb that runs a plan: read, draft, fetch, connect, run, conclude.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use apim_agent::operation::Mode;
use apim_agent::value::Sha256;
use tokio::sync::{mpsc, watch};

use super::bound::{self, Bind, Binding};
use super::connect;
use super::exit::{Exit, Kind};
use super::guard;
use super::installed;
use super::issuing::Issue;
use super::options::{Files, Output, Plays, Reach, Shown};
use super::outage;
use super::preflight;
use super::probe::{self, Probe};
use super::read;
use super::record::Recording;
use crate::report::{self, Look};
use apim_documents::playbook::Playbook;
use apim_product::load_balancer::RotationState;
use apim_product::settings::source::Fetch;
use apim_product::yaml::Mistakes;
use apim_product::{Artifact, Cluster, Role};
use apim_rollout::artifact::Cache;
use apim_rollout::database::Databases;
use apim_rollout::engine::{self, Caller, Interrupt, Outliner, RunResult, Settings, Timeouts};
use apim_rollout::hooks::FromHere;
use apim_rollout::plan::Drafted;
use apim_rollout::plan::model::Plan;
use apim_rollout::probing::{Probing, Sum};
use apim_transport::host::HostName;
use apim_transport::session::Connect;

/// Timeout for the reporter to print its last lines.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Options of a run, set by the verb.
pub(super) struct Wanted {
    pub(super) verb: &'static str,
    pub(super) mode: Mode,
    pub(super) files: Files,
    pub(super) plays: Plays,
    pub(super) reach: Reach,
    pub(super) shown: Shown,
    /// Whether to show the diffs of text files.
    pub(super) diff: bool,
    /// Whether to inspect every node at the end.
    pub(super) inspects: bool,
    /// Whether the preflight gate runs before anything is changed.
    pub(super) judges: bool,
    /// Node selection and pace.
    pub(super) rolling: Rolling,
    /// Whether the run saves a plan or applies a saved one.
    pub(super) bind: Bind,
    /// Availability probes.
    pub(super) probe: Probe,
}

/// Node selection, pace and release overrides.
#[derive(Debug, Clone, Default)]
pub(super) struct Rolling {
    /// Limit to nodes of these roles; empty selects all.
    pub(super) roles: Vec<Role>,
    /// Pace of the disruption.
    pub(super) pace: Pace,
    /// Only drain or undrain the nodes on the hosts that match this pattern.
    pub(super) shift: Option<(String, RotationState)>,
    /// Release to roll back to; `None` is the previous one.
    pub(super) back_to: Option<String>,
    /// Target version that overrides the inventory; already applied when the files were read.
    pub(super) forward_to: Option<String>,
}

/// How many nodes are taken down at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Pace {
    /// Within the disruption budget, with the first node of a role as a canary.
    #[default]
    Rolling,
    /// All nodes of a role at once.
    AllAtOnce,
    /// Nodes are stopped and not started again in this run.
    ForGood,
}

impl Wanted {
    /// Returns the options of a read-only run with `playbook`, or the default one.
    pub(super) fn look(
        verb: &'static str,
        playbook: Option<&str>,
        (files, reach, shown): (Files, Reach, Shown),
    ) -> Self {
        let plays = Plays { playbook: playbook.map(str::to_owned), tags: Vec::new(), skip_tags: Vec::new() };
        let mode = Mode::Check;
        Self {
            verb,
            mode,
            files,
            plays,
            reach,
            shown,
            diff: false,
            inspects: false,
            judges: false,
            rolling: Rolling::default(),
            bind: Bind::No,
            probe: Probe::default(),
        }
    }
}

/// A finished run.
pub(super) struct Ended {
    pub(super) plan: Arc<Plan>,
    pub(super) cluster: Cluster,
    pub(super) result: RunResult,
    pub(super) look: Look,
    /// Sizes in bytes of the artifacts that are available locally.
    pub(super) sizes: BTreeMap<Sha256, u64>,
    /// Local files with secrets that others can read.
    pub(super) open: Vec<guard::Open>,
    /// Input of the plan to save.
    pub(super) binding: Option<Binding>,
    /// Results of the availability probes.
    pub(super) probed: Vec<Sum>,
}

impl Ended {
    /// Returns the exit kind; a failed probe request makes it a failure.
    pub(super) fn kind(&self) -> Kind {
        match kind(&self.result) {
            Kind::Converged if !self.probed.iter().all(Sum::is_good) => Kind::Failed,
            kind => kind,
        }
    }

    /// Prints the recap and returns the exit kind.
    pub(super) fn conclude(&self) -> Result<Kind, Exit> {
        report::conclude(&self.plan, &self.result, &self.probed, &self.look)?;
        Ok(self.kind())
    }
}

/// Returns the artifact cache.
pub(super) fn cache(reach: &Reach) -> Cache {
    reach.cache_dir.clone().map_or_else(Cache::of_user, Cache::new)
}

/// The files and the drafted plan of a run.
pub(super) struct Material {
    pub(super) read: read::Read,
    pub(super) playbook: Playbook,
    pub(super) drafted: Drafted,
    /// The cluster that disruption budgets refer to, if it differs from the cluster of the plan.
    pub(super) counted: Option<Cluster>,
}

/// Runs a plan.
pub(super) fn run(wanted: &Wanted) -> Result<Ended, Exit> {
    run_with(wanted, |cache, issue| {
        let (read, playbook, drafted) = read::all_with(&wanted.files, &wanted.plays, cache, issue)?;
        Ok(Material { read, playbook, drafted, counted: None })
    })
}

/// Runs a plan that is drafted by `read`.
pub(super) fn run_with(
    wanted: &Wanted,
    read: impl FnOnce(&Cache, Issue) -> Result<Material, Exit>,
) -> Result<Ended, Exit> {
    let Wanted { verb, mode, files, plays: _, reach, shown, diff, inspects, judges, rolling, bind, probe } =
        wanted;
    let judges = *judges;
    let look = Look::detect(shown.output == Output::Json, shown.verbose, *diff);
    let cache = cache(reach);
    // A saved plan contains the digests of all files to send, so they must be available.
    let prepares = *mode == Mode::Apply || !matches!(bind, Bind::No);
    let issue = if prepares { Issue::Now } else { Issue::Tell };
    let Material { read, playbook, mut drafted, counted } = read(&cache, issue)?;
    read::tell(&read, &look)?;
    if matches!(*verb, "preflight" | "apply" | "plan" | "restart") && !reach.no_drain {
        read::tell_hooks(&read.cluster, &look)?;
    }
    if matches!(*verb, "apply" | "plan" | "status") {
        installed::tell(&files.inventory, &read.cluster, &look)?;
    }
    if *inspects {
        let limited = read::limited(&read.inventory, files)?;
        drafted.add_inspection(&read.cluster, &|host| limited.contains(host));
    }
    if let Some((pattern, flow)) = &rolling.shift {
        drafted = outage::shifted(&read, files, (pattern.as_str(), *flow), reach.allow_outage)?;
    }
    if reach.no_drain {
        drafted.leave_hooks_alone();
    }
    if !rolling.roles.is_empty() {
        drafted.keep_roles(&read.cluster, &rolling.roles);
        refuse_empty(&drafted, &rolling.roles)?;
    }
    if *verb == "start" && !reach.no_drain {
        drafted.put_back(&read.cluster);
    }
    if let Some(release) = &rolling.back_to {
        drafted.go_back_to(release);
    }
    let limits = outage::limits(counted.as_ref().unwrap_or(&read.cluster), reach, rolling.pace);
    if rolling.pace == Pace::ForGood {
        outage::refuse(&read.cluster, &drafted, &limits)?;
    }
    let probes = probe.prepare(&read.cluster, &files.inventory)?;
    let runtime = runtime()?;
    let needed = drafted.needs();
    let mut artifacts = read.cluster.artifacts();
    artifacts.retain(|artifact| needed.contains(&artifact.sha256));
    // Artifacts that are read locally must be available locally, even if hosts download them.
    let read_here = drafted.reads_here();
    for artifact in artifacts.iter_mut().filter(|artifact| read_here.contains(&artifact.sha256)) {
        artifact.fetch = Fetch::Push;
    }
    artifacts.retain(|artifact| prepares || cache.is_here(artifact));
    let binding = Binding::begin(wanted, &read, &playbook, &artifacts, &look)?;
    let connector = connect::connector(&read.inventory, &drafted, reach)?;
    let settings = Settings {
        forks: usize::from(reach.forks),
        limits,
        run: run_id(),
        operator: operator(),
        purpose: format!("{verb} {} of {}", playbook.name, bound::absolute(&files.inventory).display()),
        timeouts: Timeouts { lock: Duration::from_secs(reach.wait_for_lock.into()), ..Timeouts::default() },
        outliner: Some(outliner(&cache)),
        hooks: Some(Caller(Arc::new(FromHere))),
        ..Settings::new(*mode, verb)
    };
    let recording = Recording::begin(wanted, &read, &playbook, &settings.run)?;
    let ended = runtime.block_on(async {
        let interrupt = interrupt();
        let prepare = async {
            let notes = probe::look(probes.as_ref(), wanted).await?;
            let ready = fetch(&cache, &artifacts, &look).await?;
            let sizes = ready.iter().map(|(sha256, (_, size))| (*sha256, *size)).collect();
            let mut plan = drafted.finish(&ready);
            if *mode == Mode::Apply {
                plan.look_beside(&read.cluster);
                if matches!(rolling.shift, Some((_, RotationState::Drained))) {
                    plan.drain(&read.cluster);
                }
                if !reach.no_drain {
                    plan.rotate(&read.cluster, counted.as_ref().unwrap_or(&read.cluster));
                }
            }
            let plan = Arc::new(plan);
            binding.as_ref().map_or(Ok(()), |binding| binding.check(&plan, &look))?;
            recording.planned(&plan);
            connect::know_hosts(&connector, &hosts_of(&plan), look.json).await?;
            Ok((plan, sizes, notes))
        };
        let (plan, sizes, notes): (_, BTreeMap<Sha256, u64>, _) =
            unless_interrupted(prepare, interrupt.clone()).await?;
        let settings = match judges {
            true => Settings { judge: Some(preflight::judge(&read.cluster, &sizes, &cache)), ..settings },
            false => settings,
        };
        let confirm = binding.as_ref().map(|binding| binding.confirm(&plan, reach)).transpose()?.flatten();
        let (events, happened) = mpsc::unbounded_channel();
        let probing = probes
            .filter(|_| *mode == Mode::Apply)
            .map(|probes| probe::begin(&probes, &plan, &events, notes));
        let halt = probing.as_ref().map(Probing::halted);
        let settings = Settings { confirm, halt, ..settings };
        let happened = match &probing {
            Some(probing) => probing.hears(happened),
            None => happened,
        };
        let shown = report::show(Arc::clone(&plan), look, recording.hears(happened));
        let connect: Arc<dyn Connect> = Arc::new(connector);
        let errands = Arc::new(Databases::new(Arc::clone(&connect)));
        let result =
            engine::run(Arc::clone(&plan), connect, errands, settings, events, interrupt.clone()).await;
        let probed = match probing {
            Some(probing) => probing.end(*interrupt.borrow() == Interrupt::Quit).await,
            None => Vec::new(),
        };
        // The reporter ends when the engine closes its channel; do not wait longer after a second
        // interrupt.
        drop(tokio::time::timeout(LAST_LINES, shown).await);
        bound::refuse(&result.unexpected, "no host was changed", &look)?;
        Ok(Ended { plan, cluster: read.cluster, result, look, sizes, open: read.open, binding, probed })
    });
    // After a second interrupt, do not wait for blocking file reads.
    runtime.shutdown_background();
    recording.end(ended.as_ref());
    ended
}

/// Refuses roles without a selected node: the run would look up to date.
fn refuse_empty(drafted: &Drafted, roles: &[Role]) -> Result<(), Exit> {
    if !drafted.nodes().is_empty() {
        return Ok(());
    }
    let roles: Vec<&str> = roles.iter().map(|role| role.group()).collect();
    let exit = Exit::new(Kind::Usage, format!("no selected host runs a {} node", roles.join(" or ")));
    Err(exit.hint("`apim-deploy graph` shows the role of each node"))
}

/// Returns the exit kind of a run, without its probes.
pub(super) fn kind(result: &RunResult) -> Kind {
    match (result.interrupted, result.is_success()) {
        (true, _) => Kind::Interrupted,
        (false, true) => Kind::Converged,
        (false, false) => Kind::Failed,
    }
}

/// Provides the artifacts that hosts may request. Checks local files before anything is downloaded.
async fn fetch(
    cache: &Cache,
    artifacts: &[Artifact],
    look: &Look,
) -> Result<BTreeMap<Sha256, (PathBuf, u64)>, Exit> {
    let mut mistakes = Mistakes::default();
    for (artifact, what, hint) in cache.check_local(artifacts).await {
        mistakes.add_hint(&artifact.place, what, hint);
    }
    if !mistakes.0.is_empty() {
        return Err(mistakes.into());
    }
    let ready = cache.provide(artifacts, &report::fetching(look)).await.map_err(|errors| {
        let mut exits = errors.iter().map(|error| (Exit::from_error(Kind::Failed, error), error.hint()));
        let (mut exit, hint) = exits.next().unwrap_or((Exit::new(Kind::Bug, "no reason given"), ""));
        let mut hints = vec![hint];
        for (other, hint) in exits {
            exit = exit.and(&other);
            if !hints.contains(&hint) {
                hints.push(hint);
            }
        }
        hints.into_iter().fold(exit, Exit::hint)
    })?;
    Ok(ready.into_iter().map(|(sha256, file)| (sha256, (file.path, file.size))).collect())
}

/// Returns the artifacts that are available locally, without downloading.
pub(super) fn at_hand(
    cluster: &Cluster,
    drafted: &Drafted,
    (cache, look): (&Cache, &Look),
) -> Result<BTreeMap<Sha256, (PathBuf, u64)>, Exit> {
    let needed = drafted.needs();
    let mut artifacts = cluster.artifacts();
    artifacts.retain(|artifact| needed.contains(&artifact.sha256) && cache.is_here(artifact));
    runtime()?.block_on(fetch(cache, &artifacts, look))
}

/// Runs the preparation unless the user interrupts it.
async fn unless_interrupted<T>(
    prepare: impl Future<Output = Result<T, Exit>>,
    mut interrupt: watch::Receiver<Interrupt>,
) -> Result<T, Exit> {
    tokio::select! {
        biased;
        Ok(_) = interrupt.wait_for(|wish| *wish != Interrupt::None) => {
            Err(Exit::new(Kind::Interrupted, "interrupted; no host was changed"))
        }
        prepared = prepare => prepared,
    }
}

pub(super) fn hosts_of(plan: &Plan) -> Vec<HostName> {
    let mut hosts: Vec<HostName> = Vec::new();
    let lanes = plan.stages.iter().flat_map(|stage| &stage.lanes).map(|lane| &lane.host);
    let balancers = plan.rotations.values().flat_map(|rotation| &rotation.balancers).map(|one| &one.host);
    for host in lanes.chain(balancers).cloned().chain(plan.hosts_of_hooks()) {
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts
}

/// Stores outlines in the cache, next to the artifacts.
fn outliner(cache: &Cache) -> Outliner {
    let cache = cache.clone();
    let make = move |sha256, zip: &Path| cache.outline(sha256, zip).map_err(|error| error.to_string());
    Outliner(Arc::new(make))
}

pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Exit> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Exit::new(Kind::Failed, format!("cannot start: {error}")))
}

/// The first Ctrl-C (or SIGTERM) lets steps in progress finish, the second exits immediately.
fn interrupt() -> watch::Receiver<Interrupt> {
    let (wish, interrupt) = watch::channel(Interrupt::None);
    tokio::spawn(async move {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
        for next in [Interrupt::Finish, Interrupt::Quit] {
            tokio::select! {
                heard = tokio::signal::ctrl_c() => if heard.is_err() { return },
                _ = terminate.recv() => {}
            }
            wish.send_replace(next);
        }
        // Keep the sender open: a closed channel would be read as an interrupt.
        std::future::pending::<()>().await;
    });
    interrupt
}

pub(super) fn run_id() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{:x}-{:x}", now.as_millis(), std::process::id())
}

pub(super) fn operator() -> String {
    let user =
        std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "unknown".to_owned());
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let machine = machine.trim();
    if machine.is_empty() { user } else { format!("{user}@{machine}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn interrupt_stops_the_preparation() {
        let (wish, interrupt) = watch::channel(Interrupt::None);
        let ended = unless_interrupted(async { Ok(1) }, interrupt.clone()).await;
        assert_eq!(ended.expect("not interrupted"), 1);
        let forever = std::future::pending::<Result<(), Exit>>();
        let (ended, ()) = tokio::join!(unless_interrupted(forever, interrupt), async {
            wish.send_replace(Interrupt::Finish);
        });
        let said = format!("{:?}", ended.expect_err("interrupted"));
        assert!(said.contains("Interrupted") && said.contains("no host was changed"), "{said}");
    }
}
