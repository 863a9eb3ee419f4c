//! The plot of every verb that runs a plan, on one page: read, draft, fetch, connect, run, conclude.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use apim_protocol::operation::Mode;
use apim_protocol::value::Sha256;
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
use crate::apim::balancer::Flow;
use crate::apim::settings::source::Fetch;
use crate::apim::{Artifact, Cluster, Role};
use crate::artifact::Cache;
use crate::database::Databases;
use crate::engine::{self, Caller, Interrupt, Outliner, Patience, RunResult, Settings};
use crate::hooks::FromHere;
use crate::inventory::host::HostName;
use crate::plan::Drafted;
use crate::plan::model::Plan;
use crate::playbook::Playbook;
use crate::probing::{Probing, Sum};
use crate::report::{self, Look};
use crate::session::Connect;
use crate::yaml::Mistakes;

/// How long the reporter may take for its last lines.
const LAST_LINES: Duration = Duration::from_secs(2);

/// What a verb wants of a run.
pub(super) struct Wanted {
    pub(super) verb: &'static str,
    pub(super) mode: Mode,
    pub(super) files: Files,
    pub(super) plays: Plays,
    pub(super) reach: Reach,
    pub(super) shown: Shown,
    /// Whether differences of text files are shown.
    pub(super) diff: bool,
    /// Whether every node is looked at in the end.
    pub(super) inspects: bool,
    /// Whether what hosts answer to a preflight is judged before anything is changed.
    pub(super) judges: bool,
    /// Which nodes, and how many at once.
    pub(super) rolling: Rolling,
    /// Whether it makes a plan that is kept, or carries one out.
    pub(super) bind: Bind,
    /// What is asked of the service meanwhile.
    pub(super) probe: Probe,
}

/// How nodes are taken down and brought back.
#[derive(Debug, Clone, Default)]
pub(super) struct Rolling {
    /// Only nodes of these roles; empty: all.
    pub(super) roles: Vec<Role>,
    /// How fast.
    pub(super) pace: Pace,
    /// Nodes on hosts of this pattern are to get requests, or none, and nothing else is done.
    pub(super) shift: Option<(String, Flow)>,
    /// The release that nodes go back to, where the playbook brings them back and not to the one before.
    pub(super) back_to: Option<String>,
    /// The version that nodes go to although the inventory names another one; the files were read so.
    pub(super) forward_to: Option<String>,
}

/// How fast nodes are taken down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Pace {
    /// As the budget says; the first one of a role alone.
    #[default]
    Rolling,
    /// All nodes of a role at once.
    AllAtOnce,
    /// They do not come back in this run.
    ForGood,
}

impl Wanted {
    /// Returns what a verb wants that only looks, with a built-in playbook or the usual one.
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

/// A run that is over.
pub(super) struct Ended {
    pub(super) plan: Arc<Plan>,
    pub(super) cluster: Cluster,
    pub(super) result: RunResult,
    pub(super) look: Look,
    /// How long the big files are that were at hand.
    pub(super) sizes: BTreeMap<Sha256, u64>,
    /// Files of this machine that hold secrets and that others may read.
    pub(super) open: Vec<guard::Open>,
    /// What a plan that is kept is made from.
    pub(super) binding: Option<Binding>,
    /// What came of requests that were sent meanwhile.
    pub(super) probed: Vec<Sum>,
}

impl Ended {
    /// Says how it ended: a request that failed meanwhile is a failure, whatever became of the hosts.
    pub(super) fn kind(&self) -> Kind {
        match kind(&self.result) {
            Kind::Converged if !self.probed.iter().all(Sum::is_good) => Kind::Failed,
            kind => kind,
        }
    }

