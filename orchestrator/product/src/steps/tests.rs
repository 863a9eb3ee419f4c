//! Tests of the operations of tasks, units and health checks.

use apim_protocol::operation::archive::Source;
use apim_protocol::operation::unit::State;
use apim_protocol::operation::wait::{Condition, Wait};
use regex::Regex;

use super::*;
use crate::causes;
use crate::role::{Role, StartOrder};
use crate::task::ServiceState;
use crate::testing::{HA, SINGLE, basics, cluster, hosts, node};
use crate::unit;
use crate::work::{DatabaseSpec, Work};

fn titles(task: ApimTask, inventory: &str, host: &str) -> Vec<String> {
    lower(&task, &cluster(inventory), host).into_iter().map(|draft| draft.title).collect()
}

fn waits(inventory: &str, host: &str, gate: Gate) -> Wait {
    let drafts = lower(&ApimTask::Health(gate, None), &cluster(inventory), host);
    match drafts.into_iter().next().map(|draft| draft.work) {
        Some(Work::Host(Operation::Wait(wait))) => *wait,
        other => panic!("{other:?}"),
    }
}

#[test]
fn host_without_nodes_has_no_steps() {
    for task in [
        ApimTask::Account,
        ApimTask::Distribution,
        ApimTask::Configuration,
        ApimTask::Service(ServiceState::Started, None),
    ] {
        assert!(titles(task, HA, "lb").is_empty(), "{}", task.name());
    }
}

#[test]
fn release_is_unpacked_private_with_profile() {
    let cluster = cluster(HA);
    let drafts = lower(&ApimTask::Distribution, &cluster, "km-1");
    let archive = drafts
        .iter()
        .find_map(|draft| match draft.operation().unwrap() {
            Operation::Archive(archive) => Some((archive, &draft.files)),
            _ => None,
        })
        .expect("an archive");
    assert_eq!(archive.0.destination.as_str(), "/opt/wso2/key-manager/releases/4.6.0-11111111");
    assert_eq!(archive.1.first().map(|(_, name)| name.0.as_str()), Some("wso2am-acp-4.6.0.zip"));
    let [prepare] = archive.0.prepare.as_slice() else { panic!("one command") };
    assert_eq!(prepare.command.argv, ["/bin/sh", "bin/profileSetup.sh", "-Dprofile=key-manager"]);
    assert_eq!(prepare.output_holds.as_deref(), Some("Finished the optimizations"));
    let gateway = lower(&ApimTask::Distribution, &cluster, "gw-1");
    assert!(
        gateway.iter().all(
            |draft| !matches!(draft.operation().unwrap(), Operation::Archive(a) if !a.prepare.is_empty())
        )
    );
    assert!(drafts.iter().any(|draft| matches!(draft.operation().unwrap(), Operation::Directory(d)
            if d.path == archive.0.destination && d.mode.map(|m| m.bits()) == Some(0o750))));
}

#[test]
fn pulled_distributions_have_a_url_and_no_local_file() {
    let place = "source: https://x.example/{version}/{file}?a=b\n    fetch: pull\n    proxy: http://p:3128";
    let text = basics("").replace("source: zips", place) + &hosts(&["cp control_plane"]);
    let drafts = lower(&ApimTask::Distribution, &cluster(&text), "cp");
    let pull = drafts.iter().find_map(|draft| match draft.operation().unwrap() {
        Operation::Archive(archive) => match &archive.source {
            Source::Pulled(pull) => Some((pull, &draft.files)),
            Source::Pushed(_) => None,
        },
        _ => None,
    });
    let (pull, files) = pull.expect("a pull");
    assert_eq!(pull.url, "https://x.example/4.6.0/wso2am-acp-4.6.0.zip?a=b");
    assert_eq!(pull.proxy.as_deref(), Some("http://p:3128"));
    assert!(files.is_empty());
}

#[test]
fn artifact_sizes_are_set_by_digest() {
    let mut drafts = lower(&ApimTask::Driver, &cluster(HA), "gw-1");
    let draft = drafts.first_mut().expect("the driver");
    let digest = draft.files.first().expect("an artifact").0;
    draft.set_size(apim_protocol::value::Sha256::of(b"another"), 5);
    draft.set_size(digest, 7);
    assert!(matches!(draft.operation().unwrap(), Operation::File(file) if file.content.size == 7));
}

