//! Tests of endpoints.

use crate::hosts_file;
use crate::testing::{HA, SINGLE, cluster, mistakes};

#[test]
fn several_nodes_require_an_endpoint() {
    for (role, what) in [
        ("control_plane", "the control planes"),
        ("key_manager", "the key managers"),
        ("gateway", "the gateways"),
    ] {
        let text = HA
            .lines()
            .filter(|line| !line.starts_with(&format!("    {role}: ")) || line.contains('1'))
            .collect::<Vec<_>>()
            .join("\n");
        let found = mistakes(&text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].contains(&format!("no endpoint is set for {what}")) && found[0].contains("(2 nodes)"),
            "{found:?}"
        );
        assert!(found[0].contains(&format!("`endpoints: {{{role}: NAME}}`")), "{found:?}");
    }
}

#[test]
fn endpoints_get_the_address_of_the_balancer_or_node() {
    let lines = hosts_file::lines(&cluster(HA));
    assert!(
        lines.contains(&"10.0.0.10 api.am.wso2.com km.wso2.com tm.am.wso2.com gw.wso2.com".to_owned()),
        "{lines:#?}"
    );
    assert!(lines.contains(&"10.0.0.15 apim-cp-1".to_owned()), "{lines:#?}");
    assert!(lines.contains(&"10.0.0.19 db.wso2.com".to_owned()), "{lines:#?}");
    let lines = hosts_file::lines(&cluster(SINGLE));
    assert!(lines.contains(&"10.0.0.13 gw.wso2.com".to_owned()), "{lines:#?}");
}

#[test]
fn missing_balancer_uses_the_first_node_with_a_note() {
    let text = HA.replace("  lb: {address: 10.0.0.10, groups: load_balancer}\n", "");
    let cluster = cluster(&text);
    let lines = hosts_file::lines(&cluster);
    assert!(lines.contains(&"10.0.0.15 apim-cp-1 api.am.wso2.com".to_owned()), "{lines:#?}");
    assert!(
        cluster.notes().iter().any(|note| note.contains("`gw.wso2.com`") && note.contains("gw-1")),
        "{:?}",
        cluster.notes()
    );
}
