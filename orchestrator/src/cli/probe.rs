//! `--probe` and its options, shared by the verbs that change a cluster.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::time_args::{self, DurationError};
use crate::app::options::ProbeOptions;
use apim_rollout::probe::Statuses;

/// Probe options of verbs that change a cluster.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Availability probes")]
pub(super) struct ProbeArgs {
    /// Send requests to this URL during the run, such as the load balancer's; reports failures and
    /// the longest gap; exit code 1 if a request fails (repeatable)
    #[arg(long = "probe", id = "probe", value_name = "URL")]
    urls: Vec<String>,
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
    probe_stop_after: Option<u64>,
}

impl From<ProbeArgs> for ProbeOptions {
    fn from(args: ProbeArgs) -> Self {
        Self {
            urls: args.urls,
            interval: args.probe_interval,
            timeout: args.probe_timeout,
            expect: args.probe_expect,
            authorities: args.probe_ca,
            resolve: args.probe_resolve,
            stop_after: args.probe_stop_after,
        }
    }
}

/// Why an interval or a timeout is invalid.
#[derive(Debug, thiserror::Error)]
enum PeriodError {
    #[error("invalid duration `{0}`: write 200ms, 5s or 1m")]
    Invalid(String),
    #[error(transparent)]
    Duration(#[from] DurationError),
    #[error("must be between {least_millis} ms and {most_secs} s")]
    OutOfBounds { least_millis: u128, most_secs: u64 },
}

/// The value of `--probe-resolve` is invalid.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not NAME=ADDRESS, such as gw.example.com=10.0.0.5")]
struct NotAnAddress(String);

fn interval(text: &str) -> Result<Duration, PeriodError> {
    period(text, Duration::from_millis(10)..=Duration::from_secs(60))
}

fn limit(text: &str) -> Result<Duration, PeriodError> {
    period(text, Duration::from_millis(50)..=Duration::from_secs(300))
}

fn period(text: &str, bounds: std::ops::RangeInclusive<Duration>) -> Result<Duration, PeriodError> {
    let period = match text.trim().strip_suffix("ms") {
        Some(number) => {
            number.parse().map(Duration::from_millis).map_err(|_| PeriodError::Invalid(text.to_owned()))?
        }
        None => time_args::duration(text)?,
    };
    if bounds.contains(&period) {
        return Ok(period);
    }
    Err(PeriodError::OutOfBounds {
        least_millis: bounds.start().as_millis(),
        most_secs: bounds.end().as_secs(),
    })
}

fn resolved(text: &str) -> Result<(String, IpAddr), NotAnAddress> {
    let wrong = || NotAnAddress(text.to_owned());
    let (name, address) = text.split_once('=').ok_or_else(wrong)?;
    let address = address.trim_start_matches('[').trim_end_matches(']').parse().map_err(|_| wrong())?;
    if name.is_empty() { Err(wrong()) } else { Ok((name.to_ascii_lowercase(), address)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_and_bounds() {
        assert_eq!(interval("250ms").expect("valid"), Duration::from_millis(250));
        assert_eq!(limit("1m").expect("valid"), Duration::from_secs(60));
        for wrong in ["1ms", "2h", "soon", "ms", "-5ms"] {
            assert!(interval(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn resolve_option_maps_name_to_address() {
        assert_eq!(
            resolved("GW.example.com=::1").expect("valid"),
            ("gw.example.com".into(), "::1".parse().unwrap())
        );
        assert_eq!(resolved("gw=[::1]").expect("valid"), ("gw".into(), "::1".parse().unwrap()));
        for wrong in ["gw.example.com", "gw=lb", "=10.0.0.5", "gw=10.0.0.5:443"] {
            assert!(resolved(wrong).is_err(), "{wrong}");
        }
    }
}
