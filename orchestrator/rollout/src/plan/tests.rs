//! Plans from inventories and playbooks.

use std::collections::BTreeMap;

use apim_protocol::operation::Operation;
use apim_protocol::operation::wait::Condition;

use super::model::OnFailure;
use super::{Disruption, PlanInputs, PlanOptions, draft, show};
use apim_documents::inventory::{self, Inventory};
use apim_documents::playbook::tags::Wanted;
use apim_documents::playbook::{self, Playbook};
use apim_product::yaml::{Mistakes, Span};
use apim_product::{Cluster, FileError};

pub(super) const INVENTORY: &str = r#"
all:
  vars:
    apim:
      version: 4.6.0
      distributions:
        source: /srv/zips
        sha256:
          control_plane: "1111111111111111111111111111111111111111111111111111111111111111"
          gateway: "2222222222222222222222222222222222222222222222222222222222222222"
          traffic_manager: "3333333333333333333333333333333333333333333333333333333333333333"
      java: {home: /opt/java}
      admin: {username: admin, password: plain-secret}
      endpoints:
        control_plane: api.example.com
        gateway: gw.example.com
        key_manager: km.example.com
        traffic_manager: tm.example.com
      databases:
        type: mysql
        host: db
        driver: {source: /srv/driver.jar, sha256: "4444444444444444444444444444444444444444444444444444444444444444"}
        apim_db: {name: apim_db, username: u, password: p}
        shared_db: {name: shared_db, username: u, password: p}
  children:
    key_manager: {hosts: {km1: {ansible_host: 10.0.0.1}, km2: {ansible_host: 10.0.0.2}}}
    gateway: {hosts: {gw1: {ansible_host: 10.0.0.3}, gw2: {ansible_host: 10.0.0.4}}}
    control_plane: {hosts: {cp1: {ansible_host: 10.0.0.5}, cp2: {ansible_host: 10.0.0.6}}}
    traffic_manager: {hosts: {tm1: {ansible_host: 10.0.0.7}, tm2: {ansible_host: 10.0.0.8}}}
    database: {hosts: {db: {ansible_host: 10.0.0.9}}}
"#;

pub(super) fn load(text: &str) -> (Inventory, Cluster) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inventory.yaml");
    std::fs::write(&path, text).unwrap();
    let inventory = inventory::load(&path, &inventory::Options::default())
        .unwrap_or_else(|mistakes| panic!("{}", mistakes.render(apim_product::yaml::Colours::Off)));
    let mut mistakes = Mistakes::default();
    let none = |path: &str, _: &Span| Err(FileError::missing(path));
    let cluster = Cluster::build(&inventory.host_inputs(), &none, &mut mistakes);
    (inventory, cluster.unwrap_or_else(|| panic!("{}", mistakes.render(apim_product::yaml::Colours::Off))))
}

fn plan_of(playbook: &Playbook, limit: Option<&str>, tags: &Wanted) -> super::model::Plan {
    let (inventory, cluster) = load(INVENTORY);
    let inputs = PlanInputs { inventory: &inventory, playbook, cluster: &cluster, limit, tags };
    draft(&inputs, &PlanOptions::default())
        .unwrap_or_else(|mistakes| panic!("{}", mistakes.render(apim_product::yaml::Colours::Off)))
        .finish(&BTreeMap::new())
}

pub(super) fn parsed(text: &str) -> Playbook {
    playbook::parse("play.yaml", text)
        .unwrap_or_else(|mistakes| panic!("{}", mistakes.render(apim_product::yaml::Colours::Off)))
}

fn site() -> Playbook {
    let text = playbook::built_in("site.yaml").unwrap();
    playbook::parse("built-in site.yaml", text).unwrap()
}

#[test]
fn the_built_in_site_as_text() {
    insta::assert_snapshot!(show::text(&plan_of(&site(), None, &Wanted::default())));
}

#[test]
fn json_has_one_object_per_step() {
    let plan = plan_of(&site(), Some("gw1"), &Wanted::default());
    let steps = plan.steps().count();
    let text = show::json(&plan);
    assert_eq!(text.lines().count(), steps);
    for line in text.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((&value["event"], &value["host"]), (&"planned".into(), &"gw1".into()));
        assert!(value["step"].is_u64() && value["title"].is_string(), "{line}");
    }
}