#[test]
fn configuration_is_private_and_masked() {
    let drafts = lower(&ApimTask::Configuration, &cluster(HA), "apim-cp-1");
    let [draft] = drafts.as_slice() else { panic!("one file") };
    let Operation::File(file) = draft.operation().unwrap() else { panic!("a file") };
    assert_eq!(file.mode.map(|mode| mode.bits()), Some(0o600));
    assert_eq!(file.owner.user.as_deref(), Some("wso2carbon"));
    let apim_protocol::operation::file::Show::Masked(secrets) = &file.show else { panic!("masked") };
    assert!(secrets.iter().any(|secret| secret.expose() == "sharedadmin"));
    assert_eq!(apim_protocol::value::Content::of(&draft.contents[0]), file.content);
}

#[test]
fn changed_inputs_restart_the_unit() {
    let before = cluster(HA);
    let inputs = |cluster: &crate::Cluster, host: &str| unit::inputs(cluster, node(cluster, host));
    let changed = |to: &str, host: &str| {
        let after = cluster(to);
        let (old, new) = (inputs(&before, host), inputs(&after, host));
        new.into_iter()
            .filter(|(key, value)| old.get(key) != Some(value))
            .map(|(key, _)| key)
            .collect::<Vec<_>>()
    };
    assert!(changed(HA, "gw-1").is_empty());
    assert_eq!(changed(&HA.replace("gateway: 2222", "gateway: 9222"), "gw-1"), ["release"]);
    assert_eq!(changed(&HA.replace("/opt/java", "/opt/java2"), "gw-1"), ["JDK"]);
    assert_eq!(
        changed(&HA.replace("sharedadmin}", "other}"), "gw-1"),
        ["deployment.toml: passwords and keys"]
    );
    let cors = "  config: {apim: {cors: {allow_origins: 'https://a'}}}\n  java:";
    assert_eq!(changed(&HA.replace("  java:", cors), "gw-1"), ["deployment.toml: [apim.cors] allow_origins"]);
    assert_eq!(
        changed(&HA.replace("  java:", "  gateway: {heap: 2g, java_opts: -Da=b}\n  java:"), "gw-1"),
        ["JVM options", "heap"]
    );
    assert!(changed(&HA.replace("  java:", "  gateway: {heap: 2g}\n  java:"), "km-1").is_empty());
}

#[test]
fn reordered_config_does_not_restart_the_unit() {
    let one = "  config: {admin_console: {authenticator: {iwa_ui_authenticator: {enable: true, config: a}}}}\n  java:";
    let other = "  config: {admin_console: {authenticator: {iwa_ui_authenticator: {config: a, enable: true}}}}\n  java:";
    let [one, other] = [one, other].map(|config| cluster(&HA.replace("  java:", config)));
    let file = |cluster: &crate::Cluster| {
        lower(&ApimTask::Configuration, cluster, "gw-1").pop().expect("a file").contents[0].clone()
    };
    assert!(file(&one) != file(&other), "the file is rewritten");
    let unit = |cluster: &crate::Cluster| {
        lower(&ApimTask::Service(ServiceState::Started, None), cluster, "gw-1").pop().expect("a unit")
    };
    assert_eq!(unit(&one).operation(), unit(&other).operation(), "the unit is not restarted");
}

#[test]
fn start_uses_the_disruption_budget_of_the_role() {
    let cluster = cluster(HA);
    let start = lower(&ApimTask::Service(ServiceState::Started, None), &cluster, "gw-1");
    let [unit] = start.as_slice() else { panic!("a unit") };
    assert_eq!(unit.budget.as_deref(), Some("gateway"));
    assert_eq!(unit.node.as_ref().map(|name| name.0.as_str()), Some("gw-1"));
    let Operation::Unit(operation) = unit.operation().unwrap() else { panic!("a unit") };
    assert!(operation.ask && operation.state == State::Started && operation.enabled == Some(true));
    assert_eq!(operation.name.as_str(), "wso2-gateway");
    let release = operation.release.as_ref().expect("a release");
    assert_eq!(release.folder.as_str(), "/opt/wso2/gateway/releases/4.6.0-22222222");
    assert_eq!(release.link.as_str(), "/opt/wso2/gateway/current");
    assert!(release.keeps.iter().any(|kept| kept == "repository/database/WSO2CARBON_DB*"));
    let restart = lower(&ApimTask::Service(ServiceState::Restarted, None), &cluster, "gw-1");
    let states: Vec<State> = restart
        .iter()
        .filter_map(|draft| match draft.operation().unwrap() {
            Operation::Unit(unit) => Some(unit.state),
            _ => None,
        })
        .collect();
    assert_eq!(states, [State::Stopped, State::Started]);
}

