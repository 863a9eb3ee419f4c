//! The diagram contains every node and every connection in every format, for any host names.

use std::collections::BTreeSet;

use super::{Format, Graph, Kind, id};
use crate::testing::{HA, SINGLE, basics, cluster, hosts};

fn to<'a>(graph: &'a Graph, from: &str, kind: Kind) -> BTreeSet<&'a str> {
    let arrows = graph.arrows.iter().filter(|arrow| arrow.from == from && arrow.kind == kind);
    arrows.map(|arrow| arrow.to.as_str()).collect()
}

#[test]
fn graph_contains_all_nodes_and_valid_arrows() {
    for text in [HA, SINGLE] {
        let cluster = cluster(text);
        let graph = Graph::of(&cluster);
        let ids: BTreeSet<&str> = graph.vertices.iter().map(|vertex| vertex.id.as_str()).collect();
        assert_eq!(ids.len(), graph.vertices.len(), "duplicate identifier");
        for node in cluster.nodes() {
            assert!(ids.contains(id("node", &node.name.0).as_str()), "{}", node.name);
        }
        for arrow in &graph.arrows {
            assert!(ids.contains(arrow.from.as_str()) && ids.contains(arrow.to.as_str()), "{arrow:?}");
            assert!(!arrow.ports.is_empty(), "{arrow:?}");
        }
        let called: BTreeSet<&str> = graph.arrows.iter().map(|arrow| arrow.to.as_str()).collect();
        for vertex in &graph.vertices {
            assert!(
                vertex.id == "clients" || called.contains(vertex.id.as_str()),
                "no connection to {}",
                vertex.title
            );
        }
    }
}

#[test]
fn gateway_connects_to_all_hubs_and_traffic_managers() {
    let text =
        basics("  endpoints: {control_plane: cp, gateway: gw, key_manager: km, traffic_manager: tm}\n")
            + &hosts(&[
                "c1 control_plane",
                "c2 control_plane",
                "g1 gateway | {gateway: {port_offset: 3}}",
                "g2 gateway",
                "t1 traffic_manager",
                "t2 traffic_manager",
                "k1 key_manager",
                "k2 key_manager",
            ]);
    let graph = Graph::of(&cluster(&text));
    assert_eq!(
        to(&graph, "node_g1", Kind::Events),
        BTreeSet::from(["node_c1", "node_c2", "node_t1", "node_t2"])
    );
    assert_eq!(to(&graph, "node_g1", Kind::Throttling), BTreeSet::from(["node_t1", "node_t2"]));
    assert_eq!(to(&graph, "node_c1", Kind::Events), BTreeSet::from(["node_c2"]));
    assert_eq!(to(&graph, "node_k1", Kind::Sql), BTreeSet::from(["database"]));
    let calls = graph
        .arrows
        .iter()
        .find(|arrow| arrow.to == "node_g1" && arrow.from == "balancer" && arrow.kind == Kind::Http);
    assert_eq!(calls.expect("the balancer calls g1").ports, [8246, 8283, 9446], "ports include the offset");
}

#[test]
fn all_formats_escape_host_names() {
    let text = basics("") + &hosts(&["\"a<b>&c\" all_in_one"]);
    let Ok(cluster) = crate::testing::build(&text) else { return };
    let graph = Graph::of(&cluster);
    let svg = graph.written(Format::Svg);
    assert!(!svg.contains("a<b>") && svg.contains("a&lt;b&gt;&amp;c"), "{svg}");
    assert!(!graph.written(Format::Mermaid).contains("a<b>"));
}

#[test]
fn documented_cluster_snapshots() {
    let graph = Graph::of(&cluster(SINGLE));
    insta::assert_snapshot!("single-mermaid", graph.written(Format::Mermaid));
    insta::assert_snapshot!("single-dot", graph.written(Format::Dot));
    insta::assert_snapshot!("single-svg", graph.written(Format::Svg));
}
