//! Clusters and their mistakes.

use super::*;
use crate::apim::hosts_file;
use crate::apim::testing::{HA, SINGLE, basics, cluster, hosts, mistakes, node};

fn names(nodes: &[Node]) -> Vec<&str> {
    nodes.iter().map(|node| node.name.0.as_str()).collect()
}

#[test]
fn nodes_come_by_role_in_inventory_order() {
    assert_eq!(
        names(cluster(HA).nodes()),
        ["apim-cp-1", "apim-cp-2", "km-1", "km-2", "gw-1", "gw-2", "traffic-manager-1", "traffic-manager-2"]
    );
}

#[test]
fn a_host_may_carry_several_nodes_when_their_ports_differ() {
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
fn mistakes_of_hosts_and_roles_point_at_their_own_lines() {
    let line = |text: &str, part: &str| {
        let found = mistakes(text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(part), "{found:?}");
        let line = found[0].split(':').next().and_then(|line| line.parse::<usize>().ok());
        text.lines().nth(line.expect("a line") - 1).expect("that line").trim().to_owned()
    };
    let clash = basics("") + "hosts:\n  h1:\n    groups: control_plane gateway\n";
    assert_eq!(line(&clash, "port 9443"), "h1:");
    let offset = clash + "    apim:\n      control_plane:\n        port_offset: 0\n";
    assert_eq!(line(&offset, "port 9443"), "port_offset: 0", "the offset that was written");
    let two =
        "hosts:\n  cp:\n    groups: control_plane\n  g1:\n    groups: gateway\n  g2:\n    groups: gateway\n";
    assert_eq!(line(&(basics("") + two), "no endpoint says"), "g2:", "who made it necessary");
    let block = "  endpoints:\n    control_plane: cp.example\n";
    assert_eq!(line(&(basics(block) + two), "no endpoint says"), "endpoints:");
    let environments = "  environments: [{name: A, endpoint: a.example}, {name: B, endpoint: b.example}]\n";
    let one = "hosts:\n  cp:\n    groups: control_plane\n  g1:\n    groups: gateway\n";
    assert_eq!(line(&(basics(environments) + one), "says no environment"), "g1:");
    let name = basics("") + "hosts:\n  h_1:\n    address: 10.0.0.1\n    groups: control_plane\n";
    assert_eq!(line(&name, "its name `h_1`"), "h_1:");
}

#[test]
fn ports_that_meet_only_by_their_offsets_are_found() {
    // 9763 - 9443 = 320: the gateway's HTTPS meets the control plane's HTTP.
    let clash = basics("") + &hosts(&["h1 control_plane gateway | {gateway: {port_offset: 320}}"]);
    assert!(mistakes(&clash)[0].contains("port 9763"), "{:?}", mistakes(&clash));
}

#[test]
fn two_hosts_at_one_address_are_one_machine() {
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
fn several_nodes_without_an_endpoint_are_a_mistake_with_the_setting_to_write() {
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
        assert!(found[0].contains(what) && found[0].contains("are 2, and no endpoint"), "{found:?}");
        assert!(found[0].contains(&format!("`endpoints: {{{role}: NAME}}`")), "{found:?}");
    }
}

#[test]
fn a_gateway_in_an_environment_that_is_not_there_is_told_the_nearest() {
    let text = basics("  environments: [{name: Production}, {name: Sandbox, endpoint: s.example}]\n")
        + &hosts(&["cp control_plane", "g gateway | {gateway: {environment: Prodution}}"]);
    let found = mistakes(&text);
    assert!(found.iter().any(|m| m.contains("environment `Prodution`, which does not exist (did you mean `Production`?)")), "{found:?}");
    let silent = text.replace("gateway | {gateway: {environment: Prodution}}", "gateway");
    let found = mistakes(&silent.replace(", apim: {gateway: {environment: Prodution}}", ", apim: {}"));
    assert!(
        found.iter().any(|m| m.contains("gateway `g` says no environment, and there are 2")),
        "{found:?}"
    );
}

#[test]
fn all_mistakes_are_found_at_once_and_each_once() {
    let text = "apim:
  version: 4.4.0
  distributions: {source: zips, sha256: {gatway: 1234}, fetch: pull}
  java: {home: opt/java}
  endpoint: {}
  admin: {username: admin, password: 'p@ss'}
  databases: {type: mysql, host: db_1, apim_db: {password: x}, shared_db: {name: apim_db, password: 'a${x}'}}
  environments: [{name: A}, {name: A}]
hosts:
  h1: {groups: control_plane}
  h2: {groups: gateway}
";
    let found = mistakes(text).join("\n");
    for part in [
        "2: `apim.version`: version `4.4.0` is not known: 4.5.x, 4.6.x and 4.7.x are",
        "3: `apim.distributions.sha256.gatway` names no distribution (did you mean `gateway`?",
        "3: hosts cannot pull from `zips`",
        "4: `apim.java.home`: path `opt/java`: must be absolute",
        "5: `apim` has no key `endpoint` (did you mean `endpoints`?)",
        "6: `apim.admin.password` must not hold `@`",
        "7: `apim.databases.host`: `db_1` holds `_`",
        "7: `apim_db` and `shared_db` are both the database `apim_db`",
        "7: `apim.databases.shared_db.password` holds `$…{`",
        "8: the environment `A` is there twice",
    ] {
        assert_eq!(found.matches(part).count(), 1, "`{part}` in:\n{found}");
    }
}

#[test]
fn what_a_node_cannot_do_without_is_asked_for() {
    let text = "apim: {}\nhosts:\n  h1: {groups: control_plane}\n";
    let found = mistakes(text).join("\n");
    for key in ["version", "distributions.source", "java", "admin.password", "databases"] {
        assert!(found.contains(&format!("`apim` needs `{key}`")), "{key}:\n{found}");
    }
    let broken = mistakes("apim: {java: {}, version: 1, admin: {}}\nhosts:\n  h1: {groups: control_plane}\n")
        .join("\n");
    for part in
        ["`apim.java` needs `home`", "version `1` is not of the form 4.6.0", "`apim.admin` needs `password`"]
    {
        assert!(broken.contains(part), "{part}:\n{broken}");
    }
    assert!(
        !broken.contains("`apim` needs `java`") && !broken.contains("`apim` needs `version`"),
        "said twice:\n{broken}"
    );
    let no_digest = basics("").replace(&format!("gateway: {}, ", "2".repeat(64)), "");
    let found = mistakes(&(no_digest + &hosts(&["cp control_plane", "g gateway"])));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("no SHA-256 for `wso2am-universal-gw-4.6.0.zip`"), "{found:?}");
}