#[test]
fn limit_removes_other_hosts_and_empty_stages() {
    let plan = plan_of(&site(), Some("gateway:!gw2"), &Wanted::default());
    let hosts: Vec<&str> = plan.lanes().map(|lane| lane.host.0.as_str()).collect();
    assert!(!hosts.is_empty() && hosts.iter().all(|host| *host == "gw1"), "{hosts:?}");
    assert!(plan.stages.iter().all(|stage| !stage.lanes.is_empty()));
}

#[test]
fn tags_select_tasks() {
    let only = Wanted { only: vec!["start".into()], skip: Vec::new() };
    let plan = plan_of(&site(), None, &only);
    assert!(plan.steps().count() > 0, "the plan is empty");
    assert!(
        plan.stages.iter().all(|stage| stage.title.contains("start") || stage.title.contains("complete"))
    );
}

fn mistakes_of(limit: Option<&str>, tags: &Wanted) -> Vec<(String, Option<String>)> {
    let (inventory, cluster) = load(INVENTORY);
    let playbook = site();
    let inputs = PlanInputs { inventory: &inventory, playbook: &playbook, cluster: &cluster, limit, tags };
    let mistakes = draft(&inputs, &PlanOptions::default()).err().unwrap_or_default();
    mistakes.0.into_iter().map(|mistake| (mistake.what, mistake.hint)).collect()
}

#[test]
fn unknown_tag_is_an_error() {
    for flag in ["--tags", "--skip-tags"] {
        let mut tags = Wanted::default();
        let list = if flag == "--tags" { &mut tags.only } else { &mut tags.skip };
        list.extend(["strat".to_owned(), "untagged".to_owned()]);
        let found = mistakes_of(None, &tags);
        let what = "unknown tag `strat`".to_owned();
        assert_eq!(found, [(what, Some("did you mean `start`?".to_owned()))], "{flag}");
    }
}

#[test]
fn limit_without_hosts_is_an_error() {
    let found = mistakes_of(Some("load_balancer"), &Wanted::default());
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, "--limit `load_balancer` matches no host of the plays");
    assert!(mistakes_of(Some("gw1"), &Wanted::default()).is_empty());
}

#[test]
fn batch_becomes_stage_with_failure_rule() {
    let plan = plan_of(
        &parsed(
            "- {name: a, hosts: gateway, serial: 1, max_fail_percentage: 30, tasks: [{command: /bin/true}]}\n\
             - {name: b, hosts: gateway, any_errors_fatal: true, tasks: [{command: /bin/true}]}\n",
        ),
        None,
        &Wanted::default(),
    );
    let stages: Vec<_> =
        plan.stages.iter().map(|s| (s.title.as_str(), s.lanes.len(), s.on_failure)).collect();
    assert_eq!(
        stages,
        [
            ("a (1/2)", 1, OnFailure::StopAbove(30)),
            ("a (2/2)", 1, OnFailure::StopAbove(30)),
            ("b", 2, OnFailure::StopAtOnce),
        ]
    );
}

#[test]
fn linear_strategy_and_run_once() {
    let plan = plan_of(
        &parsed(
            "- name: a\n  hosts: gateway\n  strategy: linear\n  tasks:\n\
             \x20   - {name: one, command: /bin/one}\n\
             \x20   - {name: two, command: /bin/two, run_once: true}\n",
        ),
        None,
        &Wanted::default(),
    );
    let stages: Vec<_> = plan.stages.iter().map(|s| (s.title.as_str(), s.lanes.len())).collect();
    assert_eq!(stages, [("a: one", 2), ("a: two", 1)]);
}

#[test]
fn delegated_task_gets_own_stage_on_localhost() {
    let plan = plan_of(
        &parsed(
            "- name: a\n  hosts: gw1\n  tasks:\n\
             \x20   - {name: one, command: /bin/one}\n\
             \x20   - {name: two, command: /bin/two, delegate_to: localhost}\n\
             \x20   - {name: three, command: /bin/three}\n",
        ),
        None,
        &Wanted::default(),
    );
    let lanes: Vec<_> = plan.stages.iter().map(|s| s.lanes[0].host.0.as_str()).collect();
    assert_eq!(lanes, ["gw1", "localhost", "gw1"]);
}

