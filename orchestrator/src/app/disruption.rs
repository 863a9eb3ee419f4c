//! Disruption budgets from inventory and flags, and the checks on them before any host is
//! contacted.

use crate::app::exit::{Exit, Kind};
use crate::app::options::{Budget, Files, Reach};
use crate::app::read::{self, Read};
use crate::app::rollout::request::{Pace, RotationChange};
use apim_documents::inventory::pattern;
use apim_product::availability::Allowance;
use apim_product::load_balancer::{self, RotationState};
use apim_product::yaml::Span;
use apim_product::{Cluster, Node, Role};
use apim_rollout::engine::Limits;
use apim_rollout::plan::PlanDraft;

/// Returns the limits of a run. Flags take precedence over the inventory.
pub(crate) fn limits(cluster: &Cluster, reach: &Reach, pace: Pace) -> Limits {
    let mut limits =
        Limits { outage: reach.allow_outage, canary: pace == Pace::Rolling, ..Limits::default() };
    for role in Role::ALL {
        let pool = role.group().to_owned();
        limits.sizes.insert(pool.clone(), cluster.of(role).count());
        limits.pools.extend(cluster.allowance(role).map(|allowance| (pool, allowance)));
    }
    let all: Vec<Allowance> =
        reach.max_unavailable.iter().filter(|one| one.role.is_none()).map(|all| all.allowance).collect();
    if let Some(all) = all.last() {
        limits.default = *all;
        limits.pools.clear();
    }
    for Budget { role, allowance } in &reach.max_unavailable {
        limits.pools.extend(role.clone().map(|role| (role, *allowance)));
    }
    if pace == Pace::AllAtOnce || (pace == Pace::StopOnly && reach.allow_outage) {
        limits.default = Allowance::All;
        limits.pools.clear();
    }
    limits
}

/// Returns the nodes that `change` drains or undrains. Refuses to drain every node of a role unless
/// `outage` is set.
pub(crate) fn rotation_nodes<'a>(
    read: &'a Read,
    files: &Files,
    change: &RotationChange,
    outage: bool,
) -> Result<Vec<&'a Node>, Exit> {
    let RotationChange { pattern, flow } = change;
    let cluster = &read.cluster;
    let hosts = pattern::select(&read.inventory, pattern, &Span::flag("PATTERN"))?;
    let limited = read::limited(&read.inventory, files)?;
    let is_chosen = |node: &&Node| {
        limited.contains(node.host.as_str()) && hosts.iter().any(|host| host.name.0 == node.host)
    };
    let chosen: Vec<&Node> = cluster.nodes().iter().filter(is_chosen).collect();
    if chosen.is_empty() {
        let exit = Exit::new(Kind::Usage, format!("no host in `{pattern}` runs a node"));
        return Err(exit.hint("`apim-deploy graph` shows the nodes of each host"));
    }
    let has_hook = |node: &&Node| cluster.hooks(&node.name).is_some();
    if load_balancer::hosts(cluster).next().is_none() && !chosen.iter().any(has_hook) {
        let exit = Exit::new(Kind::Usage, "no load balancer managed by apim-deploy, and no hook configured");
        return Err(exit.hint("set `apim: {load_balancer: {kind: nginx}}` on the hosts of `load_balancer`, or configure hooks for an external load balancer (docs/load-balancer.md)"));
    }
    for role in Role::ALL {
        let left = cluster.of(role).filter(|node| !is_chosen(node)).count();
        if *flow == RotationState::Drained && !outage && left == 0 && cluster.of(role).next().is_some() {
            let what = format!("this would take every {role} out of rotation; no host was contacted");
            return Err(Exit::new(Kind::Usage, what).hint("--allow-outage overrides this"));
        }
    }
    Ok(chosen)
}

/// Refuses to stop more nodes than the disruption budget allows.
pub(crate) fn refuse(cluster: &Cluster, drafted: &PlanDraft, limits: &Limits) -> Result<(), Exit> {
    if limits.outage {
        return Ok(());
    }
    let stopped = drafted.nodes();
    for role in Role::ALL {
        let of_role = cluster.of(role).count();
        let chosen = cluster.of(role).filter(|node| stopped.contains(&node.name)).count();
        if chosen == 0 {
            continue;
        }
        let group = role.group();
        if chosen == of_role {
            let what = match of_role {
                1 => format!("this would stop the only {role}"),
                _ => format!("this would stop all {of_role} nodes of {group}"),
            };
            let exit = Exit::new(Kind::Usage, format!("{what}; no host was contacted"));
            return Err(exit.hint("--allow-outage overrides this; --limit and --role select fewer nodes"));
        }
        let limit = limits.of(group);
        if chosen > limit {
            let what = format!(
                "this would stop {chosen} of {of_role} nodes of {group}, and the disruption budget is {limit}; no host was contacted"
            );
            let hint = format!("--max-unavailable {group}={chosen} allows it; --limit selects fewer nodes");
            return Err(Exit::new(Kind::Usage, what).hint(hint));
        }
    }
    Ok(())
}