#[test]
fn a_digest_may_be_given_by_file_name_for_several_versions() {
    let name = "wso2am-universal-gw-4.5.0.zip";
    let text = basics("").replace("gateway:", &format!("{name}: {}, gateway:", "9".repeat(64)))
        + &hosts(&["cp control_plane", "g1 gateway | {version: 4.5.0}"]);
    let cluster = cluster(&text);
    assert_eq!(node(&cluster, "g1").release, "4.5.0-99999999");
    assert_eq!(node(&cluster, "cp").release, "4.6.0-11111111");
    let names: Vec<String> = cluster.artifacts().iter().map(|a| a.source.clone()).collect();
    assert!(names.contains(&format!("zips/{name}")), "{names:?}");
}

#[test]
fn settings_that_all_nodes_must_share_may_not_differ() {
    let text = basics("") + &hosts(&["cp control_plane", "g gateway | {admin: {password: hunter2}}"]);
    let found = mistakes(&text);
    assert!(found[0].contains("`apim.admin` on `g` differs from that on `cp`"), "{found:?}");
    assert!(!found[0].contains("hunter2"), "a password in a message: {found:?}");
}

#[test]
fn addresses_that_the_product_cannot_use_are_refused() {
    let text = basics("") + "hosts:\n  h1: {address: 'fe80::1', groups: control_plane}\n";
    let found = mistakes(&text);
    assert!(found[0].contains("`fe80::1` is an IPv6 address"), "{found:?}");
    let helped =
        basics("") + "hosts:\n  h1: {address: 'fe80::1', groups: control_plane, apim: {address: 10.0.0.1}}\n";
    assert_eq!(node(&cluster(&helped), "h1").reach(), "10.0.0.1");
    let odd = basics("") + "hosts:\n  h_1: {address: 10.0.0.1, groups: control_plane}\n";
    assert!(mistakes(&odd)[0].contains("its name `h_1` holds `_`"), "{:?}", mistakes(&odd));
    let named = odd.replace("control_plane}", "control_plane, apim: {host_name: h1}}");
    assert_eq!(node(&cluster(&named), "h_1").peer, "h1");
}

