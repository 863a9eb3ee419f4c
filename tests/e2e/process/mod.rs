//! On processes: one all-in-one node on a host that is an SSH server of this process. Runs anywhere; says nothing of systemd and sudo.

mod bound;
mod converge;
mod edited;
mod haproxy;
mod history;
mod hooks;
mod interrupted;
mod issued;
mod looking;
mod messaging;
mod probed;
mod reading;
mod refused;
mod scaled;
mod secrets;
mod upgrade;
mod upgraded;
mod watching;

use std::path::PathBuf;

use apim_tests::cli::{Operator, Run};
use apim_tests::distributions::Distributions;
use apim_tests::process::ProcessHost;
use apim_tests::rehearsal::Rehearsal;
use apim_tests::tree;
use serde_json::json;

/// One operator and one host, `am1`, that is to become an all-in-one node.
struct Small {
    operator: Operator,
    rehearsal: Rehearsal,
}

impl Small {
    fn new() -> Self {
        Self::with(&Distributions::ready())
    }

    fn with(distributions: &Distributions) -> Self {
        let nodes = [("am1", "all_in_one", "all-in-one")];
        let mut rehearsal = Rehearsal::up(&nodes, distributions).expect("the process lab comes up");
        rehearsal.inventory.set("endpoints", json!({}));
        Self { operator: Operator::new(), rehearsal }
    }

    fn host(&self) -> &ProcessHost {
        &self.rehearsal.lab.hosts()[0]
    }

    fn inventory(&self) -> PathBuf {
        self.rehearsal.write()
    }

    fn apply(&self) -> Run {
        self.operator.run(["apply".as_ref(), self.inventory().as_os_str()])
    }

    /// What the host holds, but for what differs between two runs of a server: logs, pid files, times of starts.
    fn tree(&self) -> String {
        tree::describe(&self.host().root, &["opt", "etc"], &super::varies)
    }
}
