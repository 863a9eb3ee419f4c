//! The process lab: hosts are SSH servers inside this process. Runs anywhere; does not cover systemd
//! and sudo.

mod bad_distribution;
mod broker_tls;
mod certificates;
mod converge;
mod delta_upload;
mod drift;
mod haproxy;
mod history;
mod hooks;
mod inspecting;
mod interrupted;
mod logs;
mod probes;
mod saved_plans;
mod scaling;
mod secrets;
mod status_watch;
mod upgrade;

use std::path::PathBuf;

use apim_tests::cli::{Operator, Run};
use apim_tests::distributions::Distributions;
use apim_tests::process::ProcessHost;
use apim_tests::rehearsal::Rehearsal;
use apim_tests::tree;
use serde_json::json;

use crate::{JSON, assert_nothing_changed};

/// One operator and one host, `am1`, for an all-in-one node.
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

    /// Applies and prints JSON, for tests that read counts.
    fn apply_json(&self) -> Run {
        let inventory = self.inventory();
        self.operator
            .run(["apply".as_ref(), inventory.as_os_str()].into_iter().chain(JSON.map(AsRef::as_ref)))
    }

    /// Applies and asserts that nothing changed.
    #[track_caller]
    fn assert_up_to_date(&self) {
        assert_nothing_changed(self.apply_json());
    }

    /// The files of the host, without those that a running server writes.
    fn tree(&self) -> String {
        tree::describe(&self.host().root, &["opt", "etc"], &super::varies)
    }
}
