//! `--probe`: requests to the cluster's own service while a verb changes it, and what becomes of a run in which some failed.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::exit::{Exit, Kind};
use super::issuing;
use super::moment;
use super::pipeline::Wanted;
use crate::apim::Cluster;
use crate::engine::event::{Event, Level};
use crate::http::{Place, Trust, certificates, shown};
use crate::plan::model::Plan;
use crate::probing::{Expected, Probes, Probing, Statuses};
use crate::yaml::{nearest, read_bounded};

/// A file of authorities larger than this is none.
const LARGEST: u64 = 4 * 1024 * 1024;
/// Verbs that may find the service down; for the others it is to answer before they take a node down.
const BRING_UP: &[&str] = &["apply", "start", "undrain"];

/// Options of verbs that change a cluster which may be serving.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Proof that nobody noticed")]
pub(super) struct Probe {
    /// Send requests to this URL while the run goes on, such as the load balancer's; the report says how many were sent, how many failed,
    /// and the longest gap; one that fails makes the exit code 1; may be repeated
    #[arg(long = "probe", id = "probe", value_name = "URL")]
    pub(super) urls: Vec<String>,
    /// From one request to the next, for each URL: over a kept connection and over a new one in turn
    #[arg(long, default_value = "100ms", value_name = "TIME", requires = "probe", value_parser = interval)]
    probe_interval: Duration,
    /// How long one request may take
    #[arg(long, default_value = "5s", value_name = "TIME", requires = "probe", value_parser = limit)]
    probe_timeout: Duration,
    /// Which answers are good: `200,401`, or classes such as `2xx`; default: 2xx and 3xx (redirects are not followed)
    #[arg(long, value_name = "STATUSES", requires = "probe", value_delimiter = ',')]
    probe_expect: Vec<Statuses>,
    /// A PEM file of authorities to trust, beside the system's and that of `keystores: issued`; may be repeated
    #[arg(long, value_name = "FILE", requires = "probe")]
    probe_ca: Vec<PathBuf>,
    /// Where a name of `--probe` is, when this machine cannot resolve it: `gw.example.com=10.0.0.5`; may be repeated
    #[arg(long, value_name = "NAME=ADDRESS", requires = "probe", value_parser = resolved)]
    probe_resolve: Vec<(String, IpAddr)>,
    /// Take no further healthy node down once so many requests have failed
    #[arg(long, value_name = "N", requires = "probe", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) probe_stop_after: Option<u64>,
}

fn interval(text: &str) -> Result<Duration, String> {
    period(text, Duration::from_millis(10)..=Duration::from_secs(60))
}

fn limit(text: &str) -> Result<Duration, String> {
    period(text, Duration::from_millis(50)..=Duration::from_secs(300))
}

fn period(text: &str, bounds: std::ops::RangeInclusive<Duration>) -> Result<Duration, String> {
    let period = match text.trim().strip_suffix("ms") {
        Some(number) => number
            .parse()
            .map(Duration::from_millis)
            .map_err(|_| format!("`{text}` is no time: write 200ms, 5s or 1m"))?,
        None => moment::duration(text)?,
    };
    if bounds.contains(&period) {
        return Ok(period);
    }
    let (least, most) = (bounds.start().as_millis(), bounds.end().as_secs());
    Err(format!("it lies between {least} ms and {most} s"))
}

fn resolved(text: &str) -> Result<(String, IpAddr), String> {
    let wrong = || format!("`{text}` is not NAME=ADDRESS, such as gw.example.com=10.0.0.5");
    let (name, address) = text.split_once('=').ok_or_else(wrong)?;
    let address = address.trim_start_matches('[').trim_end_matches(']').parse().map_err(|_| wrong())?;
    if name.is_empty() { Err(wrong()) } else { Ok((name.to_ascii_lowercase(), address)) }
}

impl Probe {
    /// Makes ready what is to be asked; nothing is contacted.
    pub(super) fn prepare(&self, cluster: &Cluster, inventory: &Path) -> Result<Option<Probes>, Exit> {
        let Self {
            urls,
            probe_interval,
            probe_timeout,
            probe_expect,
            probe_ca,
            probe_resolve,
            probe_stop_after,
        } = self;
        if urls.is_empty() {
            return Ok(None);
        }
        let places = urls.iter().map(|url| place(url)).collect::<Result<Vec<Arc<Place>>, Exit>>()?;
        let mut resolved: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
        for (name, address) in probe_resolve {
            let known = || places.iter().map(|place| place.name.as_str());
            if !known().any(|known| known == name) {
                let hint = match nearest(name, known()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "it says where a name of a --probe URL is".to_owned(),
                };
                let text = format!("--probe-resolve: no --probe asks `{name}`; nothing was contacted");
                return Err(Exit::new(Kind::Usage, text).hint(hint));
            }
            resolved.entry(name.clone()).or_default().push(*address);
        }
        let trust = if places.iter().any(|place| place.is_encrypted) {
            Some(trust(probe_ca, cluster, inventory)?)
        } else {
            None
        };
        Ok(Some(Probes {
            places,
            interval: *probe_interval,
            limit: *probe_timeout,
            expected: Expected::new(probe_expect.clone()),
            trust,
            addresses: resolved,
            stop_after: *probe_stop_after,
        }))
    }
}

