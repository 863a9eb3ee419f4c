//! Tests of the catalogue and of the checks of `config:`.

use super::*;
use crate::testing::{basics, build, cluster, hosts};

const ACP: Role = Role::ControlPlane;

#[test]
fn lists_are_sorted_and_well_formed() {
    let lines: Vec<&str> = include_str!("keys.tsv").lines().filter(|line| !line.starts_with('#')).collect();
    assert!(lines.len() > 4000);
    for pair in lines.windows(2) {
        assert!(pair[0] < pair[1], "{} is before {}", pair[0], pair[1]);
    }
    for line in &lines {
        let fields: Vec<&str> = line.split('\t').collect();
        assert!((2..=4).contains(&fields.len()), "{line}");
        assert!(["table", "tables", "list", "bool", "int", "text", "any"].contains(&fields[1]), "{line}");
        let path = segments(fields[0]);
        let (last, tables) = path.split_last().expect("a key");
        if let Some(table) = tables.last() {
            assert!(!table.is_empty() && !last.is_empty(), "{line}");
        }
    }
    for Advice { key, text, .. } in NEVER_READ.iter() {
        assert!(!text.is_empty());
        let read = Role::ALL.into_iter().any(|role| is_read(key, role, Series::V4_6));
        assert!(!read || key.last() == Some(&"*"), "{key:?} is listed as never read, but it is read");
    }
}

#[test]
fn readers_depend_on_component_and_series() {
    let passthru = ["transport", "passthru_http", "listener", "parameters"];
    assert!(is_read(&passthru, Role::Gateway, Series::V4_6));
    assert!(!is_read(&passthru, ACP, Series::V4_6));
    assert!(!is_read(&["apim", "gateway_notification", "enabled"], Role::Gateway, Series::V4_5));
    assert!(is_read(&["apim", "gateway_notification", "enabled"], Role::Gateway, Series::V4_6));
    assert!(is_read(&["passthru_http", "http.socket.timeout"], Role::Gateway, Series::V4_5), "any name");
    assert!(is_read(&["event_listener", "properties", "header.X-WSO2-KEY-MANAGER"], ACP, Series::V4_7));
    assert!(!is_read(&["apim", "gateway", "enviroment"], ACP, Series::V4_6));
}

#[test]
fn segments_parse_quotes_and_arrays() {
    assert_eq!(segments("a.'b.c'[].d"), ["a", "b.c", "d"]);
    assert_eq!(segments("a[].b[].*"), ["a", "b", "*"]);
    assert_eq!(segments("'a.b'"), ["a.b"]);
}

/// Returns the warnings of a cluster with this `config`, as `line: what (hint)`.
fn warned(config: &str, more: &str) -> Vec<String> {
    let text = basics(&format!("  config:\n{config}{more}")) + &hosts(&["cp1 control_plane", "gw1 gateway"]);
    shown(cluster(&text).warnings())
}

fn shown(warnings: &crate::yaml::Mistakes) -> Vec<String> {
    let one = |warning: &&crate::yaml::Mistake| {
        let hint = warning.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{}: {}{hint}", warning.span.line, warning.what)
    };
    warnings.in_order().iter().map(one).collect()
}

#[test]
fn unknown_key_is_warned_about_with_suggestion() {
    let warnings =
        warned("    apim: {gateway: {enviroment: [{name: x}]}}\n    event_hub: {enable: true}\n", "");
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].starts_with("14: `config.apim.gateway.enviroment`: unknown key"), "{warnings:?}");
    assert!(warnings[0].contains("control plane 4.6.0") && warnings[0].contains("gateway 4.6.0"));
    assert!(warnings[0].contains("did you mean `apim.gateway.environment`?"));
    assert!(warnings[1].contains("did you mean `apim.event_hub`?"), "{warnings:?}");
}

#[test]
fn key_must_be_read_by_one_of_its_nodes() {
    let key = "transport: {passthru_http: {listener: {parameters: {x: 1}}}}";
    assert_eq!(warned(&format!("    {key}\n"), ""), Vec::<String>::new());
    let warnings =
        warned("    server: {mode: single}\n", &format!("  control_plane: {{config: {{{key}}}}}\n"));
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("unknown key of deployment.toml for control plane 4.6.0"), "{warnings:?}");
    assert!(warnings[0].contains("other components read it"), "{warnings:?}");
}

#[test]
fn versions_documented_errors_and_forms_are_reported() {
    let of = |config: &str| warned(&format!("    {config}\n"), "").concat();
    assert!(of("apim: {devportal: {enable_legacy_api_keys: true}}").contains("other versions read it"));
    assert!(of("apim: {key_manager: {server_url: x}}").contains("use `service_url`"));
    assert!(of("transport: {https: {socket_timeout: 5}}").contains("transport.http.socket_timeout"));
    assert!(of("apim: {analytics: {url_group: [{a: 1}]}}").contains("no component of any version"));
    assert!(of("transport: {http: true}").contains("is a table in deployment.toml"));
    assert!(
        of("event_recorder: [{name: '$ref{super_admin.username}'}]").contains("`$ref{…}` is not resolved")
    );
    assert!(of("server: {hostname: '$ref{srever.x}'}").contains("`$ref{srever.x}` cannot be resolved"));
    assert!(of("server: {hostname: '$env{X}'}").contains("`$env{X}` cannot be resolved"));
    assert!(of("server: {hostname: '$secret{x}'}").contains("encrypts it"));
    assert_eq!(of("server: {mode: '$ref{server.server_role}'}"), "");
    assert_eq!(of("synapse_properties: {'my.own': 1}"), "");
}

#[test]
fn strict_config_makes_unknown_keys_errors() {
    let text = basics("  strict_config: true\n  config: {srever: {mode: single}}\n")
        + &hosts(&["cp1 control_plane"]);
    let mistakes = build(&text).expect_err("an error");
    let what = shown(&mistakes).concat();
    assert!(what.contains("`config.srever`") && what.contains("did you mean `server`?"), "{what}");
    let known = text.replace("srever", "server");
    assert!(build(&known).is_ok());
}

#[test]
fn key_that_fails_the_start_is_an_error() {
    let text = basics("  config: {transport: {http: {max_message_size_bytes: 5}}}\n")
        + &hosts(&["gw1 gateway", "cp1 control_plane"]);
    let what = shown(&build(&text).expect_err("an error")).concat();
    assert!(what.contains("fails the start") && what.contains("valid.max.message.size.in.bytes"), "{what}");
}
