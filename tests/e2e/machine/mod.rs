//! On machines: systemd, OpenSSH, MariaDB. One at a time, for there is one lab per machine.

mod lab;

use apim_tests::machine::{Machines, Owner, Topology, can_run};

/// Returns a lab of these hosts, or says why there is none and returns nothing.
fn lab(topology: &Topology) -> Option<Machines> {
    if let Err(why) = can_run() {
        eprintln!("SKIPPED: {why}");
        return None;
    }
    Some(
        Machines::up(topology, Owner::Process)
            .unwrap_or_else(|error| panic!("the lab does not come up: {error}")),
    )
}
