//! Tests of hosts and nodes: order, names, addresses, ports.

use super::assert_error;
use crate::hosts_file;
use crate::testing::{HA, basics, cluster, hosts, mistakes, node};
use crate::topology::Node;

fn names(nodes: &[Node]) -> Vec<&str> {
    nodes.iter().map(|node| node.name.0.as_str()).collect()
}

#[test]
fn nodes_are_ordered_by_role_and_inventory() {
    assert_eq!(
        names(cluster(HA).nodes()),
        ["apim-cp-1", "apim-cp-2", "km-1", "km-2", "gw-1", "gw-2", "traffic-manager-1", "traffic-manager-2"]
    );
}

#[test]
fn nodes_on_one_host_need_different_ports() {
    let both = basics("") + &hosts(&["h1 control_plane gateway | {gateway: {port_offset: 10}}"]);
    let cluster = cluster(&both);
    assert_eq!(names(cluster.nodes()), ["h1/control-plane", "h1/gateway"]);
    let clash = basics("") + &hosts(&["h1 control_plane gateway"]);
    let found = mistakes(&clash);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("control plane h1 and gateway h1 would both use port 9443 (HTTPS)"),
        "{found:?}"
    );
    assert!(found[0].contains("gateway: {port_offset: 10}"), "{found:?}");
}

#[test]
fn port_conflicts_by_offset_are_found() {
    // 9763 - 9443 = 320: the gateway's HTTPS port is the control plane's HTTP port.
    let clash = basics("") + &hosts(&["h1 control_plane gateway | {gateway: {port_offset: 320}}"]);
    assert!(mistakes(&clash)[0].contains("port 9763"), "{:?}", mistakes(&clash));
}

#[test]
fn hosts_with_the_same_address_are_one_machine() {
    let text = basics("  endpoints: {gateway: gw.example}\n")
        + "hosts:
  cp: {address: 10.0.0.1, groups: control_plane}
  g1: {address: 10.0.0.2, groups: gateway}
  g2: {address: 10.0.0.2, groups: gateway, apim: {gateway: {port_offset: 5}}}
";
    let two = cluster(&text);
    assert_eq!(node(&two, "g1").unit.as_str(), "wso2-gateway");
    assert_eq!(node(&two, "g2").unit.as_str(), "wso2-gateway-5");
    assert_eq!(node(&two, "g2").home.current.as_str(), "/opt/wso2/gateway-5/current");
    let clash = mistakes(&text.replace("port_offset: 5", "port_offset: 0"));
    assert!(clash[0].contains("they have the same address"), "{clash:?}");
    assert!(clash[0].contains("apim: {address: …}"), "{clash:?}");
}

#[test]
fn unsupported_addresses_are_rejected() {
    let text = basics("") + "hosts:\n  h1: {address: 'fe80::1', groups: control_plane}\n";
    let found = mistakes(&text);
    assert!(found[0].contains("`fe80::1` is an IPv6 address"), "{found:?}");
    let fixed =
        basics("") + "hosts:\n  h1: {address: 'fe80::1', groups: control_plane, apim: {address: 10.0.0.1}}\n";
    assert_eq!(node(&cluster(&fixed), "h1").reach(), "10.0.0.1");
    let odd = basics("") + "hosts:\n  h_1: {address: 10.0.0.1, groups: control_plane}\n";
    assert!(mistakes(&odd)[0].contains("its name `h_1` contains `_`"), "{:?}", mistakes(&odd));
    let named = odd.replace("control_plane}", "control_plane, apim: {host_name: h1}}");
    assert_eq!(node(&cluster(&named), "h_1").peer, "h1");
}

#[test]
fn dns_name_is_used_by_peers() {
    let text = basics("") + "hosts:\n  h1: {address: h1.example.com, groups: control_plane}\n";
    let cluster = cluster(&text);
    assert_eq!(node(&cluster, "h1").peer, "h1.example.com");
    assert!(!hosts_file::lines(&cluster).iter().any(|line| line.contains("h1")), "DNS resolves it");
}

#[test]
fn names_have_one_address() {
    let two = |more: &str, groups: &[&str]| basics(more) + &hosts(groups);
    let valid = ["cp control_plane", "gw1 gateway", "gw2 gateway"];
    let named = ["cp control_plane", "gw1 gateway", "gw2 gateway | {host_name: gw1}"];
    let endpoint = "  endpoints: {gateway: gw.example}\n";
    assert_eq!(mistakes(&two(endpoint, &valid)), Vec::<String>::new());
    assert_error(&two(endpoint, &named), "hosts `gw1` and `gw2` have the same name `gw1`", "  gw2: ");
    let case = ["cp control_plane", "gw1 gateway", "GW1 gateway"];
    assert_error(&two(endpoint, &case), "have the same name `GW1`", "  GW1: ");
    assert_error(&two("  endpoints: {gateway: gw1}\n", &valid), "is the name of host `gw1`", "endpoints:");
    let extra = "  hosts_file: {extra: {cp: 10.9.9.9}}\n";
    assert_error(
        &two(&format!("{endpoint}{extra}"), &valid),
        "`cp` would have two addresses: 10.0.0.11 (host `cp`) and 10.9.9.9",
        "extra:",
    );
    let same = extra.replace("10.9.9.9", "10.0.0.11");
    assert_eq!(mistakes(&two(&format!("{endpoint}{same}"), &valid)), Vec::<String>::new());
}

#[test]
fn control_plane_and_all_in_one_exclude_each_other() {
    let both = basics("") + &hosts(&["cp control_plane", "aio all_in_one"]);
    assert!(mistakes(&both)[0].contains("both `control_plane` and `all_in_one`"), "{:?}", mistakes(&both));
    let none = basics("") + &hosts(&["g gateway"]);
    assert!(mistakes(&none)[0].contains("no host is in `control_plane`"), "{:?}", mistakes(&none));
    let empty = basics("") + &hosts(&["x other"]);
    assert!(mistakes(&empty)[0].contains("no host is in a role's group"), "{:?}", mistakes(&empty));
}