#[test]
fn a_host_reached_by_a_dns_name_is_known_to_its_peers_by_it() {
    let text = basics("") + "hosts:\n  h1: {address: h1.example.com, groups: control_plane}\n";
    let cluster = cluster(&text);
    assert_eq!(node(&cluster, "h1").peer, "h1.example.com");
    assert!(!hosts_file::lines(&cluster).iter().any(|line| line.contains("h1")), "DNS knows it");
}

#[test]
fn names_get_the_balancers_address_or_the_only_nodes() {
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
fn without_a_balancer_names_go_to_the_first_node_and_that_is_said() {
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

#[test]
fn a_cluster_has_one_kind_of_control_plane() {
    let both = basics("") + &hosts(&["cp control_plane", "aio all_in_one"]);
    assert!(mistakes(&both)[0].contains("`control_plane` and in `all_in_one`"), "{:?}", mistakes(&both));
    let none = basics("") + &hosts(&["g gateway"]);
    assert!(mistakes(&none)[0].contains("no host is in `control_plane`"), "{:?}", mistakes(&none));
    let empty = basics("") + &hosts(&["x other"]);
    assert!(mistakes(&empty)[0].contains("no host is in the group of a role"), "{:?}", mistakes(&empty));
}

#[test]
fn version_4_7_needs_the_shared_encryption_key() {
    let text = basics("").replace("4.6.0", "4.7.0") + &hosts(&["cp control_plane"]);
    assert!(
        mistakes(&text)[0].contains("API Manager 4.7.0 needs `apim.encryption_key`"),
        "{:?}",
        mistakes(&text)
    );
}

#[test]
fn a_lonely_all_in_one_may_keep_its_own_files() {
    let own = basics("");
    let own = own.split("  databases:").next().expect("the settings above");
    let alone = own.to_owned() + &hosts(&["aio all_in_one"]);
    assert!(cluster(&alone).notes().iter().any(|note| note.contains("H2")));
    let pair = own.to_owned() + &hosts(&["a1 all_in_one", "a2 all_in_one"]);
    assert!(mistakes(&pair).iter().any(|m| m.contains("`apim` needs `databases`")), "{:?}", mistakes(&pair));
}

#[test]
fn overriding_a_derived_key_is_announced_once_for_all_nodes() {
    let text = basics("  config: {server: {hostname: x}}\n") + &hosts(&["cp control_plane", "g gateway"]);
    let notes = cluster(&text).notes().join("\n");
    assert!(notes.contains("`config` overrides the derived key `server.hostname` on cp, g"), "{notes}");
}

#[test]
fn raw_keys_that_toml_cannot_say_are_refused() {
    let text = basics(
        "  config:
    transport.https: {a: 1}
    secrets: {x: y}
    apim: {a: null, b: [{c: 1}, 2]}
",
    ) + &hosts(&["cp control_plane"]);
    let found = mistakes(&text).join("\n");
    for part in [
        "a dotted key is no table here",
        "cipher tool are not written by hand",
        "`apim.config.apim.a` is empty",
        "mixes maps with other values",
    ] {
        assert!(found.contains(part), "{part}:\n{found}");
    }
}

/// What a section says it knows, when it is given a key that it does not.
fn known_keys(settings: &str) -> Vec<String> {
    let text = format!("apim: {settings}\n") + &hosts(&["x all_in_one"]);
    let found = mistakes(&text);
    let line =
        found.iter().find(|line| line.contains("has no key `zzzz`")).unwrap_or_else(|| panic!("{found:#?}"));
    let known = line.split("it knows: ").nth(1).unwrap_or_else(|| panic!("{line}"));
    known.trim_end_matches(')').split(", ").map(str::to_owned).collect()
}

#[test]
fn every_setting_is_documented() {
    let documentation = concat!(
        include_str!("../../../../docs/configuration.md"),
        include_str!("../../../../docs/environments.md"),
        include_str!("../../../../docs/throttling.md"),
        include_str!("../../../../docs/secrets.md"),
        include_str!("../../../../docs/databases.md"),
        include_str!("../../../../docs/portals.md"),
    );
    for section in [
        "{zzzz: 1}",
        "{distributions: {zzzz: 1}}",
        "{java: {zzzz: 1}}",
        "{java: {archive: {zzzz: 1}}}",
        "{endpoints: {zzzz: 1}}",
        "{endpoints: {gateway: {zzzz: 1}}}",
        "{admin: {zzzz: 1}}",
        "{databases: {zzzz: 1}}",
        "{databases: {driver: {zzzz: 1}}}",
        "{databases: {apim_db: {zzzz: 1}}}",
        "{keystores: {zzzz: 1}}",
        "{keystores: {tls: {zzzz: 1}}}",
        "{keystores: {mode: issued, passphrase: long-enough, password: long-enough, zzzz: 1}}",
        "{environments: [{zzzz: 1}]}",
        "{control_plane: {zzzz: 1}}",
        "{gateway: {zzzz: 1}}",
        "{gateway: {heap: {zzzz: 1}}}",
        "{gateway: {skip_list: {zzzz: 1}}}",
        "{gateway: {artifacts: {zzzz: 1}}}",
        "{event_hub: {zzzz: 1}}",
        "{throttling: {zzzz: 1}}",
        "{cors: {zzzz: 1}}",
        "{devportal: {zzzz: 1}}",
        "{analytics: {zzzz: 1}}",
        "{backend_jwt: {zzzz: 1}}",
        "{mail: {zzzz: 1}}",
        "{user_store: {zzzz: 1}}",
        "{oauth: {zzzz: 1}}",
        "{traffic_manager: {zzzz: 1}}",
        "{hosts_file: {zzzz: 1}}",
        "{health: {zzzz: 1}}",
    ] {
        for key in known_keys(section) {
            let words = documentation.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            assert!(
                words.into_iter().any(|word| word == key),
                "the pages say nothing of `{key}` in {section}"
            );
        }
    }
}

/// Says that `text` has a mistake with `part`, and on the line that holds `at`.
fn told(text: &str, part: &str, at: &str) {
    let found = mistakes(text);
    let line = found.iter().find(|m| m.contains(part)).unwrap_or_else(|| panic!("{part}: {found:#?}"));
    let number: usize = line.split(':').next().and_then(|n| n.parse().ok()).expect("a line");
    let line = text.lines().nth(number - 1).expect("that line");
    assert!(line.contains(at), "{part} is told at `{line}`, not at `{at}`");
}

#[test]
fn a_name_has_one_address() {
    let two = |more: &str, groups: &[&str]| basics(more) + &hosts(groups);
    let fine = ["cp control_plane", "gw1 gateway", "gw2 gateway"];
    let named = ["cp control_plane", "gw1 gateway", "gw2 gateway | {host_name: gw1}"];
    let endpoint = "  endpoints: {gateway: gw.example}\n";
    assert_eq!(mistakes(&two(endpoint, &fine)), Vec::<String>::new());
    told(&two(endpoint, &named), "hosts `gw1` and `gw2` would both be called `gw1`", "  gw2: ");
    let case = ["cp control_plane", "gw1 gateway", "GW1 gateway"];
    told(&two(endpoint, &case), "would both be called `GW1`", "  GW1: ");
    told(&two("  endpoints: {gateway: gw1}\n", &fine), "is the name of host `gw1`", "endpoints:");
    let extra = "  hosts_file: {extra: {cp: 10.9.9.9}}\n";
    told(
        &two(&format!("{endpoint}{extra}"), &fine),
        "`cp` would have two addresses: 10.0.0.11 (host `cp`) and 10.9.9.9",
        "extra:",
    );
    let same = extra.replace("10.9.9.9", "10.0.0.11");
    assert_eq!(mistakes(&two(&format!("{endpoint}{same}"), &fine)), Vec::<String>::new());
}

#[test]
fn a_digest_is_that_of_one_zip() {
    let text = basics("") + &hosts(&["cp control_plane", "g1 gateway", "g2 gateway | {version: 4.5.0}"]);
    told(
        &text,
        "`wso2am-universal-gw-4.6.0.zip` and `wso2am-universal-gw-4.5.0.zip` have the same",
        "sha256:",
    );
    assert!(mistakes(&text)[0].contains("by file name"), "{:?}", mistakes(&text));
}

#[test]
fn folders_that_break_a_unit_file_are_refused() {
    for folder in ["/opt/w so2", "/opt/%i", "/opt/$HOME", "/opt/\"x\"", "/"] {
        let text = basics(&format!("  install_dir: '{folder}'\n")) + &hosts(&["cp control_plane"]);
        told(&text, "cannot stand in a unit file", "install_dir");
        let text = basics("").replace("home: /opt/java", &format!("home: '{folder}'"));
        told(&(text + &hosts(&["cp control_plane"])), "`apim.java.home`", "java:");
    }
}

#[test]
fn a_table_is_not_overridden_by_a_value() {
    let text =
        basics("  config: {database: 5, server: {hostname: {a: 1}}}\n") + &hosts(&["cp control_plane"]);
    told(&text, "`config.database` is a table in deployment.toml, not a whole number", "config:");
    told(&text, "`config.server.hostname` is a value in deployment.toml, not a map", "config:");
}

#[test]
fn what_cannot_start_is_refused_before() {
    let host = hosts(&["cp control_plane"]);
    let heap = |initial: &str| {
        basics(&format!("  control_plane: {{heap: {{initial: {initial}, maximum: 1g}}}}\n")) + &host
    };
    told(&heap("1025m"), "`initial` (1025m) is more than `maximum` (1g)", "heap");
    assert_eq!(mistakes(&heap("1024m")), Vec::<String>::new());
    let stores = "  keystores:
    tls: {file: tls.p12, type: JKS, password: secret-of-keystores, alias: a}
    truststore: {file: trust.jks, password: secret-of-keystores}
";
    told(&(basics(stores) + &host), "`tls.p12` is no JKS keystore", "tls:");
    let notes = cluster(&(basics("") + &host)).notes().join("\n");
    assert!(notes.contains("no `driver` on cp"), "{notes}");
}

#[test]
fn one_slip_is_told_once_and_shows_no_account() {
    let all = ["cp control_plane", "g1 gateway", "g2 gateway"];
    for (from, to, what) in [
        ("type: mysql", "type: mysqll", "cannot be `mysqll`"),
        ("gateway: gw.example", "gateway: gw_x", "holds `_`"),
        ("gateway: gw.example", "gateway: 'https://u:hunter2@gw.example'", "a name, without `https://`"),
        ("sha256: 44", "sha256: xx", "`apim.databases.driver.sha256`"),
        ("[{name: A}]", "[{name: A}, {name: A}]", "the environment `A` is there twice"),
        ("source: zips", "source: 'ftp://u:hunter2@x/{version}'", "nothing is fetched from `ftp://…`"),
        ("source: zips", "source: 'https://x/{verson}'", "nothing stands for `{verson}`"),
        ("source: zips", "source: zips\n    proxy: 'u:hunter2@proxy'", "is no proxy URL"),
    ] {
        let text = basics("  endpoints: {gateway: gw.example}\n  environments: [{name: A}]\n").replace(
            "    type: mysql\n",
            &format!("    type: mysql\n    driver: {{source: d.jar, sha256: {}}}\n", "4".repeat(64)),
        ) + &hosts(&all);
        assert_eq!(mistakes(&text), Vec::<String>::new());
        let broken = text.replacen(from, to, 1);
        assert_ne!(broken, text, "{from}");
        let found = mistakes(&broken);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].contains(what) && !found[0].contains("hunter2"), "{what}: {found:?}");
    }
}
