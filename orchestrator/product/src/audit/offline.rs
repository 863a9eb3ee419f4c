//! Checks of the inventory.

use super::{DEPLOYMENT, Evidence, Item, SECURITY, State, TUNING, evidence, not_applicable};
use crate::cluster::Cluster;
use crate::hardening::check::{Rule, Unfit, unfit};
use crate::release::Series;
use crate::settings::hardening::{Jmx, Verifier};
use crate::topology::Node;

pub(super) fn items(cluster: &Cluster, open: &[String]) -> Vec<Item> {
    let unfit: Vec<Unfit> = cluster.nodes().iter().flat_map(unfit).collect();
    let by_rule = |rule: Rule, good: &str| -> Vec<Evidence> {
        let mut found: Vec<Evidence> = Vec::new();
        for one in unfit.iter().filter(|one| one.rule == rule) {
            let place =
                one.span.file_name().map(|file| format!(" ({file}:{})", one.span.line)).unwrap_or_default();
            let broken = evidence(None, false, format!("{}{place}", one.what));
            if !found.contains(&broken) {
                found.push(broken);
            }
        }
        if found.is_empty() { vec![evidence(None, true, good)] } else { found }
    };
    let is_production = cluster.nodes().iter().any(|node| node.settings.hardening.production);
    let mut secrets: Vec<Evidence> = open.iter().map(|what| evidence(None, false, what)).collect();
    if secrets.is_empty() {
        secrets.push(evidence(None, true, "no file with a secret is readable by other users"));
    }
    vec![
        Item {
            name: "passwords",
            what: "no default or common passwords",
            required: true,
            evidence: by_rule(Rule::Passwords, "administrator and databases use custom passwords"),
            remedy: "choose long random passwords and store them in `!vault`, `!env` or `!file`",
            source: SECURITY,
        },
        Item {
            name: "keystores",
            what: "custom keystores with custom passwords",
            required: true,
            evidence: by_rule(Rule::Keystores, "no shipped keystore is used"),
            remedy: "set `apim: {keystores: …}`: the private key of the shipped keystore is public",
            source: SECURITY,
        },
        Item {
            name: "database",
            what: "data is on a database server, not in H2 files",
            required: true,
            evidence: by_rule(Rule::Database, "a database server is configured"),
            remedy: "`apim: {databases: …}`",
            source: DEPLOYMENT,
        },
        Item {
            name: "secret_files",
            what: "files with secrets on this machine are private",
            required: true,
            evidence: secrets,
            remedy: "chmod 600, or use `!vault` instead of the plain secret",
            source: SECURITY,
        },
        Item {
            name: "encryption_key",
            what: "all nodes use the same key for encryption at rest",
            required: true,
            evidence: encryption(cluster),
            remedy: "set `apim: {encryption_key: …}`; generate a key with `openssl rand -hex 32`",
            source: "Symmetric encryption",
        },
        Item {
            name: "hostname_verifier",
            what: "the server verifies host names in certificates",
            required: true,
            evidence: each(cluster, |node| {
                let verifier = node.settings.hardening.hostname_verifier;
                (
                    verifier != Verifier::AllowAll,
                    format!("httpclient.hostnameVerifier is {}", verifier.word()),
                )
            }),
            remedy: "`apim: {hardening: {hostname_verifier: strict}}`",
            source: SECURITY,
        },
        Item {
            name: "jmx",
            what: "JMX is off, or limited to the loopback address",
            required: true,
            evidence: each(cluster, |node| match node.settings.hardening.jmx {
                Jmx::On => (false, "two RMI ports on all addresses".to_owned()),
                Jmx::Local => (true, "local".to_owned()),
                Jmx::Off => (true, "off".to_owned()),
            }),
            remedy: "`apim: {hardening: {jmx: off}}`",
            source: SECURITY,
        },
        Item {
            name: "jvm_flags",
            what: "the JVM's TLS and XML flags are set",
            required: is_production,
            evidence: each(cluster, |node| {
                let on = node.settings.hardening.jvm;
                (on, if on { "set" } else { "not set" }.to_owned())
            }),
            remedy: "`apim: {hardening: {jvm: true}}`",
            source: SECURITY,
        },
        Item {
            name: "heap",
            what: "at least 2 GB of heap, with equal initial and maximum size",
            required: false,
            evidence: each(cluster, |node| {
                let (first, most) = node.own.heap.mebibytes();
                (first == most && most >= 2048, node.own.heap.options())
            }),
            remedy: "set `apim: {gateway: {heap: 2g}}`, likewise for each role",
            source: TUNING,
        },
    ]
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

fn encryption(cluster: &Cluster) -> Vec<Evidence> {
    let needs: Vec<&Node> =
        cluster.nodes().iter().filter(|node| node.version.series() >= Series::V4_7).collect();
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
