//! Tests of building clusters and of their errors.

mod documented;
mod endpoints;
mod topology;

use crate::testing::{basics, cluster, hosts, mistakes, node};

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

/// Asserts that `text` has an error with `part` on the line that contains `at`.
fn assert_error(text: &str, part: &str, at: &str) {
    let found = mistakes(text);
    let line = found.iter().find(|m| m.contains(part)).unwrap_or_else(|| panic!("{part}: {found:#?}"));
    let number: usize = line.split(':').next().and_then(|n| n.parse().ok()).expect("a line");
    let line = text.lines().nth(number - 1).expect("that line");
    assert!(line.contains(at), "{part} is reported at `{line}`, not at `{at}`");
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
