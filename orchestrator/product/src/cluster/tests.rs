//! Tests of building clusters and of their errors.

use super::*;
use crate::hosts_file;
use crate::testing::{HA, SINGLE, basics, cluster, hosts, mistakes, node};

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
fn errors_of_hosts_and_roles_point_at_their_lines() {
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
    assert_eq!(line(&offset, "port 9443"), "port_offset: 0", "the configured offset");
    let two =
        "hosts:\n  cp:\n    groups: control_plane\n  g1:\n    groups: gateway\n  g2:\n    groups: gateway\n";
    assert_eq!(line(&(basics("") + two), "no endpoint is set"), "g2:", "the node that made it necessary");
    let block = "  endpoints:\n    control_plane: cp.example\n";
    assert_eq!(line(&(basics(block) + two), "no endpoint is set"), "endpoints:");
    let environments = "  environments: [{name: A, endpoint: a.example}, {name: B, endpoint: b.example}]\n";
    let one = "hosts:\n  cp:\n    groups: control_plane\n  g1:\n    groups: gateway\n";
    assert_eq!(line(&(basics(environments) + one), "sets no environment"), "g1:");
    let name = basics("") + "hosts:\n  h_1:\n    address: 10.0.0.1\n    groups: control_plane\n";
    assert_eq!(line(&name, "its name `h_1`"), "h_1:");
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
fn unknown_environment_suggests_the_nearest() {
    let text = basics("  environments: [{name: Production}, {name: Sandbox, endpoint: s.example}]\n")
        + &hosts(&["cp control_plane", "g gateway | {gateway: {environment: Prodution}}"]);
    let found = mistakes(&text);
    assert!(found.iter().any(|m| m.contains("environment `Prodution`, which does not exist (did you mean `Production`?)")), "{found:?}");
    let unset = text.replace("gateway | {gateway: {environment: Prodution}}", "gateway");
    let found = mistakes(&unset.replace(", apim: {gateway: {environment: Prodution}}", ", apim: {}"));
    assert!(
        found.iter().any(|m| m.contains("gateway `g` sets no environment, but there are 2")),
        "{found:?}"
    );
}

#[test]
fn all_errors_are_reported_once() {
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
        "2: `apim.version`: unsupported version `4.4.0`: supported are 4.5.x, 4.6.x and 4.7.x",
        "3: `apim.distributions.sha256.gatway`: unknown distribution (did you mean `gateway`?",
        "3: hosts cannot pull from `zips`",
        "4: `apim.java.home`: path `opt/java`: must be absolute",
        "5: `apim` has an unknown key `endpoint` (did you mean `endpoints`?)",
        "6: `apim.admin.password` must not contain `@`",
        "7: `apim.databases.host`: `db_1` contains `_`",
        "7: `apim_db` and `shared_db` both use the database `apim_db`",
        "7: `apim.databases.shared_db.password` contains `$…{`",
        "8: duplicate environment `A`",
    ] {
        assert_eq!(found.matches(part).count(), 1, "`{part}` in:\n{found}");
    }
}

#[test]
fn missing_required_settings_are_reported() {
    let text = "apim: {}\nhosts:\n  h1: {groups: control_plane}\n";
    let found = mistakes(text).join("\n");
    for key in ["version", "distributions.source", "java", "admin.password", "databases"] {
        assert!(found.contains(&format!("`apim` requires `{key}`")), "{key}:\n{found}");
    }
    let broken = mistakes("apim: {java: {}, version: 1, admin: {}}\nhosts:\n  h1: {groups: control_plane}\n")
        .join("\n");
    for part in [
        "`apim.java` requires `home`",
        "invalid version `1`: expected the form 4.6.0",
        "`apim.admin` requires `password`",
    ] {
        assert!(broken.contains(part), "{part}:\n{broken}");
    }
    assert!(
        !broken.contains("`apim` requires `java`") && !broken.contains("`apim` requires `version`"),
        "reported twice:\n{broken}"
    );
    let no_digest = basics("").replace(&format!("gateway: {}, ", "2".repeat(64)), "");
    let found = mistakes(&(no_digest + &hosts(&["cp control_plane", "g gateway"])));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("no SHA-256 for `wso2am-universal-gw-4.6.0.zip`"), "{found:?}");
}

