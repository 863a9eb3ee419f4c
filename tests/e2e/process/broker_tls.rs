//! Brokers over TLS: subscriptions and health checks use the TLS port.

use apim_tests::cli::Operator;
use apim_tests::distributions::Distributions;
use apim_tests::inventory::Inventory;
use apim_tests::rehearsal::Rehearsal;
use serde_json::json;

use crate::{JSON, assert_nothing_changed, changed};

#[test]
fn cluster_with_broker_tls_becomes_healthy() {
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
    let apply =
        || operator.run(["apply".as_ref(), inventory.as_os_str()].into_iter().chain(JSON.map(AsRef::as_ref)));
    let first = apply().ended_with(0);
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
    assert_nothing_changed(apply());
}