#[test]
fn false_condition_counts_as_skipped() {
    let plan = plan_of(
        &parsed(
            "- name: a\n  hosts: gateway\n  tasks:\n\
             \x20   - {name: one, command: /bin/one, when: inventory_hostname == 'gw1'}\n",
        ),
        None,
        &Wanted::default(),
    );
    assert_eq!(plan.stages[0].lanes.len(), 1);
    assert_eq!(plan.left_out.iter().map(|(host, n)| (host.0.as_str(), *n)).collect::<Vec<_>>(), [("gw2", 1)]);
}

#[test]
fn plan_text_contains_no_secret() {
    let text = show::text(&plan_of(&site(), None, &Wanted::default()));
    assert!(!text.contains("plain-secret"));
}

#[test]
fn nodes_on_one_host_run_one_after_another() {
    let text = INVENTORY.replace(
        "gateway: {hosts: {gw1: {ansible_host: 10.0.0.3}, gw2: {ansible_host: 10.0.0.4}}}",
        "gateway: {hosts: {km1: {apim: {gateway: {port_offset: 1}}}}}",
    );
    let (inventory, cluster) = load(&text);
    let playbook = parsed(
        "- name: a\n  hosts: km1\n  tasks:\n    - apim_service: {state: started}\n    - apim_health: {gate: started}\n",
    );
    let tags = Wanted::default();
    let inputs = PlanInputs {
        inventory: &inventory,
        playbook: &playbook,
        cluster: &cluster,
        limit: None,
        tags: &tags,
    };
    let plan = draft(&inputs, &PlanOptions::default()).unwrap().finish(&BTreeMap::new());
    let mut nodes: Vec<_> =
        plan.stages[0].lanes[0].steps.iter().filter_map(|step| step.node.clone()).collect();
    let steps = nodes.len();
    nodes.dedup();
    assert_eq!(nodes.len(), 2, "one node is finished before the next one starts");
    assert!(steps >= 4);
}

/// Returns the errors of a playbook whose tasks are for gw1: line and message.
fn mistake_of(inventory: &str, play: &str) -> Vec<(usize, String)> {
    let (inventory, cluster) = load(inventory);
    let playbook = parsed(&format!("- hosts: gw1\n{play}"));
    let tags = Wanted::default();
    let inputs = PlanInputs {
        inventory: &inventory,
        playbook: &playbook,
        cluster: &cluster,
        limit: None,
        tags: &tags,
    };
    let mistakes = draft(&inputs, &PlanOptions::default()).err().unwrap_or_default();
    mistakes.0.into_iter().map(|mistake| (mistake.span.line, mistake.what)).collect()
}

#[test]
fn become_options_work_or_fail_with_line() {
    for (play, expected) in [
        ("  tasks:\n    - command: a\n      become: false\n", None),
        ("  become: true\n  tasks:\n    - command: a\n      become_user: app\n", None),
        (
            "  become: true\n  tasks:\n    - command: a\n    - command: b\n      become: false\n",
            Some((6, "`become: false` is not possible: other tasks on gw1 set `become: true`")),
        ),
        (
            "  tasks:\n    - command: a\n      become_user: app\n",
            Some((4, "`become_user: app` has no effect without `become: true`")),
        ),
        (
            "  become: true\n  tasks:\n    - copy: {content: a, dest: /a}\n      become_user: app\n",
            Some((5, "`copy` does not support `become_user: app`")),
        ),
        (
            "  become: true\n  tasks:\n    - apim_configuration:\n      become_user: app\n",
            Some((5, "`apim_configuration` does not support `become_user: app`")),
        ),
        (
            "  tasks:\n    - apim_configuration:\n      delegate_to: localhost\n",
            Some((3, "`apim_configuration` runs on the hosts of its nodes and cannot be delegated")),
        ),
    ] {
        let found = mistake_of(INVENTORY, play);
        match expected {
            None => assert_eq!(found, [], "{play}"),
            Some((line, what)) => assert_eq!(found, [(line, what.to_owned())], "{play}"),
        }
    }
    // The inventory takes precedence, as in Ansible.
    let play = "  tasks:\n    - command: a\n      become_user: app\n    - command: b\n      become: false\n";
    let says = INVENTORY.replace("ansible_host: 10.0.0.3", "ansible_host: 10.0.0.3, ansible_become: true");
    assert_eq!(mistake_of(&says, play), []);
}