#[test]
fn digest_by_file_name_selects_the_version() {
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
fn shared_settings_must_not_differ() {
    let text = basics("") + &hosts(&["cp control_plane", "g gateway | {admin: {password: hunter2}}"]);
    let found = mistakes(&text);
    assert!(found[0].contains("`apim.admin` on `g` differs from that on `cp`"), "{found:?}");
    assert!(!found[0].contains("hunter2"), "password in an error: {found:?}");
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

#[test]
fn control_plane_and_all_in_one_exclude_each_other() {
    let both = basics("") + &hosts(&["cp control_plane", "aio all_in_one"]);
    assert!(mistakes(&both)[0].contains("both `control_plane` and `all_in_one`"), "{:?}", mistakes(&both));
    let none = basics("") + &hosts(&["g gateway"]);
    assert!(mistakes(&none)[0].contains("no host is in `control_plane`"), "{:?}", mistakes(&none));
    let empty = basics("") + &hosts(&["x other"]);
    assert!(mistakes(&empty)[0].contains("no host is in a role's group"), "{:?}", mistakes(&empty));
}

#[test]
fn version_4_7_requires_an_encryption_key() {
    let text = basics("").replace("4.6.0", "4.7.0") + &hosts(&["cp control_plane"]);
    assert!(
        mistakes(&text)[0].contains("API Manager 4.7.0 requires `apim.encryption_key`"),
        "{:?}",
        mistakes(&text)
    );
}

#[test]
fn standalone_all_in_one_can_use_h2() {
    let own = basics("");
    let own = own.split("  databases:").next().expect("the settings above");
    let alone = own.to_owned() + &hosts(&["aio all_in_one"]);
    assert!(cluster(&alone).notes().iter().any(|note| note.contains("H2")));
    let pair = own.to_owned() + &hosts(&["a1 all_in_one", "a2 all_in_one"]);
    assert!(
        mistakes(&pair).iter().any(|m| m.contains("`apim` requires `databases`")),
        "{:?}",
        mistakes(&pair)
    );
}

#[test]
fn override_is_noted_once_for_all_nodes() {
    let text = basics("  config: {server: {hostname: x}}\n") + &hosts(&["cp control_plane", "g gateway"]);
    let notes = cluster(&text).notes().join("\n");
    assert!(notes.contains("`config` overrides the derived key `server.hostname` on cp, g"), "{notes}");
}

#[test]
fn config_keys_invalid_in_toml_are_rejected() {
    let text = basics(
        "  config:
    transport.https: {a: 1}
    secrets: {x: y}
    apim: {a: null, b: [{c: 1}, 2]}
",
    ) + &hosts(&["cp control_plane"]);
    let found = mistakes(&text).join("\n");
    for part in [
        "a dotted key does not create a table here",
        "cipher tool cannot be set by hand",
        "`apim.config.apim.a` is empty",
        "mixes maps with other values",
    ] {
        assert!(found.contains(part), "{part}:\n{found}");
    }
}

/// Returns the known keys of a section, from the error for an unknown key.
fn known_keys(settings: &str) -> Vec<String> {
    let text = format!("apim: {settings}\n") + &hosts(&["x all_in_one"]);
    let found = mistakes(&text);
    let line = found
        .iter()
        .find(|line| line.contains("has an unknown key `zzzz`"))
        .unwrap_or_else(|| panic!("{found:#?}"));
    let known = line.split("known keys: ").nth(1).unwrap_or_else(|| panic!("{line}"));
    known.trim_end_matches(')').split(", ").map(str::to_owned).collect()
}

#[test]
fn every_setting_is_documented() {
    let documentation = concat!(
        include_str!("../../../../docs/configuration.md"),
        include_str!("../../../../docs/environments.md"),
        include_str!("../../../../docs/events.md"),
        include_str!("../../../../docs/secrets.md"),
        include_str!("../../../../docs/databases.md"),
        include_str!("../../../../docs/oauth-and-proxy.md"),
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
            assert!(words.into_iter().any(|word| word == key), "`{key}` in {section} is not documented");
        }
    }
}

/// Asserts that `text` has an error with `part` on the line that contains `at`.
fn assert_error(text: &str, part: &str, at: &str) {
    let found = mistakes(text);
    let line = found.iter().find(|m| m.contains(part)).unwrap_or_else(|| panic!("{part}: {found:#?}"));
    let number: usize = line.split(':').next().and_then(|n| n.parse().ok()).expect("a line");
    let line = text.lines().nth(number - 1).expect("that line");
    assert!(line.contains(at), "{part} is reported at `{line}`, not at `{at}`");
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
fn zips_have_different_digests() {
    let text = basics("") + &hosts(&["cp control_plane", "g1 gateway", "g2 gateway | {version: 4.5.0}"]);
    assert_error(
        &text,
        "`wso2am-universal-gw-4.6.0.zip` and `wso2am-universal-gw-4.5.0.zip` have the same",
        "sha256:",
    );
    assert!(mistakes(&text)[0].contains("by file name"), "{:?}", mistakes(&text));
}

#[test]
fn folders_invalid_in_unit_files_are_rejected() {
    for folder in ["/opt/w so2", "/opt/%i", "/opt/$HOME", "/opt/\"x\"", "/"] {
        let text = basics(&format!("  install_dir: '{folder}'\n")) + &hosts(&["cp control_plane"]);
        assert_error(&text, "cannot be used in a unit file", "install_dir");
        let text = basics("").replace("home: /opt/java", &format!("home: '{folder}'"));
        assert_error(&(text + &hosts(&["cp control_plane"])), "`apim.java.home`", "java:");
    }
}

#[test]
fn tables_are_not_overridden_by_values() {
    let text =
        basics("  config: {database: 5, server: {hostname: {a: 1}}}\n") + &hosts(&["cp control_plane"]);
    assert_error(&text, "`config.database` is a table in deployment.toml, not a whole number", "config:");
    assert_error(&text, "`config.server.hostname` is a value in deployment.toml, not a map", "config:");
}

#[test]
fn settings_that_fail_the_start_are_rejected() {
    let host = hosts(&["cp control_plane"]);
    let heap = |initial: &str| {
        basics(&format!("  control_plane: {{heap: {{initial: {initial}, maximum: 1g}}}}\n")) + &host
    };
    assert_error(&heap("1025m"), "`initial` (1025m) is larger than `maximum` (1g)", "heap");
    assert_eq!(mistakes(&heap("1024m")), Vec::<String>::new());
    let stores = "  keystores:
    tls: {file: tls.p12, type: JKS, password: secret-of-keystores, alias: a}
    truststore: {file: trust.jks, password: secret-of-keystores}
";
    assert_error(&(basics(stores) + &host), "`tls.p12` is not a JKS keystore", "tls:");
    let notes = cluster(&(basics("") + &host)).notes().join("\n");
    assert!(notes.contains("no `driver` on cp"), "{notes}");
}

#[test]
fn errors_are_reported_once_without_credentials() {
    let all = ["cp control_plane", "g1 gateway", "g2 gateway"];
    for (from, to, what) in [
        ("type: mysql", "type: mysqll", "unknown value `mysqll`"),
        ("gateway: gw.example", "gateway: gw_x", "contains `_`"),
        ("gateway: gw.example", "gateway: 'https://u:hunter2@gw.example'", "a name, without `https://`"),
        ("sha256: 44", "sha256: xx", "`apim.databases.driver.sha256`"),
        ("[{name: A}]", "[{name: A}, {name: A}]", "duplicate environment `A`"),
        ("source: zips", "source: 'ftp://u:hunter2@x/{version}'", "unsupported URL scheme in `ftp://…`"),
        ("source: zips", "source: 'https://x/{verson}'", "unknown placeholder `{verson}`"),
        ("source: zips", "source: zips\n    proxy: 'u:hunter2@proxy'", "is not a valid proxy URL"),
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
