//! Tests that the documentation names every setting.

use crate::testing::{hosts, mistakes};

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
        include_str!("../../../../../docs/configuration.md"),
        include_str!("../../../../../docs/environments.md"),
        include_str!("../../../../../docs/events.md"),
        include_str!("../../../../../docs/secrets.md"),
        include_str!("../../../../../docs/databases.md"),
        include_str!("../../../../../docs/oauth-and-proxy.md"),
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
