//! Availability probes: requests to the cluster's service during a run. They measure how many
//! requests succeed, and how long the service was unavailable.
//!
//! ```text
//! expected    which responses count as successful, and why one does not
//! activity    what the run is doing, as text
//! tally       result of the requests to one URL: counts, longest gap, first failures; pure, bounded
//! url_prober  sends the requests to one URL: one client keeps its connection, the other opens a
//!             new one for each request
//! probes      what to probe; the check before a run
//! probing     the probers of a run: start, totals, end
//! shared      counts and activity of all probers
//! ```
//!
//! A request that is retried over a new connection, because the kept connection was closed before
//! the first byte of the response, has not failed: every client does that with a GET.

mod activity;
mod expected;
mod probes;
mod probing;
mod shared;
mod tally;
#[cfg(test)]
mod tests;
mod url_prober;

pub use expected::{Expected, InvalidStatus, ProbeFailure, Statuses};
pub use probes::Probes;
pub use probing::Probing;
pub use tally::{Failures, Gap, Slow, Sum};
