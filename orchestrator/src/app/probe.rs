//! `--probe`: send requests to the service while a verb changes the cluster, and fail the run if
//! requests fail.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::app::exit::{Exit, Kind};
use crate::app::issue;
use crate::app::options::ProbeOptions;
use crate::app::rollout::request::RolloutRequest;
use apim_product::Cluster;
use apim_product::yaml::{nearest, read_bounded};
use apim_rollout::engine::event::{Event, Level};
use apim_rollout::http::{TargetUrl, Trust, certificates, shown};
use apim_rollout::plan::model::Plan;
use apim_rollout::probe::{Expected, ProbeFailure, Probes, Probing};

/// Maximum size of a file of authorities, in bytes.
const LARGEST: u64 = 4 * 1024 * 1024;

/// Validates the probe options; nothing is contacted.
pub(crate) fn prepare(
    options: &ProbeOptions,
    cluster: &Cluster,
    inventory: &Path,
) -> Result<Option<Probes>, Exit> {
    let ProbeOptions { urls, interval, timeout, expect, authorities, resolve, stop_after } = options;
    if urls.is_empty() {
        return Ok(None);
    }
    let targets = urls.iter().map(|url| target(url)).collect::<Result<Vec<Arc<TargetUrl>>, Exit>>()?;
    let mut resolved: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
    for (name, address) in resolve {
        let known = || targets.iter().map(|target| target.name.as_str());
        if !known().any(|known| known == name) {
            let hint = match nearest(name, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "use the host name of a --probe URL".to_owned(),
            };
            let text =
                format!("--probe-resolve: no --probe URL has the host name `{name}`; no host was contacted");
            return Err(Exit::new(Kind::Usage, text).hint(hint));
        }
        resolved.entry(name.clone()).or_default().push(*address);
    }
    let trust = if targets.iter().any(|target| target.is_encrypted) {
        Some(trust(authorities, cluster, inventory)?)
    } else {
        None
    };
    Ok(Some(Probes {
        targets,
        interval: *interval,
        limit: *timeout,
        expected: Expected::new(expect.clone()),
        trust,
        addresses: resolved,
        stop_after: *stop_after,
    }))
}

/// Parses a URL after clap has parsed the flags: clap's error would show a password in the URL.
fn target(url: &str) -> Result<Arc<TargetUrl>, Exit> {
    let read = url.parse::<TargetUrl>();
    let exit = |why| Exit::new(Kind::Usage, format!("--probe: {}: {why}; no host was contacted", shown(url)));
    read.map(Arc::new).map_err(|why| {
        exit(why).hint("use a URL that clients request, such as https://gw.example.com/pizza/1.0/menu")
    })
}

/// Returns the trusted authorities: those of the system, of the cluster and of files.
fn trust(files: &[PathBuf], cluster: &Cluster, inventory: &Path) -> Result<Trust, Exit> {
    let mut trusted: Vec<Vec<u8>> = Vec::new();
    trusted.extend(issue::authority(cluster, inventory)?.map(|one| one.der.to_vec()));
    for file in files {
        let refused = |why: &dyn std::error::Error| {
            let text = format!("--probe-ca: `{}`: {why}; no host was contacted", file.display());
            Exit::new(Kind::Usage, text).hint("use a PEM file of CA certificates")
        };
        let pem = read_bounded(file, LARGEST).map_err(|error| refused(&error))?;
        trusted.extend(certificates(&pem).map_err(|error| refused(&error))?);
    }
    Trust::new(trusted).map_err(|why| {
        let text = format!("no trusted authority for the probes: {why}; no host was contacted");
        Exit::new(Kind::Usage, text)
            .hint("pass the authorities of the load balancer's certificate with --probe-ca FILE")
    })
}

/// Starts the probes, after reporting the notes from the check before the run.
pub(crate) fn begin(
    probes: &Probes,
    plan: &Plan,
    events: &mpsc::UnboundedSender<Event>,
    notes: Vec<String>,
) -> Probing {
    for note in notes {
        // The reporter may have ended.
        drop(events.send(Event::Note(Level::Info, note)));
    }
    probes.begin(plan, events)
}

/// Checks every probe URL before the run. Returns a note for each failing URL, or refuses the run
/// if the verb requires a healthy service.
pub(crate) async fn check(probes: Option<&Probes>, request: &RolloutRequest) -> Result<Vec<String>, Exit> {
    let Some(probes) = probes else { return Ok(Vec::new()) };
    let unhealthy = probes.check().await;
    if unhealthy.is_empty() || request.verb.policy().starts_while_down || request.reach.allow_outage {
        let note = |(target, why): &(Arc<TargetUrl>, ProbeFailure)| {
            format!("{target} is not healthy yet ({why}); its probes count from the first good answer")
        };
        return Ok(unhealthy.iter().map(note).collect());
    }
    let lines: Vec<String> = unhealthy.iter().map(|(target, why)| format!("\n  {target}: {why}")).collect();
    let text = format!(
        "the probe URL is not healthy; refusing to start `{}`; no host was changed{}",
        request.verb,
        lines.concat()
    );
    let mut exit = Exit::new(Kind::Failed, text);
    let mut hints: Vec<&str> = Vec::new();
    for hint in unhealthy.iter().filter_map(|(_, failure)| failure.hint()) {
        if !hints.contains(&hint) {
            hints.push(hint);
            exit = exit.hint(hint);
        }
    }
    Err(exit.hint("`apim-deploy status` shows which node is not healthy; omit --probe or pass --allow-outage to run anyway"))
}