#[test]
fn retries_check_mode_and_delegation_reach_steps() {
    let plan = plan_of(
        &parsed(
            "- name: a\n  hosts: gateway\n  tasks:\n\
             \x20   - {name: one, command: /bin/one, retries: 3, delay: 7, ignore_errors: true}\n\
             \x20   - {name: two, command: /bin/two, run_once: true, delegate_to: localhost}\n\
             \x20   - {name: three, command: /bin/three, delegate_to: localhost, check_mode: true}\n",
        ),
        None,
        &Wanted::default(),
    );
    let steps: Vec<_> = plan
        .lanes()
        .flat_map(|lane| lane.steps.iter().map(|step| (lane.host.0.as_str(), step)))
        .map(|(host, step)| {
            (
                host,
                step.title.as_str(),
                step.options.retries,
                step.options.delay_secs,
                step.options.ignore_failure,
                step.options.check_only,
            )
        })
        .collect();
    assert_eq!(
        steps,
        [
            ("gw1", "one", 3, 7, true, false),
            ("gw2", "one", 3, 7, true, false),
            ("localhost", "two", 0, 5, false, false),
            ("localhost", "three", 0, 5, false, true),
            ("localhost", "three", 0, 5, false, true),
        ]
    );
}

/// The same cluster behind a managed nginx.
fn balanced() -> String {
    let issued =
        "keystores: {mode: issued, passphrase: long-enough-passphrase, password: secret-of-keystores}";
    let text = INVENTORY.replacen(
        "  apim:\n",
        &format!("  apim:\n      {issued}\n      load_balancer: {{kind: nginx}}\n"),
        1,
    );
    text.replacen(
        "    database: {hosts:",
        "    load_balancer: {hosts: {lb: {ansible_host: 10.0.0.10}}}\n    database: {hosts:",
        1,
    )
}

#[test]
fn plan_drains_nodes_and_adds_unmanaged_peers() {
    let (inventory, cluster) = load(&balanced());
    let playbook = parsed(playbook::built_in("rolling-restart.yaml").unwrap());
    let tags = Wanted::default();
    let inputs = PlanInputs {
        inventory: &inventory,
        playbook: &playbook,
        cluster: &cluster,
        limit: Some("gw1:km1"),
        tags: &tags,
    };
    let disruption = Disruption { budget_cluster: &cluster, drains: true, stays_drained: false };
    let options = PlanOptions { disruption: Some(disruption), ..PlanOptions::default() };
    let plan = draft(&inputs, &options).unwrap().finish(&BTreeMap::new());
    let out: Vec<&str> = plan.rotations.keys().map(|node| node.0.as_str()).collect();
    assert_eq!(out.len(), 2, "{out:?}");
    for rotation in plan.rotations.values() {
        assert_eq!(rotation.limit_secs, 30);
        let [balancer] = rotation.balancers.as_slice() else { panic!("{rotation:?}") };
        let (Operation::Bundle(drain), Operation::Bundle(undrain)) = (&balancer.drain, &balancer.undrain)
        else {
            panic!("{balancer:?}")
        };
        assert_eq!(balancer.host.0, "lb");
        assert!(!drain.files.is_empty() && drain != undrain);
        let files = drain.files.iter().chain(&undrain.files);
        assert!(files.clone().all(|file| plan.contents.sources.contains_key(&file.content.sha256)));
        let Condition::Quiet { ports, from, .. } = &rotation.quiet else { panic!("{rotation:?}") };
        assert!(ports.contains(&9443));
        assert_eq!(from.as_slice(), ["10.0.0.10".parse::<std::net::IpAddr>().unwrap()]);
    }
    let unmanaged: Vec<&str> =
        plan.peers.iter().filter(|one| !one.is_worked_on).map(|one| one.host.0.as_str()).collect();
    assert_eq!(unmanaged, ["km2", "gw2"]);
}