    /// Prints what it came to, and says how it ended.
    pub(super) fn conclude(&self) -> Result<Kind, Exit> {
        report::conclude(&self.plan, &self.result, &self.probed, &self.look)?;
        Ok(self.kind())
    }
}

/// Returns where big files are kept.
pub(super) fn cache(reach: &Reach) -> Cache {
    reach.cache_dir.clone().map_or_else(Cache::of_user, Cache::new)
}

/// What was read and drafted for a run.
pub(super) struct Material {
    pub(super) read: read::Read,
    pub(super) playbook: Playbook,
    pub(super) drafted: Drafted,
    /// The cluster that budgets count with, where it is another one than that of the plan.
    pub(super) counted: Option<Cluster>,
}

/// Runs what is wanted.
pub(super) fn run(wanted: &Wanted) -> Result<Ended, Exit> {
    run_with(wanted, |cache, issue| {
        let (read, playbook, drafted) = read::all_with(&wanted.files, &wanted.plays, cache, issue)?;
        Ok(Material { read, playbook, drafted, counted: None })
    })
}

/// Runs what is wanted, with what `read` makes of the files.
pub(super) fn run_with(
    wanted: &Wanted,
    read: impl FnOnce(&Cache, Issue) -> Result<Material, Exit>,
) -> Result<Ended, Exit> {
    let Wanted { verb, mode, files, plays: _, reach, shown, diff, inspects, judges, rolling, bind, probe } =
        wanted;
    let judges = *judges;
    let look = Look::detect(shown.output == Output::Json, shown.verbose, *diff);
    let cache = cache(reach);
    // A plan that is kept names what is to be sent, byte for byte: it must be there.
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
    // What we read ourselves must be here, whoever fetches it for the hosts.
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
        patience: Patience { lock: Duration::from_secs(reach.wait_for_lock.into()), ..Patience::default() },
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
                if matches!(rolling.shift, Some((_, Flow::Held))) {
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
            Some(probing) => probing.end(*interrupt.borrow() == Interrupt::Leave).await,
            None => Vec::new(),
        };
        // The reporter ends by itself once the engine has let go of its end of the channel; after a second interrupt nobody waits.
        drop(tokio::time::timeout(LAST_LINES, shown).await);
        bound::refuse(&result.unexpected, "nothing was changed", &look)?;
        Ok(Ended { plan, cluster: read.cluster, result, look, sizes, open: read.open, binding, probed })
    });
    // Whoever left at once does not wait for files that are being read.
    runtime.shutdown_background();
    recording.end(ended.as_ref());
    ended
}

/// A run about roles that no host of the run carries would look like one that has nothing to do.
fn refuse_empty(drafted: &Drafted, roles: &[Role]) -> Result<(), Exit> {
    if !drafted.nodes().is_empty() {
        return Ok(());
    }
    let roles: Vec<&str> = roles.iter().map(|role| role.group()).collect();
    let exit = Exit::new(Kind::Usage, format!("no host of this run carries a node of {}", roles.join(", ")));
    Err(exit.hint("`apim-deploy graph` shows which roles there are"))
}

/// Returns how a run that only had to come to its end ended.
pub(super) fn kind(result: &RunResult) -> Kind {
    match (result.interrupted, result.is_success()) {
        (true, _) => Kind::Interrupted,
        (false, true) => Kind::Converged,
        (false, false) => Kind::Failed,
    }
}

/// Makes sure of the big files that hosts may ask for; local ones that are wrong are mistakes, found before anything is fetched.
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

/// Returns the big files that are at hand on this machine, for a look that fetches nothing.
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

/// Waits for what comes before the run, unless the user stops it.
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

/// Outlines are kept in the cache, beside the files.
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

/// The first Ctrl-C (or TERM) lets steps in hand finish, the second leaves at once.
fn interrupt() -> watch::Receiver<Interrupt> {
    let (wish, interrupt) = watch::channel(Interrupt::None);
    tokio::spawn(async move {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
        for next in [Interrupt::Finish, Interrupt::Leave] {
            tokio::select! {
                heard = tokio::signal::ctrl_c() => if heard.is_err() { return },
                _ = terminate.recv() => {}
            }
            wish.send_replace(next);
        }
        // Kept until the end, so that nobody takes a closed channel for a wish.
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
        std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "somebody".to_owned());
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let machine = machine.trim();
    if machine.is_empty() { user } else { format!("{user}@{machine}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_interrupt_ends_what_comes_before_the_run() {
        let (wish, interrupt) = watch::channel(Interrupt::None);
        let ended = unless_interrupted(async { Ok(1) }, interrupt.clone()).await;
        assert_eq!(ended.expect("it was not interrupted"), 1);
        let forever = std::future::pending::<Result<(), Exit>>();
        let (ended, ()) = tokio::join!(unless_interrupted(forever, interrupt), async {
            wish.send_replace(Interrupt::Finish);
        });
        let said = format!("{:?}", ended.expect_err("it was interrupted"));
        assert!(said.contains("Interrupted") && said.contains("no host was changed"), "{said}");
    }
}
