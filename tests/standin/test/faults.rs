//! Faults: log lines, ports and processes of a node with a problem.

use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use apim_tests::poll;

use crate::node::{BASE, LIMIT, MARKER, Node, database, install_driver, shared_db};

/// How long something must not happen; ten times the duration of a start.
const OBSERVATION: Duration = Duration::from_millis(1000);

fn traffic_manager() -> Node {
    Node::unpack("wso2am-tm-4.6.0.zip", "traffic-manager.sh")
}

/// Asserts that a broken shared database makes the server hang, with this cause in the log.
fn assert_hangs_for(node: &mut Node, cause: &str) {
    let mut child = node.start();
    node.await_log("Cannot start User Manager Core bundle");
    assert!(poll::until(LIMIT, || node.log().matches("Caused by: ").count() == 2), "{}", node.log());
    let length = node.log().len();
    assert!(!poll::until(OBSERVATION, || node.is_open(9443)
        || node.is_open(9763)
        || node.log().contains(MARKER)));
    assert_eq!(node.log().len(), length, "the log must not grow");
    for text in ["Database Error - ", "Unable to get instance of the registry context", cause] {
        assert!(node.log().contains(text), "{text} in {}", node.log());
    }
    assert!(node.command_line().is_some(), "the process must be running");
    node.terminate();
    assert_eq!(child.wait().expect("its exit code").code(), Some(0));
    assert!(!node.log().contains("Shutdown hook triggered"), "there was a graceful stop");
}

#[test]
fn unusable_shared_database_hangs_silently() {
    let mut node = traffic_manager();
    node.configure(&format!("{BASE}{}", shared_db(node.address, 1)));
    assert_hangs_for(&mut node, "java.lang.ClassNotFoundException: com.mysql.jdbc.Driver");

    install_driver(&node);
    fs::remove_file(node.path("repository/logs/wso2carbon.log")).expect("a log");
    assert_hangs_for(&mut node, "Communications link failure");

    let port = database(node.address, Some("Access denied for user 'u'@'h' (using password: YES)"));
    node.configure(&format!("{BASE}{}", shared_db(node.address, port)));
    node.switches("database = \"login\"\n");
    fs::remove_file(node.path("repository/logs/wso2carbon.log")).expect("a log");
    assert_hangs_for(&mut node, "Access denied for user 'u'@'h'");
}

#[test]
fn unusable_apim_db_logs_repeated_warnings() {
    let mut node = traffic_manager();
    install_driver(&node);
    node.configure(&format!("{BASE}{}", shared_db(node.address, 1).replace("shared_db]", "apim_db]")));
    node.start();
    assert!(
        poll::until(LIMIT, || node.log().matches("Waiting for required OSGi services").count() >= 2),
        "{}",
        node.log()
    );
    assert!(!node.log().contains(MARKER));
    assert!(!node.is_open(9443));
}

#[test]
fn unusable_keystore_disables_tls_ports() {
    let mut node = traffic_manager();
    let toml = node.read("repository/conf/deployment.toml");
    let at = toml.find("[keystore.tls]").expect("the section");
    let (before, tls) = toml.split_at(at);
    node.configure(&format!(
        "{before}{}",
        tls.replacen("password =  \"wso2carbon\"", "password =  \"wrong\"", 1)
    ));
    node.start_up();
    assert!(node.log().contains("Keystore was tampered with, or password was incorrect"), "{}", node.log());
    assert!(node.is_open(9763) && node.is_open(9611));
    assert!(!node.is_open(9443) && !node.is_open(9711));
    node.terminate();
    assert!(poll::until(LIMIT, || node.command_line().is_none()));

    node.configure(&toml.replacen("file_name =  \"wso2carbon.jks\"", "file_name =  \"absent.jks\"", 1));
    node.start();
    node.await_log("KeyStore File repository/resources/security/absent.jks not found");
}

#[test]
fn occupied_port_does_not_suppress_marker() {
    let mut node = Node::unpack("wso2am-universal-gw-4.6.0.zip", "gateway.sh");
    let taken = [9443, 8280].map(|port| TcpListener::bind((node.address, port)).expect("a port"));
    node.start_up();
    let log = node.log();
    assert!(log.contains("LifeCycleException while starting tomcat connector"), "{log}");
    let started = log.find("Pass-through HTTP Listener started on").expect("the line of a started listener");
    let unstable = log.find("System may be unstable: HTTP ListeningIOReactor").expect("the error");
    assert!(started < unstable);
    drop(taken);
}

#[test]
fn switches_in_home_override_those_of_component() {
    let mut node = traffic_manager();
    node.switches("hang_before_marker = true\n");
    node.start();
    node.await_log("Carbon initialization is delayed due to the following unsatisfied items:");
    assert!(!node.log().contains(MARKER));
    node.terminate();
    node.await_log("Halting JVM");
    assert!(poll::until(LIMIT, || node.command_line().is_none()));

    fs::write(node.path("standin-faults.toml"), "hang_before_marker = false\ncrash_after_marker = 0.1\n")
        .expect("switches");
    let mut child = node.start();
    assert_eq!(child.wait().expect("its exit code").code(), Some(0));
    assert!(node.log().contains(MARKER));
    assert!(node.path("wso2carbon.pid").exists());

    fs::write(node.path("standin-faults.toml"), "no_such_switch = 1\n").expect("switches");
    node.start().wait().expect("its exit code");
    assert!(node.console().contains("unknown switch `no_such_switch`"), "{}", node.console());
}

#[test]
fn ignore_term_and_refuse_health() {
    let mut node = traffic_manager();
    node.switches("ignore_term = true\nrefuse_health = true\n");
    node.start_up();
    assert_eq!(node.get(9763, "/services/Version").map(|(status, _)| status), Some(503));
    node.terminate();
    node.await_log("Waiting for deployment completion...");
    assert!(!poll::until(OBSERVATION, || node.command_line().is_none()));
}
