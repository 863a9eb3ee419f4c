//! Clusters: connections between nodes, health, and stops.

use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use apim_tests::poll;

use crate::node::{BASE, LIMIT, MARKER, Node, answer, database, install_driver, shared_db};

fn control_plane(version: &str) -> Node {
    Node::unpack(&format!("wso2am-acp-{version}.zip"), "api-cp.sh")
}

/// A gateway with this control plane and traffic manager.
fn gateway(version: &str, hub: &Node, traffic: &Node) -> Node {
    let node = Node::unpack(&format!("wso2am-universal-gw-{version}.zip"), "gateway.sh");
    let (hub, traffic) = (hub.address, traffic.address);
    node.configure(&format!(
        "{BASE}[database.shared_db]\ntype = \"h2\"\nurl = \"jdbc:h2:./repository/database/WSO2SHARED_DB\"\n\
         [apim.event_hub]\nusername = \"$ref{{super_admin.username}}\"\npassword = \"$ref{{super_admin.password}}\"\n\
         service_url = \"https://{hub}:${{mgt.transport.https.port}}/services/\"\nevent_listening_endpoints = [\"tcp://{hub}:5672\"]\n\
         [apim.throttling]\nthrottle_decision_endpoints = [\"tcp://{traffic}:5672\"]\n\
         [[apim.throttling.url_group]]\ntraffic_manager_urls = [\"tcp://{traffic}:9611\"]\ntraffic_manager_auth_urls = [\"ssl://{traffic}:9711\"]\n"
    ));
    node
}

/// The number of open connections from the address of `from` to a port of `to`.
fn connections(from: &Node, to: &Node, port: u16) -> usize {
    let hex = |node: &Node| u32::from_le_bytes(node.address.octets());
    let remote = format!("{:08X}:{port:04X}", hex(to));
    let local = format!("{:08X}:", hex(from));
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let is_up = |line: &&str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.len() > 3 && words[1].starts_with(&local) && words[2] == remote && words[3] == "01"
    };
    table.lines().filter(is_up).count()
}

#[test]
fn gateway_is_healthy_with_control_plane_and_reconnects() {
    let mut hub = control_plane("4.6.0");
    let mut node = gateway("4.6.0", &hub, &hub);
    node.start_up();
    let version = node.get(9763, "/services/Version").expect("an answer");
    assert_eq!(version.0, 200);
    assert!(version.1.contains("<return>WSO2 Universal Gateway-4.6.0</return>"), "{}", version.1);
    assert_eq!(node.health(), Some(500));
    assert_eq!(node.get(8280, "/api").map(|(status, _)| status), Some(404), "no artifacts yet");

    hub.start_up();
    assert!(poll::until(LIMIT, || node.health() == Some(200)), "{}", node.log());
    let (status, body) = node.get(8280, "/api").expect("an answer");
    assert_eq!(status, 200);
    assert!(body.contains("\"node\":") && body.contains("\"path\":\"/api\""), "{body}");
    let open = |hub: &Node| [5672, 9611, 9711].map(|port| connections(&node, hub, port));
    assert!(poll::until(LIMIT, || open(&hub) == [2, 1, 1]), "{:?} {}", open(&hub), node.log());
    for topic in ["notification", "keyManager", "throttleData"] {
        node.await_log(&format!("Started to listen on destination : {topic} of type topic for listener Siddhi-JMS-Consumer#{topic}"));
    }

    hub.terminate();
    assert!(poll::until(LIMIT, || hub.command_line().is_none()));
    assert!(poll::until(LIMIT, || open(&hub) == [0, 0, 0]));
    hub.start_up();
    assert!(poll::until(LIMIT, || open(&hub) == [2, 1, 1]), "{:?} {}", open(&hub), node.log());
    assert_eq!(node.health(), Some(200));
}

#[test]
fn gateway_4_5_0_without_broker_loses_listeners_until_restart() {
    let mut hub = control_plane("4.5.0");
    let mut node = gateway("4.5.0", &hub, &hub);
    node.start_up();
    node.await_log("because \"connection\" is null");
    hub.start_up();
    assert!(poll::until(LIMIT, || node.health() == Some(200)), "artifacts must be pulled nevertheless");
    // Retry delays are below 1.5 s.
    assert!(!poll::until(Duration::from_millis(1500), || connections(&node, &hub, 5672) > 0));

    node.terminate();
    assert!(poll::until(LIMIT, || node.command_line().is_none()));
    node.start();
    assert!(poll::until(LIMIT, || connections(&node, &hub, 5672) == 2), "{}", node.log());
}

