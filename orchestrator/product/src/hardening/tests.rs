//! Hardening settings and rejected configurations.

use crate::settings::hardening::{Jmx, Verifier};
use crate::testing::{HA, basics, cluster, hosts, mistakes, node};
use crate::{hardening, unit};

/// A cluster that is suitable for production, with the given `hardening`.
fn fit(hardening: &str) -> String {
    let text = basics(&format!(
        "  hardening: {hardening}
  keystores:
    tls: {{file: tls.jks, password: secret-of-keystores, alias: a}}
    primary: {{file: primary.jks, password: secret-of-keystores, alias: a}}
    truststore: {{file: trust.jks, password: secret-of-keystores}}
"
    ));
    let text = text.replace("password: admin}", "password: a-long-password}");
    text.replace("password: apimadmin", "password: q8-other")
        .replace("password: sharedadmin", "password: q9-other")
        + &hosts(&["cp control_plane", "g gateway | {gateway: {port_offset: 3}}"])
}

#[test]
fn hardening_is_off_by_default() {
    let cluster = cluster(HA);
    let gateway = node(&cluster, "gw-1");
    assert!(hardening::sysctl(&cluster, "gw-1").is_empty());
    assert!(hardening::sandbox(gateway).is_empty() && hardening::inputs(gateway).is_empty());
    assert!(hardening::limits_file(gateway).is_none() && hardening::java_opts(gateway).is_none());
    assert!(!unit::text(gateway).contains("NoNewPrivileges"));
}

#[test]
fn production_enables_everything_and_reserves_node_ports() {
    let cluster = cluster(&fit("production"));
    let gateway = node(&cluster, "g");
    let values = hardening::sysctl(&cluster, "g");
    assert_eq!(values.get("net.ipv4.tcp_fin_timeout").map(String::as_str), Some("30"));
    assert!(!values.contains_key("net.ipv4.tcp_tw_recycle"));
    let reserved = &values["net.ipv4.ip_local_reserved_ports"];
    for port in ["8246", "9446", "9766"] {
        assert!(reserved.contains(port), "{reserved}");
    }
    let text = unit::text(gateway);
    assert!(
        text.contains("ProtectSystem=strict\nReadWritePaths=/opt/wso2/gateway/releases/4.6.0-22222222\n"),
        "{text}"
    );
    assert!(text.contains("/bin/gateway.sh -Dhttpclient.hostnameVerifier=Strict\n"), "{text}");
    assert!(text.contains("-Djdk.tls.ephemeralDHKeySize=2048"), "{text}");
    assert!(!text.contains("MemoryDenyWriteExecute"), "{text}");
    assert_eq!(
        unit::script(gateway).argv.last().map(String::as_str),
        Some("-Dhttpclient.hostnameVerifier=Strict")
    );
    let inputs = unit::inputs(&cluster, gateway);
    for label in ["sandbox", "hostname verifier", "JVM options"] {
        assert!(inputs.contains_key(label), "{inputs:?}");
    }
    let rendered = crate::config::render(&cluster, gateway).text;
    assert!(rendered.contains("rmi_server_start = false"), "{rendered}");
}

#[test]
fn single_settings_override_the_mode() {
    let cluster = cluster(&fit(
        "{mode: production, sandbox: true, writable: [/mnt/shared], jmx: local, hostname_verifier: default_and_localhost, sysctl: {net.ipv4.tcp_fin_timeout: 15, net.ipv4.tcp_tw_reuse: null, vm.swappiness: 1}}",
    ));
    let gateway = node(&cluster, "g");
    let hardening = &gateway.settings.hardening;
    assert_eq!((hardening.jmx, hardening.hostname_verifier), (Jmx::Local, Verifier::DefaultAndLocalhost));
    assert!(hardening.production && hardening.limits);
    assert!(unit::text(gateway).contains("4.6.0-22222222 -/mnt/shared\n"), "{}", unit::text(gateway));
    let values = hardening::sysctl(&cluster, "g");
    assert_eq!(values.get("net.ipv4.tcp_fin_timeout").map(String::as_str), Some("15"));
    assert_eq!(values.get("vm.swappiness").map(String::as_str), Some("1"));
    assert!(!values.contains_key("net.ipv4.tcp_tw_reuse"));
    let off = fit("{sysctl: true}");
    let cluster = crate::testing::cluster(&off);
    assert!(
        !node(&cluster, "g").settings.hardening.production && !hardening::sysctl(&cluster, "g").is_empty()
    );
}

#[test]
fn unsuitable_settings_are_errors_with_line_numbers() {
    assert_eq!(mistakes(&fit("production")), Vec::<String>::new());
    let refused = mistakes(&HA.replace("  java:", "  hardening: production\n  java:"));
    for part in ["apim.admin.password", "apim_db.password", "shared_db.password", "shipped keystores"] {
        assert!(refused.iter().any(|text| text.contains(part)), "{part}: {refused:#?}");
    }
    assert!(refused.iter().all(|text| !text.starts_with("0:")), "{refused:#?}");
    assert_eq!(mistakes(&HA.replace("  java:", "  hardening: 'off'\n  java:")), Vec::<String>::new());
    let short = fit("production").replace("a-long-password", "short-1");
    assert!(mistakes(&short).iter().any(|text| text.contains("fewer than 8")));
    let strict = HA.replace("  java:", "  hardening: {hostname_verifier: strict}\n  java:");
    assert!(mistakes(&strict).iter().any(|text| text.contains("only localhost")), "{:?}", mistakes(&strict));
}

#[test]
fn unknown_values_are_errors() {
    for (hardening, part) in [
        ("prodcution", "production"),
        ("{mode: productoin}", "production"),
        ("{sandbx: true}", "sandbox"),
        ("{jmx: remote}", "jmx"),
        ("{writable: /mnt}", "must be a list"),
        ("{writable: [relative]}", "absolute"),
        ("{sysctl: {net.ipv4.tcp_tw_recycle: 1}}", "tcp_tw_recycle"),
        ("{sysctl: {'../x': 1}}", "invalid kernel parameter"),
        ("{sysctl: 3}", "must be true, false, or a map"),
    ] {
        let found = mistakes(&fit(hardening));
        assert!(found.iter().any(|text| text.contains(part)), "{hardening}: {found:?}");
    }
}
