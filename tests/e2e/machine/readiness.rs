//! `preflight`, `audit` and hardening on real machines.

use apim_tests::cli::Run;
use apim_tests::machine::Topology;
use serde_json::json;

use super::{Node, Site};
use crate::events;

/// Returns the status of a check of a host, and what was found.
fn check(run: &Run, host: &str, check: &str) -> (String, String) {
    let all = events(run);
    let row = all.iter().find(|one| one["event"] == "check" && one["host"] == host && one["check"] == check);
    let row = row.unwrap_or_else(|| panic!("no {check} of {host} in\n{}", run.text()));
    let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
    (text("status"), text("found"))
}

#[test]
fn failed_preflight_changes_no_host() {
    let Some(mut site) = Site::up(&Topology::single().expect("a topology")) else { return };
    let ready = site.run("preflight", &["-o", "json"]).ended_with(0);
    assert_eq!(check(&ready, "gw1", "ports").0, "ok");
    assert_eq!(check(&ready, "gw1", "names").0, "ok");
    assert!(site.run("preflight", &[]).ended_with(0).stdout.contains("ports"));

    occupied_port_and_full_disk(&site);
    unresolved_and_shadowed_names(&mut site);
    unsupported_jdk(&mut site);
}

/// Another process on a port of the gateway, and a file system that is too small for a release.
fn occupied_port_and_full_disk(site: &Site) {
    site.sh("gw1", "systemd-run --unit=taken --collect systemd-socket-activate --listen=8243 --accept cat");
    site.sh("tm1", "mkdir -p /opt/wso2 && mount -t tmpfs -o size=1m tmpfs /opt/wso2");
    let failed = site.run("preflight", &["-o", "json"]).ended_with(1);
    let (status, found) = check(&failed, "gw1", "ports");
    let pid = site.sh("gw1", "systemctl show -P MainPID taken");
    assert_eq!(status, "fail");
    assert!(found.contains("8243") && found.contains(&format!("pid {}", pid.trim())), "{found}");
    let (status, found) = check(&failed, "tm1", "disk");
    assert!(status == "fail" && found.contains("/opt/wso2"), "{status}: {found}");
    assert_eq!(check(&failed, "km1", "disk").0, "ok");

    let refused = site.run("apply", &[]).ended_with(1);
    for part in ["8243", "gw1", "tm1", "nothing was changed"] {
        assert!(refused.text().contains(part), "{part} is not in\n{}", refused.text());
    }
    for host in ["km1", "gw1", "cp1"] {
        assert_eq!(
            site.sh(host, "ls -d /opt/wso2 2>/dev/null || echo none").trim(),
            "none",
            "{host} was changed"
        );
    }
    site.sh("tm1", "umount /opt/wso2");
    site.sh("gw1", "systemctl stop taken");
}

/// Names that do not resolve if /etc/hosts is not managed, and names with a conflicting line.
fn unresolved_and_shadowed_names(site: &mut Site) {
    site.inventory.set("hosts_file", json!({"enabled": false}));
    let failed = site.run("preflight", &["-o", "json"]).ended_with(1);
    let (status, found) = check(&failed, "km1", "names");
    assert!(status == "fail" && found.contains("api.am.wso2.com"), "{status}: {found}");
    site.inventory.set("preflight", json!({"names": "warn"}));
    site.run("preflight", &[]).ended_with(0);
    site.inventory.set("preflight", json!({}));
    site.inventory.set("hosts_file", json!({}));
    // A line before the managed block takes precedence, so it is reported.
    site.sh("cp1", "cp /etc/hosts /etc/hosts.kept; echo '192.0.2.9 tm.wso2.com' >> /etc/hosts");
    let (status, found) = check(&site.run("preflight", &["-o", "json"]).ended_with(1), "cp1", "names");
    assert!(status == "fail" && found.contains("192.0.2.9") && found.contains("line"), "{status}: {found}");
    site.sh("cp1", "cat /etc/hosts.kept > /etc/hosts");
}

/// A JDK about which the start script would only print a warning.
fn unsupported_jdk(site: &mut Site) {
    for node in site.nodes() {
        let jdk = "mkdir -p /opt/jdk8/bin; printf '#!/bin/sh\\n' > /opt/jdk8/bin/java; chmod 755 /opt/jdk8/bin/java; \
                   echo 'JAVA_VERSION=\"1.8.0_392\"' > /opt/jdk8/release";
        site.sh(&node.host, jdk);
    }
    site.inventory.set("java", json!({"home": "/opt/jdk8"}));
    let (status, found) = check(&site.run("preflight", &["-o", "json"]).ended_with(1), "gw1", "jdk");
    assert!(status == "fail" && found.contains("1.8.0_392") && found.contains("11 to 21"), "{found}");
    let refused = site.run("apply", &["--skip-tags", "preflight"]).ended_with(1);
    for part in ["1.8.0_392", "11 to 21", "/opt/jdk8"] {
        assert!(refused.text().contains(part), "{part} is not in\n{}", refused.text());
    }
}

#[test]
fn hardened_cluster_passes_audit_and_hardening_can_be_removed() {
    let Some(mut site) = Site::up(&Topology::single().expect("a topology")) else { return };
    site.inventory.set(
        "hardening",
        json!({"sysctl": true, "limits": true, "sandbox": true, "jvm": true, "jmx": "off"}),
    );
    let first = site.run("apply", &["-v"]).ended_with(0);
    site.assert_up_to_date();
    site.run("status", &[]).ended_with(0);

    let audit = site.run("audit", &["-o", "json"]).ended_with(1);
    let items = events(&audit);
    let state = |name: &str| {
        let item = items.iter().find(|one| one["event"] == "item" && one["name"] == name);
        item.unwrap_or_else(|| panic!("no item {name} in\n{}", audit.text()))["state"].clone()
    };
    for name in [
        "account",
        "running_user",
        "modes",
        "sandbox",
        "limits",
        "jmx",
        "jmx_ports",
        "jvm_flags",
        "tcp_tw_recycle",
    ] {
        assert_eq!(state(name), "holds", "{name}\n{}", audit.text());
    }
    // The lab's cluster uses the documented passwords and the shipped keystores.
    for name in ["passwords", "keystores", "shipped_in_use"] {
        assert_eq!(state(name), "broken", "{name}");
    }
    assert!(site.run("audit", &["--offline"]).ended_with(1).stdout.contains("keystores"));

    // The ports are reserved at the next boot, and at once if the kernel settings are writable; if not, that
    // is reported.
    let drop_in = site.sh("gw1", "cat /etc/sysctl.d/90-apim-deploy*");
    let reserved = site.sh("gw1", "cat /proc/sys/net/ipv4/ip_local_reserved_ports");
    for port in ["9443", "8243"] {
        assert!(drop_in.contains(port), "{drop_in}");
        assert!(
            reserved.contains(port) || first.text().contains("read-only"),
            "{reserved}\n{}",
            first.text()
        );
    }
    let gateway = Node { host: "gw1".to_owned(), group: "gateway", folder: "gateway" };
    let before = site.started(&gateway);
    // Without hardening, the sandbox is removed by a restart, and managed files are removed.
    site.inventory.set("hardening", json!("off"));
    site.run("apply", &[]).ended_with(0);
    assert!(site.started(&gateway) > before, "the gateway was not restarted without its sandbox");
    let left = site.sh("gw1", "ls /etc/sysctl.d /etc/security/limits.d");
    assert!(!left.contains("90-apim-deploy"), "{left}");
    site.assert_up_to_date();
}
