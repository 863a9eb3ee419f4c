//! Brokers over TLS: every subscription moves to the other port, and the gates of health with it.

use apim_tests::cli::Operator;
use apim_tests::distributions::Distributions;
use apim_tests::inventory::Inventory;
use apim_tests::rehearsal::Rehearsal;
use serde_json::json;

use crate::changed;

#[test]
fn a_cluster_whose_brokers_speak_tls_is_complete() {
    let nodes = [
        ("cp1", "control_plane", "control-plane"),
        ("cp2", "control_plane", "control-plane"),
        ("tm1", "traffic_manager", "traffic-manager"),
        ("gw1", "gateway", "gateway"),
    ];
    let mut rehearsal = Rehearsal::up(&nodes, &Distributions::ready()).expect("the process lab comes up");
    rehearsal.inventory.set("broker_tls", json!(true)).set("start_order", json!("dependencies_first"));
    let operator = Operator::new();
    let inventory = rehearsal.write();
    let first = operator.run(["apply".as_ref(), inventory.as_os_str()]).ended_with(0);
    assert!(changed(&first) > 20, "{}", first.text());
    let toml = |host: &str, folder: &str| {
        let releases =
            rehearsal.lab.host(host).expect("the host").root.join("opt/wso2").join(folder).join("releases");
        let release =
            std::fs::read_dir(releases).expect("releases").flatten().next().expect("a release").path();
        std::fs::read_to_string(release.join("repository/conf/deployment.toml")).expect("the configuration")
    };
    let gateway = toml("gw1", "gateway");
    for at in [0, 1] {
        let port = 8672 + Inventory::offset(at);
        assert!(gateway.contains(&format!(":{port}")), "{port} is not in\n{gateway}");
    }
    assert!(toml("cp1", "control-plane").contains("ssl_connection"));
    let second = operator.run(["apply".as_ref(), inventory.as_os_str()]).ended_with(0);
    assert_eq!(changed(&second), 0, "{}", second.text());
}