#[test]
fn removal_stops_nodes_first_and_deletes_managed_files_only() {
    let cluster = cluster(HA);
    assert!(removal(&cluster, "lb").is_empty());
    let drafts = removal(&cluster, "gw-1");
    let Some(Operation::Unit(first)) = drafts[0].operation() else { panic!("{:?}", drafts[0]) };
    assert!(first.state == State::Stopped && first.ask && drafts[0].budget.as_deref() == Some("gateway"));
    let paths = |folder: &str| AbsPath::parse(folder).unwrap();
    let mut gone = Vec::new();
    for draft in &drafts {
        match draft.operation().unwrap() {
            Operation::Unit(unit) => assert!(matches!(unit.state, State::Stopped | State::Gone)),
            Operation::UninstallReleases(vacate) => gone.push(vacate.folder.clone()),
            // No folder is deleted recursively.
            Operation::Absent(absent) => assert!(!absent.recursive, "{absent:?}"),
            Operation::Block(block) => assert!(block.lines.is_empty()),
            Operation::RemoveAccount(disowned) => {
                assert_eq!(disowned.needed_by, [paths("/opt/wso2/gateway")]);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(gone.first(), Some(&paths("/opt/wso2/gateway/releases")));
    assert!(matches!(drafts.last().and_then(Draft::operation), Some(Operation::RemoveAccount(_))));
}

#[test]
fn unit_files_match_snapshots() {
    let text = basics("  gateway: {heap: 2g, java_opts: '-Dx=100% -Dy=1'}\n  user: apim\n")
        + &hosts(&["cp control_plane", "g gateway"]);
    let cluster = cluster(&text);
    insta::assert_snapshot!("unit-gateway", unit::text(node(&cluster, "g")));
    insta::assert_snapshot!("unit-control-plane", unit::text(node(&cluster, "cp")));
}

#[test]
fn the_diagnostics_process_and_other_components_do_not_match() {
    let cluster = cluster(HA);
    let process = unit::process(node(&cluster, "gw-1"));
    let matches =
        |line: &str| process.arguments.iter().all(|part| line.split(' ').any(|arg| arg.contains(part)));
    let home = "/opt/wso2/gateway/releases/4.6.0-22222222";
    assert!(matches(&format!("/opt/java/bin/java -Dcarbon.home={home} org.wso2.carbon.bootstrap.Bootstrap")));
    assert!(!matches(&format!(
        "/opt/java/bin/java -Dapp.home={home}/diagnostics-tool org.wso2.diagnostics.DiagnosticsApp"
    )));
    assert!(!matches(
        "/opt/java/bin/java -Dcarbon.home=/opt/wso2/gateway-5/releases/x org.wso2.carbon.bootstrap.Bootstrap"
    ));
    assert!(!matches(&format!("/bin/sh {home}/bin/gateway.sh")));
}

#[test]
fn complete_gateway_requires_apis_and_subscriptions() {
    let wait = waits(HA, "gw-1", Gate::Complete);
    let has = |predicate: &dyn Fn(&Condition) -> bool| wait.conditions.iter().any(predicate);
    for address in ["10.0.0.15", "10.0.0.16", "10.0.0.17", "10.0.0.18"] {
        assert!(
            has(&|c| matches!(c, Condition::Connected { host, port: 5672, .. } if host == address)),
            "subscribed to {address}"
        );
    }
    for address in ["10.0.0.17", "10.0.0.18"] {
        for port in [9611, 9711] {
            assert!(has(&|c| matches!(c, Condition::Tcp { host, port: p } if host == address && *p == port)));
        }
    }
    assert!(has(
        &|c| matches!(c, Condition::Http { url, status: 200, verify: false, .. } if url.ends_with("server-startup-healthcheck"))
    ));
    let remedy = wait.remedy.expect("a remedy");
    assert_eq!(remedy.unit.as_str(), "wso2-gateway");
    assert!(Regex::new(remedy.when_logged.as_deref().expect("a line")).expect("a pattern").is_match(
        r#"java.lang.NullPointerException: Cannot invoke "Object.toString()" because "connection" is null"#
    ));
    assert!(
        wait.service.expect("a service").causes.iter().all(|cause| !cause.fatal),
        "old log lines do not end the wait"
    );
}

#[test]
fn started_gateway_must_serve_if_its_control_plane_is_reachable() {
    let wait = waits(HA, "gw-1", Gate::Started);
    let wheres = wait.conditions.iter().filter(|c| matches!(c, Condition::Where { when, .. } if matches!(&**when, Condition::Tcp { port: 9443, .. })));
    assert_eq!(wheres.count(), 2);
    assert!(wait.remedy.is_none());
    assert!(wait.service.expect("a service").causes.iter().any(|cause| cause.fatal));
    assert!(
        !waits(HA, "km-1", Gate::Started).conditions.iter().any(|c| matches!(c, Condition::Where { .. }))
    );
}

#[test]
fn health_checks_test_product_and_ports() {
    for (host, product, port) in [
        ("km.wso2.com", "WSO2 API Control Plane", 9443),
        ("gw.wso2.com", "WSO2 Universal Gateway", 8243),
        ("cp.wso2.com", "WSO2 API Control Plane", 5672),
        ("tm.wso2.com", "WSO2 Traffic Manager", 9611),
    ] {
        let wait = waits(SINGLE, host, Gate::Started);
        let has = |predicate: &dyn Fn(&Condition) -> bool| wait.conditions.iter().any(predicate);
        assert!(
            has(&|c| matches!(c, Condition::Http { body_holds: Some(body), .. } if body == product)),
            "{host}"
        );
        assert!(has(&|c| matches!(c, Condition::Listens { port: p, .. } if *p == port)), "{host}");
        assert!(
            has(&|c| matches!(c, Condition::Logged { pattern, .. } if pattern == health::STARTED)),
            "{host}"
        );
    }
}

#[test]
fn documented_start_order_matches_the_documentation() {
    let order = StartOrder::Documented.roles();
    let at = |role| order.iter().position(|r| *r == role).expect("every role");
    assert!(at(Role::KeyManager) < at(Role::Gateway));
    assert!(at(Role::Gateway) < at(Role::ControlPlane));
    assert!(at(Role::ControlPlane) < at(Role::TrafficManager));
    let safe = StartOrder::DependenciesFirst.roles();
    assert_eq!(safe.last(), Some(&Role::Gateway));
    assert!(!causes::causes().is_empty());
}

#[test]
fn databases_are_created_once_and_logins_tested_everywhere() {
    let plain =
        basics("  endpoints: {control_plane: api.example, gateway: gw.example, key_manager: km.example}\n")
            + &hosts(&["km1 key_manager", "cp1 control_plane", "cp2 control_plane", "gw1 gateway"]);
    let plain = plain.replace("    type: mysql\n", "    type: mysql\n    login_check: true\n");
    let created = plain.replace(
        "    type: mysql\n",
        "    type: mysql\n    create: true\n    admin: {password: the-admins}\n",
    );
    assert_eq!(titles(ApimTask::Database, &plain, "cp1"), ["database server db.wso2.com reachable"]);
    assert_eq!(
        titles(ApimTask::Database, &created, "cp1"),
        [
            "database server db.wso2.com reachable",
            "databases shared_db and apim_db on db.wso2.com, with the schema of 4.6.0"
        ]
    );
    for host in ["km1", "cp2", "gw1"] {
        assert_eq!(titles(ApimTask::Database, &created, host).len(), 1, "{host}");
    }
    assert_eq!(titles(ApimTask::DatabaseLogin, &plain, "gw1"), ["log in to shared_db on db.wso2.com"]);
    assert_eq!(
        titles(ApimTask::DatabaseLogin, &plain, "km1"),
        ["log in to apim_db and shared_db on db.wso2.com"]
    );
    let draft = &lower(&ApimTask::Database, &cluster(&created), "cp1")[1];
    assert_eq!(draft.files.len(), 1, "the zip is read here");
    let shown = format!("{draft:?}");
    for secret in ["the-admins", "Secret(apimadmin", "\"sharedadmin\", password: \"sharedadmin"] {
        assert!(!shown.contains(secret), "secret in output: {shown}");
    }
    let Work::Database(work) = &draft.work else { panic!("{draft:?}") };
    let DatabaseSpec::Schemas(schemas) = &work.spec else { panic!("{work:?}") };
    let scripts: Vec<(&str, &str)> = schemas.schemas.iter().map(|s| (s.key, s.script.as_str())).collect();
    assert_eq!(scripts, [("shared_db", "dbscripts/mysql.sql"), ("apim_db", "dbscripts/apimgt/mysql.sql")]);
    for (on, off) in [("login_check: true", "login_check: false"), ("type: mysql", "type: mssql")] {
        let text = plain.replace(on, off);
        assert_eq!(titles(ApimTask::DatabaseLogin, &text, "cp1"), Vec::<String>::new(), "{off}");
    }
}
