//! Hooks in an inventory: what they become for a node, and errors with their position.

use std::collections::BTreeMap;

use apim_protocol::operation::wait::Condition;

use super::*;
use crate::plan::tests::{INVENTORY, load, parsed};
use crate::plan::{Disruption, PlanInputs, PlanOptions, draft};
use apim_documents::playbook::built_in;
use apim_documents::playbook::tags::Wanted;
use apim_product::FileError;
use apim_product::hook::ShiftSpec;
use apim_product::work::Work;

/// The cluster with `load_balancer: …` for all, its first line being the ninth of the file.
fn with(lines: &str) -> String {
    let lines: String = lines.trim_matches('\n').lines().map(|line| format!("        {line}\n")).collect();
    INVENTORY.replacen("  apim:\n", &format!("  apim:\n      load_balancer:\n{lines}"), 1)
}

fn no_files(path: &str, _: &Span) -> Result<Vec<u8>, FileError> {
    Err(FileError::missing(path))
}

fn hooks_of(lines: &str, node: &str) -> Hooks {
    let (inventory, cluster) = load(&with(lines));
    let all = read(&inventory, &cluster, &no_files).unwrap_or_else(|found| panic!("{found:?}"));
    Hooks::clone(&all[&NodeName(node.to_owned())])
}

/// The errors, each as `line: what (hint)`.
fn mistakes(text: &str) -> Vec<String> {
    let (inventory, cluster) = load(text);
    let found = read(&inventory, &cluster, &no_files).expect_err("errors");
    let words = |m: &apim_product::yaml::Mistake| match &m.hint {
        Some(hint) => format!("{}: {} ({hint})", m.span.line, m.what),
        None => format!("{}: {}", m.span.line, m.what),
    };
    found.in_order().into_iter().map(words).collect()
}

const BOTH: &str = r#"
kind: external
drain:
- command: [lb, "{{ action }}", "{{ node.role }}/{{ node.name }}", "{{ node.ports.https }}", "{{ run }}"]
  environment: {LB_PASSWORD: sesame-123}
  stdin: "disable {{ node.address }}\n"
  hosts: control_plane
- http:
    url: https://lb.example.com/{{ node.role }}/{{ inventory_hostname }}?token=1
    method: PUT
    headers: {X-By: "{{ operator }}"}
    json: {state: drain, port: "{{ node.ports.https }}", tags: [a, true]}
    expect: [200, 204]
    user: anna
    password: hush-hush
  timeout_secs: 5
  retries: 0
drained: {command: [lb, sessions], contains: "0 sessions"}
undrain: {command: [lb, enable]}
"#;

