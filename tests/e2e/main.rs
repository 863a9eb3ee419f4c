//! End-to-end tests: the real `apim-deploy`, the real agent, real SSH.
//!
//! `machine` needs root on Linux and says so where it cannot run; `process` runs anywhere.
#![expect(clippy::print_stderr, reason = "a skipped test says why")]

mod databases;
mod machine;
mod process;

use std::collections::BTreeMap;

use apim_tests::cli::Run;

/// Returns how many steps the recap says were changed, over all hosts.
fn changed(run: &Run) -> u64 {
    recap(run).values().filter_map(|counts| counts.get("changed")).sum()
}

/// Reads the recap: per host, how many steps had which outcome.
#[track_caller]
fn recap(run: &Run) -> BTreeMap<String, BTreeMap<String, u64>> {
    let text = run.text();
    let mut header: Vec<String> = Vec::new();
    let mut hosts = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.starts_with(&["host", "ok", "changed", "skipped", "failed", "unreachable"]) {
            header = words.iter().skip(1).map(|word| (*word).to_owned()).collect();
            hosts.clear();
        } else if !header.is_empty() && words.len() > header.len() {
            let numbers: Option<Vec<u64>> =
                words[1..=header.len()].iter().map(|word| word.parse().ok()).collect();
            if let Some(numbers) = numbers {
                hosts.insert(words[0].to_owned(), header.iter().cloned().zip(numbers).collect());
            }
        }
    }
    assert!(!hosts.is_empty(), "there is no recap in\n{text}");
    hosts
}

/// Says whether a path of a host differs between two runs that did the same: what a running server writes.
fn varies(path: &str) -> bool {
    ["/repository/logs", "/repository/database", "/repository/components/tmp", "/tmp", "/work", "/patches"]
        .iter()
        .any(|part| path.ends_with(part))
        // It says when the release was unpacked.
        || path.ends_with("/.apim-deploy.json")
        || path.ends_with(".pid")
        || path.ends_with(".log")
        || path.starts_with("etc/mtab")
        || path.starts_with("etc/ld.so")
}