#[test]
fn start_logs_lines_in_order_of_product() {
    let mut node = control_plane("4.6.0");
    install_driver(&node);
    let port = database(node.address, None);
    node.configure(&format!("{BASE}{}", shared_db(node.address, port)));
    node.switches("database = \"tables\"\n");
    node.start_up();
    let log = node.log();
    let order = [
        "Starting WSO2 Carbon...",
        "Repository       : ",
        "JMX Service URL  : ",
        "Server           :  WSO2 API Control Plane-4.6.0",
        MARKER,
    ];
    let places: Vec<usize> =
        order.iter().map(|text| log.find(text).unwrap_or_else(|| panic!("{text} in {log}"))).collect();
    assert!(places.is_sorted(), "{log}");
    assert!(log.starts_with("TID: [-1234] [] [20"), "{log}");
    assert!(
        node.console().contains("]  INFO - CarbonCoreActivator Starting WSO2 Carbon...\n"),
        "{}",
        node.console()
    );
    assert!(node.path("repository/components/dropins/mysql_connector_j_1.0.0.jar").exists());
    assert!(node.read("repository/conf/datasources/master-datasources.xml").contains("shared_db"));
}

#[test]
fn stop_completes_requests_in_flight() {
    let mut hub = control_plane("4.6.0");
    hub.start_up();
    let mut node = gateway("4.6.0", &hub, &hub);
    let mut child = node.start_up();
    assert!(poll::until(LIMIT, || node.health() == Some(200)));
    let stream = TcpStream::connect((node.address, 8280)).expect("the port is open");
    let slow = std::thread::spawn(move || answer(stream, "/slow?delay_ms=1500"));
    assert!(poll::until(LIMIT, || node.is_open(8280)));
    node.terminate();
    node.await_log("Stopping Pass-through HTTP Listener..");
    assert_eq!(slow.join().expect("the request ends").map(|(status, _)| status), Some(200));
    assert_eq!(child.wait().expect("the script ends").code(), Some(0));
    assert!(node.log().contains("All requests have been served."), "{}", node.log());
}

#[test]
fn https_uses_certificate_of_keystore_and_tls_1_2() {
    let mut node = Node::unpack("wso2am-tm-4.6.0.zip", "traffic-manager.sh");
    node.start_up();
    let mut store = jks::KeyStore::new();
    store
        .load(&include_bytes!("../keystores/wso2carbon-4.6.jks")[..], b"wso2carbon")
        .expect("an opened keystore");
    let entry = store.get_private_key_entry("wso2carbon", b"wso2carbon").expect("the key");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(entry.certificate_chain[0].content.clone().into()).expect("a certificate");
    let client = |versions: &[&'static rustls::SupportedProtocolVersion]| {
        let config =
            rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_protocol_versions(versions)
                .expect("versions")
                .with_root_certificates(roots.clone())
                .with_no_client_auth();
        let session =
            rustls::ClientConnection::new(Arc::new(config), "localhost".try_into().expect("a name"))
                .expect("a session");
        let stream = TcpStream::connect((node.address, 9443)).expect("the port is open");
        answer(rustls::StreamOwned::new(session, stream), "/services/Version")
    };
    let (status, body) = client(&[&rustls::version::TLS12]).expect("an answer");
    assert_eq!(status, 200);
    assert!(body.contains("WSO2 Traffic Manager-4.6.0"), "{body}");
    assert_eq!(client(&[&rustls::version::TLS13]), None);
}

#[test]
fn offset_applies_to_every_port_and_command_line_overrides_it() {
    let mut node = Node::unpack("wso2am-4.6.0.zip", "api-manager.sh");
    let toml = node.read("repository/conf/deployment.toml");
    node.configure(&toml.replacen("[server]\n", "[server]\noffset = 3\n", 1));
    node.start_up();
    for port in [5672, 8021, 8099, 8243, 8280, 9021, 9099, 9443, 9611, 9711, 9763, 9999, 11111] {
        assert!(node.is_open(port + 3), "{port}");
        assert!(!node.is_open(port), "{port}");
    }
    assert!(node.log().contains("Pass-through HTTP Listener started on 0.0.0.0:8283"));
    let health = || node.get(9766, "/api/am/gateway/v2/server-startup-healthcheck").map(|(status, _)| status);
    assert!(poll::until(LIMIT, || health() == Some(200)), "{}", node.log());
    node.terminate();
    assert!(poll::until(LIMIT, || node.command_line().is_none()));
    node.run("api-manager.sh", &["-DportOffset=5", "start"]);
    assert!(poll::until(LIMIT, || node.is_open(9448)), "{}", node.log());
}
