//! The scripts: verbs, texts, exit codes, and pitfalls.

use std::fs;

use apim_tests::poll;

use crate::node::{LIMIT, MARKER, Node, exists};

fn text(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn java_home_is_required_and_most_else_succeeds() {
    let mut node = Node::unpack("wso2am-tm-4.6.0.zip", "traffic-manager.sh");
    for verb in ["version", "stop", "start"] {
        let refused = node.run_with("traffic-manager.sh", &[verb], &[("JAVA_HOME", "/nowhere")]);
        assert_eq!(refused.status.code(), Some(1), "{verb}");
        assert_eq!(
            text(&refused),
            "Error: JAVA_HOME is not defined correctly.\n CARBON cannot execute /nowhere/bin/java\n"
        );
    }
    let version = node.verb("--version");
    assert_eq!(text(&version), "WSO2 Traffic Manager v4.6.0\nWSO2 Carbon Framework v4.9.33\n");
    assert_eq!(node.verb("stop").status.code(), Some(0), "stop without a start");
    assert_eq!(node.verb("debug").status.code(), Some(1), "debug without a port");
}

#[test]
fn start_prints_nothing_and_second_start_does_nothing() {
    let mut node = Node::unpack("wso2am-tm-4.6.0.zip", "traffic-manager.sh");
    let started = node.verb("start");
    assert_eq!((started.status.code(), text(&started)), (Some(0), String::new()));
    node.await_log(MARKER);
    let pid = node.pid();
    let line = node.command_line().expect("a running server");
    assert!(line.contains(&format!("-Dcarbon.home={} ", node.home.display())), "{line}");
    assert!(line.trim_end().ends_with("org.wso2.carbon.bootstrap.Bootstrap"), "{line}");
    let file = fs::read(node.path("wso2carbon.pid")).expect("the pid file");
    assert_eq!(file.len(), 100);
    assert!(file.ends_with(b"\0"));

    assert_eq!(text(&node.verb("start")), "Process is already running\n");
    assert_eq!(node.pid(), pid);

    assert_eq!(node.verb("stop").status.code(), Some(0));
    assert!(poll::until(LIMIT, || node.command_line().is_none()));
    assert!(node.path("wso2carbon.pid").exists(), "the pid file was removed");
    assert!(node.log().ends_with("Halting JVM\n"));
}

#[test]
fn restart_waits_and_starts_new_process() {
    let mut node = Node::unpack("wso2am-tm-4.6.0.zip", "traffic-manager.sh");
    node.verb("start");
    node.await_log(MARKER);
    let before = node.pid();
    assert_eq!(node.verb("restart").status.code(), Some(0));
    assert!(poll::until(LIMIT, || node.log().matches(MARKER).count() == 2), "{}", node.log());
    assert_ne!(node.pid(), before);
}

#[test]
fn foreground_run_exits_with_0_after_any_error() {
    let mut node = Node::unpack("wso2am-tm-4.6.0.zip", "traffic-manager.sh");
    node.configure("[server\n");
    fs::write(node.path("tmp/left"), "text").expect("a file");
    let status = node.start().wait().expect("its exit code");
    assert_eq!(status.code(), Some(0));
    assert!(node.console().contains("Error parsing deployment configuration"), "{}", node.console());
    assert!(node.console().contains("Using Java memory options: -Xms256m -Xmx1024m\n"));
    assert!(node.pid().is_some(), "the pid file is written before the configuration is read");
    assert_eq!(node.log(), "");
    assert!(!node.path("tmp/left").exists());
}

#[test]
fn broken_reference_or_heap_ends_start() {
    let mut node = Node::unpack("wso2am-tm-4.6.0.zip", "traffic-manager.sh");
    node.configure("[a]\nb = \"$ref{c.d}\"\n");
    node.start().wait().expect("its exit code");
    assert!(node.console().contains("Configuration with key c.d doesn't exist"));
    let refused = node.run_with("traffic-manager.sh", &[], &[("JVM_MEM_OPTS", "-Xms2g -Xmx1g")]);
    assert!(text(&refused).contains("Could not create the Java Virtual Machine"));
}

#[test]
fn exit_code_121_restarts_server() {
    let mut node = Node::unpack("wso2am-tm-4.6.0.zip", "traffic-manager.sh");
    let toml = node.read("repository/conf/deployment.toml");
    node.configure(&toml.replacen("[server]\n", "[server]\nenable_restart_from_api = true\n", 1));
    node.start_up();
    let before = node.pid();
    node.get(9763, "/server-admin/restart");
    assert!(poll::until(LIMIT, || node.log().matches(MARKER).count() == 2), "{}", node.log());
    assert_ne!(node.pid(), before);
}

#[test]
fn profile_setup_replaces_configuration_and_backup() {
    let mut node = Node::unpack("wso2am-acp-4.6.0.zip", "key-manager.sh");
    let shipped = node.read("repository/conf/deployment.toml");
    let refused = node.run("profileSetup.sh", &["--skipConfigOptimization", "-Dprofile=key-manager"]);
    assert_eq!(refused.status.code(), Some(0));
    assert!(text(&refused).ends_with("Profile is not specified properly, please try again\n"));
    assert_eq!(node.read("repository/conf/deployment.toml"), shipped);

    let done = node.run("profileSetup.sh", &["-Dprofile=key-manager"]);
    assert!(text(&done).ends_with("Finished the optimizations\n"));
    assert_eq!(node.read("repository/conf/deployment.toml.backup"), shipped);
    let template = node.read("repository/resources/conf/deployment-templates/key-manager.toml");
    assert_eq!(node.read("repository/conf/deployment.toml"), template);
    let webapps = node.path("repository/deployment/server/webapps");
    for gone in ["publisher", "devportal", "admin", "internal#data#v1.war", "client-registration#v0.17.war"] {
        assert!(!exists(&webapps, gone), "{gone}");
    }
    for kept in [
        "oauth2.war",
        "keymanager-operations.war",
        "authenticationendpoint",
        "api#identity#oauth2#dcr#v1.1.war",
    ] {
        assert!(exists(&webapps, kept), "{kept}");
    }
    let axis2 = "repository/resources/conf/templates/repository/conf/axis2/axis2.xml.j2.backup";
    assert!(exists(&node.home, axis2));

    node.configure("# custom\n");
    node.run("profileSetup.sh", &["-Dprofile=key-manager", "--skipConfigOptimization"]);
    assert_eq!(node.read("repository/conf/deployment.toml"), "# custom\n");
    node.run("profileSetup.sh", &["-Dprofile=key-manager"]);
    assert_eq!(node.read("repository/conf/deployment.toml.backup"), "# custom\n");
    assert_eq!(node.read("repository/conf/deployment.toml"), template);
}

#[test]
fn optimize_option_runs_profile_setup() {
    let mut node = Node::unpack("wso2am-acp-4.6.0.zip", "key-manager.sh");
    node.run("key-manager.sh", &["--optimize", "-Dprofile=key-manager", "start"]);
    node.await_log(MARKER);
    assert!(node.path("repository/conf/deployment.toml.backup").exists());
    assert_eq!(node.get(9763, "/publisher").map(|(status, _)| status), Some(404));
    assert_eq!(node.get(9763, "/oauth2/jwks").map(|(status, _)| status), Some(200));
}

#[test]
fn secrets_are_encrypted_and_every_start_needs_password() {
    let mut node = Node::unpack("wso2am-tm-4.6.0.zip", "traffic-manager.sh");
    let toml = node
        .read("repository/conf/deployment.toml")
        .replace("password = \"admin\"", "password = \"$secret{admin}\"");
    node.configure(&format!("{toml}\n[secrets]\nadmin = \"[top secret]\"\n"));
    let done = node.run("ciphertool.sh", &["-Dconfigure", "-Dpassword=wso2carbon"]);
    assert!(text(&done).contains("Encryption is done Successfully"), "{}", text(&done));
    assert!(!node.read("repository/conf/deployment.toml").contains("top secret"));

    fs::write(node.path("password-tmp"), "wso2carbon").expect("the password");
    node.start_up();
    assert!(!node.path("password-tmp").exists());
    node.terminate();
    assert!(poll::until(LIMIT, || node.command_line().is_none()));

    node.start();
    assert!(poll::until(LIMIT, || node.console().contains("[Enter KeyStore and Private Key Password :]")));
    assert_eq!(node.log().matches(MARKER).count(), 1);

    node.configure_more("# a comment");
    node.run("ciphertool.sh", &["-Dconfigure", "-Dpassword=wso2carbon"]);
    assert_eq!(node.read("repository/conf/deployment.toml"), "", "text after [secrets] empties the file");
}
