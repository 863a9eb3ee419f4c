//! The checklist on different clusters.

use std::collections::BTreeMap;

use apim_protocol::observation::{Account, Answer, Entry, Listener};
use apim_protocol::query::examine::Question;

use super::{Item, State, examine, items};
use crate::Cluster;
use crate::testing::{HA, cluster};

fn item<'a>(items: &'a [Item], name: &str) -> &'a Item {
    items.iter().find(|item| item.name == name).unwrap_or_else(|| panic!("no item {name}"))
}

#[test]
fn offline_audit_finds_shipped_defaults() {
    let found = items(&cluster(HA), None, &["`x` is readable by other users".to_owned()]);
    for name in ["passwords", "keystores", "secret_files", "hostname_verifier", "jmx"] {
        let item = item(&found, name);
        assert!(item.fails() && !item.remedy.is_empty() && !item.source.is_empty(), "{item:?}");
    }
    assert_eq!(item(&found, "database").state(), State::Holds);
    assert_eq!(item(&found, "encryption_key").state(), State::NotApplicable);
    assert!(
        item(&found, "passwords").evidence.iter().any(|one| one.found.contains("test.yaml:")),
        "{found:?}"
    );
    assert!(!found.iter().any(|item| item.name == "account"), "no host was queried");
}

fn answers(cluster: &Cluster, host: &str, change: impl Fn(&Question, &mut Answer)) -> Vec<Answer> {
    let answer = |question: &Question| {
        let mut answer = match question {
            Question::Account(_) => {
                Answer::Account(Some(Account { uid: 802, shell: "/usr/sbin/nologin".into() }))
            }
            Question::Listeners { ports, .. } => Answer::Listeners(vec![Listener {
                port: ports.iter().copied().find(|port| *port == 9443).unwrap_or(9443),
                address: "0.0.0.0".into(),
                pid: Some(7),
                name: "java".into(),
                account: "wso2carbon".into(),
                own: Some(0),
            }]),
            Question::Entry { path, .. } => Answer::Entry(Some(Entry {
                kind: "file".into(),
                mode: if path.as_str().ends_with(".toml") { 0o600 } else { 0o700 },
                owner: "wso2carbon".into(),
                group: "wso2".into(),
                sha256: None,
            })),
            Question::Holds { texts, .. } => Answer::Holds(vec![false; texts.len()]),
            Question::Unit { properties, .. } => {
                let value = |property: &str| match property {
                    "LoadState" => "loaded",
                    "LimitNOFILE" => "65535",
                    "ProtectSystem" => "strict",
                    _ => "yes",
                };
                let pairs = properties.iter().map(|one| (one.clone(), value(one).to_owned()));
                Answer::Unit(pairs.collect::<BTreeMap<_, _>>())
            }
            Question::Clock => Answer::Clock { unix_millis: 1, keeper: Some("chronyd".into()) },
            _ => Answer::Text(None),
        };
        change(question, &mut answer);
        answer
    };
    examine(cluster, host).questions.iter().map(answer).collect()
}

#[test]
fn hosts_pass_and_fail_checks() {
    let cluster = cluster(HA);
    let good = answers(&cluster, "gw-1", |_, _| {});
    let bad = answers(&cluster, "gw-2", |question, answer| match (question, answer) {
        (Question::Entry { path, .. }, Answer::Entry(Some(entry))) if path.as_str().ends_with(".toml") => {
            entry.mode = 0o644;
        }
        (Question::Account(_), Answer::Account(Some(account))) => account.shell = "/bin/bash".into(),
        (Question::Listeners { .. }, Answer::Listeners(found)) => {
            found[0].account = "root".into();
            found.push(Listener { port: 9999, ..found[0].clone() });
        }
        (Question::Holds { .. }, Answer::Holds(held)) => held[0] = true,
        (Question::Unit { .. }, Answer::Unit(unit)) => {
            unit.insert("LimitNOFILE".into(), "1024".into());
        }
        _ => {}
    });
    let seen = [
        super::HostAnswers { host: "gw-1", answers: Ok(good.as_slice()) },
        super::HostAnswers { host: "gw-2", answers: Ok(bad.as_slice()) },
        super::HostAnswers {
            host: "km-1",
            answers: Err(apim_protocol::outcome::Failure::new("unreachable")),
        },
    ];
    let found = items(&cluster, Some(&seen), &[]);
    for name in ["account", "running_user", "modes", "shipped_in_use", "jmx_ports", "limits"] {
        let item = item(&found, name);
        let of = |host: &str| {
            item.evidence.iter().filter(|one| one.host.as_deref() == Some(host)).map(|one| one.state).max()
        };
        assert_eq!(
            (of("gw-1"), of("gw-2"), of("km-1")),
            (Some(State::Holds), Some(State::Broken), Some(State::Unknown)),
            "{item:?}"
        );
        assert!(item.fails());
    }
    assert!(item(&found, "modes").evidence.iter().any(|one| one.found.contains("0644")));
    assert!(item(&found, "sandbox").state() <= State::Unknown);
}
