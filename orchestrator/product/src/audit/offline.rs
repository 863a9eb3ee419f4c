//! Checks of the inventory.

use super::model::{
    Check, DEPLOYMENT, Evidence, Item, Required, SECURITY, State, TUNING, evidence, not_applicable,
};
use crate::cluster::Cluster;
use crate::hardening::check::{Rule, Unfit, unfit};
use crate::release::Series;
use crate::settings::hardening::{Jmx, Verifier};
use crate::topology::Node;

/// What the checks of the inventory compare.
struct Inventory<'a> {
    cluster: &'a Cluster,
    /// Settings that are unsuitable for production.
    unfit: Vec<Unfit>,
    /// Files with secrets that other users can read.
    open: &'a [String],
}

type Judge = for<'a> fn(&Inventory<'a>) -> Vec<Evidence>;

const CHECKS: [Check<Judge>; 9] = [
    Check {
        name: "passwords",
        what: "no default or common passwords",
        required: Required::Yes,
        judge: passwords,
        remedy: "choose long random passwords and store them in `!vault`, `!env` or `!file`",
        source: SECURITY,
    },
    Check {
        name: "keystores",
        what: "custom keystores with custom passwords",
        required: Required::Yes,
        judge: keystores,
        remedy: "set `apim: {keystores: …}`: the private key of the shipped keystore is public",
        source: SECURITY,
    },
    Check {
        name: "database",
        what: "data is on a database server, not in H2 files",
        required: Required::Yes,
        judge: database,
        remedy: "`apim: {databases: …}`",
        source: DEPLOYMENT,
    },
    Check {
        name: "secret_files",
        what: "files with secrets on this machine are private",
        required: Required::Yes,
        judge: secret_files,
        remedy: "chmod 600, or use `!vault` instead of the plain secret",
        source: SECURITY,
    },
    Check {
        name: "encryption_key",
        what: "all nodes use the same key for encryption at rest",
        required: Required::Yes,
        judge: encryption,
        remedy: "set `apim: {encryption_key: …}`; generate a key with `openssl rand -hex 32`",
        source: "Symmetric encryption",
    },
    Check {
        name: "hostname_verifier",
        what: "the server verifies host names in certificates",
        required: Required::Yes,
        judge: hostname_verifier,
        remedy: "`apim: {hardening: {hostname_verifier: strict}}`",
        source: SECURITY,
    },
    Check {
        name: "jmx",
        what: "JMX is off, or limited to the loopback address",
        required: Required::Yes,
        judge: jmx,
        remedy: "`apim: {hardening: {jmx: off}}`",
        source: SECURITY,
    },
    Check {
        name: "jvm_flags",
        what: "the JVM's TLS and XML flags are set",
        required: Required::InProduction,
        judge: jvm_flags,
        remedy: "`apim: {hardening: {jvm: true}}`",
        source: SECURITY,
    },
    Check {
        name: "heap",
        what: "at least 2 GB of heap, with equal initial and maximum size",
        required: Required::No,
        judge: heap,
        remedy: "set `apim: {gateway: {heap: 2g}}`, likewise for each role",
        source: TUNING,
    },
];

pub(super) fn items(cluster: &Cluster, open: &[String]) -> Vec<Item> {
    let unfit = cluster.nodes().iter().flat_map(unfit).collect();
    let inventory = Inventory { cluster, unfit, open };
    CHECKS.iter().map(|check| check.item(cluster, (check.judge)(&inventory))).collect()
}

impl Inventory<'_> {
    /// Returns the violations of a rule, or `good` if there are none.
    fn by_rule(&self, rule: Rule, good: &str) -> Vec<Evidence> {
        let mut found: Vec<Evidence> = Vec::new();
        for one in self.unfit.iter().filter(|one| one.rule == rule) {
            let place =
                one.span.file_name().map(|file| format!(" ({file}:{})", one.span.line)).unwrap_or_default();
            let broken = evidence(None, false, format!("{}{place}", one.what));
            if !found.contains(&broken) {
                found.push(broken);
            }
        }
        if found.is_empty() { vec![evidence(None, true, good)] } else { found }
    }
}

fn passwords(inventory: &Inventory<'_>) -> Vec<Evidence> {
    inventory.by_rule(Rule::Passwords, "administrator and databases use custom passwords")
}

fn keystores(inventory: &Inventory<'_>) -> Vec<Evidence> {
    inventory.by_rule(Rule::Keystores, "no shipped keystore is used")
}

fn database(inventory: &Inventory<'_>) -> Vec<Evidence> {
    inventory.by_rule(Rule::Database, "a database server is configured")
}

fn secret_files(inventory: &Inventory<'_>) -> Vec<Evidence> {
    let open = inventory.open;
    match open.is_empty() {
        true => vec![evidence(None, true, "no file with a secret is readable by other users")],
        false => open.iter().map(|what| evidence(None, false, what)).collect(),
    }
}

fn hostname_verifier(inventory: &Inventory<'_>) -> Vec<Evidence> {
    each(inventory.cluster, |node| {
        let verifier = node.settings.hardening.hostname_verifier;
        (verifier != Verifier::AllowAll, format!("httpclient.hostnameVerifier is {}", verifier.word()))
    })
}

fn jmx(inventory: &Inventory<'_>) -> Vec<Evidence> {
    each(inventory.cluster, |node| match node.settings.hardening.jmx {
        Jmx::On => (false, "two RMI ports on all addresses".to_owned()),
        Jmx::Local => (true, "local".to_owned()),
        Jmx::Off => (true, "off".to_owned()),
    })
}

fn jvm_flags(inventory: &Inventory<'_>) -> Vec<Evidence> {
    each(inventory.cluster, |node| {
        let on = node.settings.hardening.jvm;
        (on, if on { "set" } else { "not set" }.to_owned())
    })
}

fn heap(inventory: &Inventory<'_>) -> Vec<Evidence> {
    each(inventory.cluster, |node| {
        let (first, most) = node.own.heap.mebibytes();
        (first == most && most >= 2048, node.own.heap.options())
    })
}

/// Checks each node. Hosts with identical findings are grouped.
fn each(cluster: &Cluster, judge: impl Fn(&Node) -> (bool, String)) -> Vec<Evidence> {
    let mut found: Vec<(bool, String, Vec<&str>)> = Vec::new();
    for node in cluster.nodes() {
        let (passed, text) = judge(node);
        match found.iter_mut().find(|(known, words, _)| *known == passed && *words == text) {
            Some((_, _, nodes)) => nodes.push(&node.name.0),
            None => found.push((passed, text, vec![&node.name.0])),
        }
    }
    let is_same = found.len() == 1;
    let grouped = found.into_iter().map(|(passed, text, nodes)| {
        let text = if is_same { text } else { format!("{text}: {}", nodes.join(", ")) };
        evidence(None, passed, text)
    });
    grouped.collect()
}

fn encryption(inventory: &Inventory<'_>) -> Vec<Evidence> {
    let needs: Vec<&Node> =
        inventory.cluster.nodes().iter().filter(|node| node.version.series() >= Series::V4_7).collect();
    let keys: Vec<_> = needs.iter().map(|node| node.settings.encryption_key.as_ref()).collect();
    match keys.split_first() {
        None => vec![not_applicable(None, "applies from 4.7")],
        Some((first, rest)) if first.is_some() && rest.iter().all(|key| key == first) => {
            vec![evidence(None, true, "all nodes use the same key")]
        }
        Some(_) => {
            vec![Evidence {
                host: None,
                state: State::Broken,
                found: "the nodes do not share one key".to_owned(),
            }]
        }
    }
}
