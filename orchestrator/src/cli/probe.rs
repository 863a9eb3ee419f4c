//! `--probe`: send requests to the service while a verb changes the cluster, and fail the run if
//! requests fail.

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
use apim_product::Cluster;
use apim_product::yaml::{nearest, read_bounded};
use apim_rollout::engine::event::{Event, Level};
use apim_rollout::http::{Place, Trust, certificates, shown};
use apim_rollout::plan::model::Plan;
use apim_rollout::probing::{Expected, Probes, Probing, Statuses};

/// Maximum size of a file of authorities, in bytes.
const LARGEST: u64 = 4 * 1024 * 1024;
/// Verbs that may start while the service is down. For other verbs the probes must pass first.
const BRING_UP: &[&str] = &["apply", "start", "undrain"];

/// Probe options of verbs that change a cluster.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Availability probes")]
pub(super) struct Probe {
    /// Send requests to this URL during the run, such as the load balancer's; reports failures and
    /// the longest gap; exit code 1 if a request fails (repeatable)
    #[arg(long = "probe", id = "probe", value_name = "URL")]
    pub(super) urls: Vec<String>,
    /// Send requests to each URL at this interval, alternating a kept and a new connection
    #[arg(long, default_value = "100ms", value_name = "TIME", requires = "probe", value_parser = interval)]
    probe_interval: Duration,
    /// Fail a request after this time
    #[arg(long, default_value = "5s", value_name = "TIME", requires = "probe", value_parser = limit)]
    probe_timeout: Duration,
    /// Accept these statuses: `200,401` or classes such as `2xx`; redirects are not followed
    /// [default: 2xx,3xx]
    #[arg(long, value_name = "STATUSES", requires = "probe", value_delimiter = ',')]
    probe_expect: Vec<Statuses>,
    /// Trust the authorities in a PEM file, in addition to those of the system and of `keystores:
    /// issued` (repeatable)
    #[arg(long, value_name = "FILE", requires = "probe")]
    probe_ca: Vec<PathBuf>,
    /// Resolve a host name of `--probe` to an address: `gw.example.com=10.0.0.5` (repeatable)
    #[arg(long, value_name = "NAME=ADDRESS", requires = "probe", value_parser = resolved)]
    probe_resolve: Vec<(String, IpAddr)>,
    /// Take down no more healthy nodes after this many failed requests
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
            .map_err(|_| format!("invalid duration `{text}`: write 200ms, 5s or 1m"))?,
        None => moment::duration(text)?,
    };
    if bounds.contains(&period) {
        return Ok(period);
    }
    let (least, most) = (bounds.start().as_millis(), bounds.end().as_secs());
    Err(format!("must be between {least} ms and {most} s"))
}

fn resolved(text: &str) -> Result<(String, IpAddr), String> {
    let wrong = || format!("`{text}` is not NAME=ADDRESS, such as gw.example.com=10.0.0.5");
    let (name, address) = text.split_once('=').ok_or_else(wrong)?;
    let address = address.trim_start_matches('[').trim_end_matches(']').parse().map_err(|_| wrong())?;
    if name.is_empty() { Err(wrong()) } else { Ok((name.to_ascii_lowercase(), address)) }
}

impl Probe {
    /// Validates the probe options; nothing is contacted.
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
                    None => "use the host name of a --probe URL".to_owned(),
                };
                let text = format!(
                    "--probe-resolve: no --probe URL has the host name `{name}`; no host was contacted"
                );
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

/// Parses a URL after clap has parsed the flags: clap's error would show a password in the URL.
fn place(url: &str) -> Result<Arc<Place>, Exit> {
    let read = url.parse::<Place>();
    let exit = |why| Exit::new(Kind::Usage, format!("--probe: {}: {why}; no host was contacted", shown(url)));
    read.map(Arc::new).map_err(|why| {
        exit(why).hint("use a URL that clients request, such as https://gw.example.com/pizza/1.0/menu")
    })
}

/// Returns the trusted authorities: those of the system, of the cluster and of files.
fn trust(files: &[PathBuf], cluster: &Cluster, inventory: &Path) -> Result<Trust, Exit> {
    let mut trusted: Vec<Vec<u8>> = Vec::new();
    trusted.extend(issuing::authority(cluster, inventory)?.map(|one| one.der.to_vec()));
    for file in files {
        let read = read_bounded(file, LARGEST).map_err(|error| error.to_string());
        let found = read.and_then(|pem| certificates(&pem)).map_err(|why| {
            let text = format!("--probe-ca: `{}`: {why}; no host was contacted", file.display());
            Exit::new(Kind::Usage, text).hint("use a PEM file of CA certificates")
        })?;
        trusted.extend(found);
    }
    Trust::new(trusted).map_err(|why| {
        let text = format!("no trusted authority for the probes: {why}; no host was contacted");
        Exit::new(Kind::Usage, text)
            .hint("pass the authorities of the load balancer's certificate with --probe-ca FILE")
    })
}

/// Starts the probes, after reporting the notes from the check before the run.
pub(super) fn begin(
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
pub(super) async fn look(probes: Option<&Probes>, wanted: &Wanted) -> Result<Vec<String>, Exit> {
    let Some(probes) = probes else { return Ok(Vec::new()) };
    let silent = probes.look().await;
    if silent.is_empty() || BRING_UP.contains(&wanted.verb) || wanted.reach.allow_outage {
        let note = |(place, why): &(Arc<Place>, String)| {
            format!("{place} is not healthy yet ({why}); its probes count from the first good answer")
        };
        return Ok(silent.iter().map(note).collect());
    }
    let lines: Vec<String> = silent.iter().map(|(place, why)| format!("\n  {place}: {why}")).collect();
    let text = format!(
        "the probe URL is not healthy; refusing to start `{}`; no host was changed{}",
        wanted.verb,
        lines.concat()
    );
    let mut exit = Exit::new(Kind::Failed, text);
    for (sign, hint) in [
        ("trusted", "pass the issuer of the certificate with --probe-ca FILE"),
        ("resolve", "set the address with --probe-resolve NAME=ADDRESS"),
        ("status ", "set the accepted statuses with --probe-expect STATUSES"),
        (" within ", "raise the timeout with --probe-timeout TIME"),
    ] {
        if silent.iter().any(|(_, why)| why.contains(sign)) {
            exit = exit.hint(hint);
        }
    }
    Err(exit.hint("`apim-deploy status` shows which node is not healthy; omit --probe or pass --allow-outage to run anyway"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_and_bounds() {
        assert_eq!(interval("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(limit("1m"), Ok(Duration::from_secs(60)));
        for wrong in ["1ms", "2h", "soon", "ms", "-5ms"] {
            assert!(interval(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn resolve_option_maps_name_to_address() {
        assert_eq!(resolved("GW.example.com=::1"), Ok(("gw.example.com".into(), "::1".parse().unwrap())));
        assert_eq!(resolved("gw=[::1]"), Ok(("gw".into(), "::1".parse().unwrap())));
        for wrong in ["gw.example.com", "gw=lb", "=10.0.0.5", "gw=10.0.0.5:443"] {
            assert!(resolved(wrong).is_err(), "{wrong}");
        }
    }
}