/// Reads a URL here and not among the flags: what is wrong with one would be told there with the password in it.
fn place(url: &str) -> Result<Arc<Place>, Exit> {
    let read = url.parse::<Place>();
    let exit = |why| Exit::new(Kind::Usage, format!("--probe: {}: {why}; nothing was contacted", shown(url)));
    read.map(Arc::new).map_err(|why| {
        exit(why).hint("it is the URL that clients ask, such as https://gw.example.com/pizza/1.0/menu")
    })
}

/// Returns whom the probes trust: the system's authorities, the cluster's own, and those of files.
fn trust(files: &[PathBuf], cluster: &Cluster, inventory: &Path) -> Result<Trust, Exit> {
    let mut trusted: Vec<Vec<u8>> = Vec::new();
    trusted.extend(issuing::authority(cluster, inventory)?.map(|one| one.der.to_vec()));
    for file in files {
        let read = read_bounded(file, LARGEST).map_err(|error| error.to_string());
        let found = read.and_then(|pem| certificates(&pem)).map_err(|why| {
            let text = format!("--probe-ca: `{}`: {why}; nothing was contacted", file.display());
            Exit::new(Kind::Usage, text).hint("a PEM file of certificates that may issue others")
        })?;
        trusted.extend(found);
    }
    Trust::new(trusted).map_err(|why| {
        let text = format!("the probes have nobody to trust: {why}; nothing was contacted");
        Exit::new(Kind::Usage, text)
            .hint("--probe-ca FILE names the authorities of the load balancer's certificate")
    })
}

/// Begins to send; what was found before is told first.
pub(super) fn begin(
    probes: &Probes,
    plan: &Plan,
    events: &mpsc::UnboundedSender<Event>,
    notes: Vec<String>,
) -> Probing {
    for note in notes {
        // Who does not listen any more misses nothing.
        drop(events.send(Event::Note(Level::Info, note)));
    }
    probes.begin(plan, events)
}

/// Asks before anything is done. What does not answer is told; where the cluster is to be serving the run is refused.
pub(super) async fn look(probes: Option<&Probes>, wanted: &Wanted) -> Result<Vec<String>, Exit> {
    let Some(probes) = probes else { return Ok(Vec::new()) };
    let silent = probes.look().await;
    if silent.is_empty() || BRING_UP.contains(&wanted.verb) || wanted.reach.allow_outage {
        let note = |(place, why): &(Arc<Place>, String)| {
            format!("{place} does not answer as wished now ({why}): its probes count once it does")
        };
        return Ok(silent.iter().map(note).collect());
    }
    let lines: Vec<String> = silent.iter().map(|(place, why)| format!("\n  {place}: {why}")).collect();
    let text = format!(
        "the service does not answer as wished, so nobody could tell whether `{}` is noticed; no host was changed{}",
        wanted.verb,
        lines.concat()
    );
    let mut exit = Exit::new(Kind::Failed, text);
    for (sign, hint) in [
        ("not trusted", "--probe-ca FILE names who issued the certificate"),
        ("cannot be resolved", "--probe-resolve NAME=ADDRESS says where the name is"),
        ("status ", "--probe-expect STATUSES says which answers are good"),
        (" within ", "--probe-timeout TIME gives the answer longer"),
    ] {
        if silent.iter().any(|(_, why)| why.contains(sign)) {
            exit = exit.hint(hint);
        }
    }
    Err(exit.hint("`apim-deploy status` shows which node is not healthy; without --probe, or with --allow-outage, it is done all the same"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_and_bounds() {
        assert_eq!(interval("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(limit("1m"), Ok(Duration::from_secs(60)));
        for wrong in ["1ms", "2h", "soon", "ms", "-5ms"] {
            assert!(interval(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_has_an_address() {
        assert_eq!(resolved("GW.example.com=::1"), Ok(("gw.example.com".into(), "::1".parse().unwrap())));
        assert_eq!(resolved("gw=[::1]"), Ok(("gw".into(), "::1".parse().unwrap())));
        for wrong in ["gw.example.com", "gw=lb", "=10.0.0.5", "gw=10.0.0.5:443"] {
            assert!(resolved(wrong).is_err(), "{wrong}");
        }
    }
}