#[test]
fn templates_use_node_and_host_variables() {
    let hooks = hooks_of(BOTH, "gw2");
    assert_eq!((hooks.host.as_str(), hooks.marker.as_str()), ("gw2", "/opt/wso2/gateway/drained"));
    let [one, two, http] = hooks.drain.as_slice() else { panic!("{hooks:?}") };
    assert_eq!((one.on(), two.on(), http.on()), (Some("cp1"), Some("cp2"), None));
    let Call::Command(program) = &one.call else { panic!("{one:?}") };
    assert_eq!(program.argv, ["lb", "drain", "gateway/gw2", "9443", RUN]);
    assert_eq!(program.environment["LB_PASSWORD"].expose(), "sesame-123");
    assert_eq!(program.stdin.as_ref().map(|text| text.expose()), Some("disable 10.0.0.4\n"));
    for (name, value) in [
        ("APIM_ACTION", "drain"),
        ("APIM_NODE", "gw2"),
        ("APIM_HOST", "gw2"),
        ("APIM_ADDRESS", "10.0.0.4"),
        ("APIM_ROLE", "gateway"),
        ("APIM_PORTS", "9443 9763 8243 8280 9099 8099 9021 8021"),
        ("APIM_GATEWAY_HTTPS_PORT", "8243"),
        ("APIM_OPERATOR", OPERATOR),
    ] {
        assert_eq!(program.facts[name], value, "{name}");
    }
    assert_eq!((one.timeout_secs, one.retries), (30, 2));
    assert_eq!(one.words, format!("lb drain gateway/gw2 9443 {RUN} on cp1"));

    let Call::Http(call) = &http.call else { panic!("{http:?}") };
    assert_eq!(call.url, "https://lb.example.com/gateway/gw2?token=1");
    assert_eq!(http.words, "PUT https://lb.example.com/gateway/gw2", "the query is not shown");
    assert_eq!((http.timeout_secs, http.retries), (5, 0));
    assert_eq!(call.expect, [200, 204]);
    let body = call.body.as_ref().map(|body| body.expose());
    assert_eq!(body, Some(r#"{"port":9443,"state":"drain","tags":["a",true]}"#));
    let headers: Vec<(&str, &str)> =
        call.headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!(headers, [("X-By", OPERATOR), ("Content-Type", "application/json")]);
    assert_eq!(hooks.drained[0].contains.as_deref(), Some("0 sessions"));

    let shown = format!("{hooks:?}");
    for secret in ["sesame", "hush", "disable"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn group_hooks_apply_to_group_only() {
    let text = INVENTORY.replace(
        "gateway: {hosts:",
        "gateway: {vars: {apim: {load_balancer: {kind: external, drain: {command: [lb]}, undrain: {command: [lb]}}}}, hosts:",
    );
    let (inventory, cluster) = load(&text);
    let all = read(&inventory, &cluster, &no_files).expect("hooks");
    let names: Vec<&str> = all.keys().map(|name| name.0.as_str()).collect();
    assert_eq!(names, ["gw1", "gw2"]);
}

#[test]
fn errors_are_reported_once_with_position() {
    let wrong = r#"
kind: external
drain:
- command: lb drain
- command: [lb, "{{ node.adress }}"]
- command: [lb, "{{ hush_password }}"]
- {command: [lb], http: {url: "https://lb"}}
- {http: {url: "https://anna:hush@lb/x", method: PUSH, expect: ok}}
- {http: {url: "http://lb", body: a, json: {}, user: anna, ca_file: ca.pem, headers: {"a b": c}}}
- {command: [], environment: {APIM_NODE: x, "1X": y}, timeout_secs: 0, host: lb}
- {command: [lb], hosts: nowhere}
undrain: []
"#;
    let text = with(wrong).replacen("    apim:\n", "    hush_password: x1y2z3\n    apim:\n", 1);
    insta::assert_snapshot!(mistakes(&text).join("\n"));
}

#[test]
fn drain_requires_undrain() {
    let found = mistakes(&with("kind: external\ndrain: {command: [lb]}\n"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("7: `apim.load_balancer` has `drain` but no `undrain`"), "{found:?}");
    let found = mistakes(&with("kind: external\nundrain: {command: [lb]}\ndrained: {command: [lb]}\n"));
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn unused_hooks_are_an_error() {
    let text = INVENTORY.replace(
        "database: {hosts:",
        "load_balancer: {vars: {apim: {load_balancer: {kind: external, drain: {command: [lb]}, undrain: {command: [lb]}}}}, hosts: {lb: {}}}\n    database: {hosts:",
    );
    let found = mistakes(&text);
    assert!(found[0].contains("`apim.load_balancer.drain` applies to no node"), "{found:?}");
}

#[test]
fn plan_calls_hooks_and_counts_all_connections() {
    let text = with(BOTH);
    let (inventory, mut cluster) = load(&text);
    cluster.set_hooks(read(&inventory, &cluster, &no_files).expect("hooks"));
    let playbook = parsed(built_in("rolling-restart.yaml").expect("a built-in playbook"));
    let tags = Wanted::default();
    let inputs = PlanInputs {
        inventory: &inventory,
        playbook: &playbook,
        cluster: &cluster,
        limit: Some("gw1"),
        tags: &tags,
    };
    let disruption = Disruption { budget_cluster: &cluster, drains: true, stays_drained: false };
    let options = PlanOptions { disruption: Some(disruption), ..PlanOptions::default() };
    let plan = draft(&inputs, &options).expect("a plan").finish(&BTreeMap::new());
    let rotation = &plan.rotations[&NodeName("gw1".to_owned())];
    assert!(rotation.balancers.is_empty() && rotation.hooks.is_some());
    let Condition::Quiet { ports, from, except } = &rotation.quiet else { panic!("{rotation:?}") };
    assert!(ports.contains(&8243) && from.is_empty());
    assert_eq!(except.len(), 8, "connections between nodes do not count");
    assert!(plan.peers.iter().all(|one| one.returned.is_some()));
    let hosts: Vec<String> = plan.hosts_of_hooks().into_iter().map(|host| host.0).collect();
    assert_eq!(hosts, ["cp1", "cp2"]);
    let steps: Vec<_> = plan.steps_with_rescues().map(|(_, step)| step).collect();
    let at = steps.iter().position(
        |step| matches!(&step.work, Work::Shift(shift) if shift.spec == ShiftSpec::UndrainIfDrained),
    );
    let at = at.expect("a step that undrains it");
    assert!(steps[at - 1].proves_health && steps[at].budget.is_none() && steps[at].look().is_some());

    let options = PlanOptions { without_hooks: true, ..PlanOptions::default() };
    let plan = draft(&inputs, &options).expect("a plan").finish(&BTreeMap::new());
    assert!(plan.steps_with_rescues().all(|(_, step)| !matches!(step.work, Work::Shift(_))));
}

#[test]
fn balancer_addresses_limit_counted_connections() {
    let (inventory, mut cluster) =
        load(&with(&format!("{}addresses: [10.1.0.1, 10.1.0.2]\n", BOTH.trim_start())));
    cluster.set_hooks(read(&inventory, &cluster, &no_files).expect("hooks"));
    let node = cluster.nodes().iter().find(|node| node.host == "gw1").expect("gw1");
    let Condition::Quiet { from, except, .. } = crate::plan::traffic::quiet(&cluster, node) else { panic!() };
    assert_eq!((from.len(), except.len()), (2, 0));
}
