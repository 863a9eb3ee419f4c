//! Load balancer files of whole clusters, tested with a real nginx if it is installed.
#![expect(clippy::print_stderr, reason = "reports a skipped test")]

use std::process::Command;

use super::*;
use crate::testing::{HA, basics, build_with, cluster, hosts, mistakes, node};
use crate::testing::{NOW, quick};
use crate::yaml::Span;

const ISSUED: &str = "keystores: {mode: issued, passphrase: long-enough-passphrase, password: secret-of-keystores}\n  load_balancer: {kind: nginx}\n";

/// The documented cluster with nginx, without issued certificates.
fn ha() -> Cluster {
    cluster(&HA.replacen("  endpoints:\n", &format!("  {ISSUED}  endpoints:\n"), 1))
}

/// A cluster with these settings and hosts, and the load balancer `lb`.
fn of(more: &str, lines: &[&str]) -> Cluster {
    let mut all = lines.to_vec();
    all.push("lb load_balancer");
    cluster(&format!("{}{}", basics(&format!("  {ISSUED}{more}")), hosts(&all)))
}

fn lb(cluster: &Cluster) -> &Host {
    cluster.host("lb").expect("a host")
}

/// All files except those of single servers.
fn shown(cluster: &Cluster) -> String {
    let mut text = String::new();
    for file in files(cluster, lb(cluster)).expect("files") {
        text.push_str(&format!("==> {} {}\n", file.path, file.mode));
        text.push_str(&String::from_utf8_lossy(&file.bytes));
        text.push('\n');
    }
    text
}

/// Tests the files with a real nginx, with sockets instead of ports.
fn tested(cluster: &mut Cluster) {
    if Command::new("nginx").arg("-v").output().is_err() {
        eprintln!("skipped: nginx is not installed");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path().display().to_string();
    let identity = quick(&["lb"], NOW, NOW + 1000);
    cluster.set_authority(identity.chain[0].clone());
    cluster.set_balancer("lb", identity);
    for file in files(cluster, lb(cluster)).expect("files") {
        let path = folder.path().join(file.path.as_str().trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        let text = String::from_utf8_lossy(&file.bytes)
            .replace("/etc/nginx", &format!("{at}/etc/nginx"))
            .replace("    listen ", &format!("    listen unix:{at}/"));
        std::fs::write(path, text).expect("written");
    }
    let main = format!(
        "pid {at}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{ access_log off; include {at}{}; }}\n",
        nginx::ENTRY
    );
    let file = folder.path().join("nginx.conf");
    std::fs::write(&file, main).expect("written");
    let output = Command::new("nginx").arg("-t").arg("-c").arg(&file).arg("-p").arg(folder.path()).output();
    let output = output.expect("nginx runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !stderr.contains("[warn]"), "{stderr}");
}

#[test]
fn documented_cluster_files() {
    let mut cluster = ha();
    insta::assert_snapshot!("ha", shown(&cluster));
    tested(&mut cluster);
}

#[test]
fn environments_offsets_addresses_and_long_names() {
    let long = format!("gateway.{}.{}.example.com", "a".repeat(60), "b".repeat(60));
    let environments = format!(
        "  environments:
  - {{name: Prod-EU, type: production, websub: true, endpoint: {{name: {long}, port: 9443, ws_port: 80, http_port: 8080}}, virtual_hosts: [apis.example.org]}}
  - {{name: Sand_box, type: sandbox, endpoint: 10.9.9.9}}
  endpoints: {{control_plane: {{name: API.am.example.com, port: 8443}}}}
"
    );
    let mut cluster = of(
        &environments,
        &[
            "cp-a control_plane",
            "cp-b control_plane | {control_plane: {port_offset: 10}}",
            "gw-1 gateway | {gateway: {environment: Prod-EU}}",
            "gw-2 gateway | {gateway: {environment: Prod-EU, port_offset: 3}}",
            "gw-3 gateway | {gateway: {environment: Sand_box}}",
            "gw-4 gateway | {gateway: {environment: Sand_box}}",
            "km key_manager",
        ],
    );
    insta::assert_snapshot!("odd", shown(&cluster));
    tested(&mut cluster);
}

#[test]
fn draining_changes_one_line_per_upstream() {
    let cluster = ha();
    let files = server_files(&cluster, node(&cluster, "gw-2")).expect("files");
    let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths.len(), 5, "{paths:?}");
    assert_eq!(paths[0], "/etc/nginx/apim-deploy/servers/gateway-Default.https/gw-2-gateway.conf");
    let line = |text: &str| text.lines().last().expect("a line").to_owned();
    assert_eq!(line(&files[0].desired), "server 10.0.0.14:8243 max_fails=2 fail_timeout=10s;");
    assert_eq!(line(&files[0].drained), "server 10.0.0.14:8243 max_fails=2 fail_timeout=10s down;");
    let whole = super::files(&cluster, lb(&cluster)).expect("files");
    for file in &files {
        let placed = whole.iter().find(|placed| placed.path == file.path).expect("placed by apply");
        assert_eq!(placed.bytes.as_ref(), file.desired.as_bytes(), "apply puts the node back in rotation");
    }
    let drained =
        rotation_files(&cluster, node(&cluster, "apim-cp-1"), RotationState::Drained).expect("bundles");
    let [(host, DesiredFiles { bundle, contents })] = drained.as_slice() else { panic!("{drained:?}") };
    assert_eq!((host.as_str(), bundle.files.len(), contents.len()), ("lb", 1, 1));
    assert!(
        String::from_utf8_lossy(&contents[0])
            .ends_with("10.0.0.15:9443 max_fails=2 fail_timeout=10s down;\n")
    );
    assert!(bundle.verify.is_some() && bundle.reader == unit().expect("a name"));
}

#[test]
fn external_load_balancer_is_not_installed() {
    let external = cluster(HA);
    assert_eq!(super::hosts(&external).count(), 0);
    assert!(server_files(&external, node(&external, "gw-1")).expect("none").is_empty());
}

#[test]
fn invalid_settings_are_reported() {
    let two =
        ["cp-1 control_plane", "cp-2 control_plane", "gw-1 gateway", "gw-2 gateway", "lb load_balancer"];
    let errors_of = |settings: &str, lines: &[&str]| {
        mistakes(&format!(
            "{}{}",
            basics(&format!("  endpoints: {{control_plane: api.x, gateway: gw.x}}\n{settings}")),
            hosts(lines)
        ))
    };
    let has = |found: &[String], what: &str| {
        assert!(found.iter().any(|one| one.contains(what)), "{what}: {found:?}")
    };
    let issued =
        "  keystores: {mode: issued, passphrase: long-enough-passphrase, password: secret-of-keystores}\n";
    has(&errors_of("  load_balancer: {kind: nginx}\n", &two), "has no certificate");
    has(&errors_of("  load_balancer: {sticky: false}\n", &two), "requires `kind`");
    has(&errors_of("  load_balancer: {kind: nginks}\n", &two), "did you mean `nginx`?");
    has(
        &errors_of("  load_balancer: {kind: external, trusted_proxies: [everybody]}\n", &two),
        "invalid IPv4 address or network",
    );
    has(
        &errors_of("  load_balancer: {kind: external, include: [relative; evil]}\n", &two),
        "invalid host path",
    );
    has(
        &errors_of(&format!("{issued}  load_balancer: {{kind: nginx}}\n"), &two[..4]),
        "no host is in the group",
    );
    let crowded = ["cp-1 control_plane", "cp-2 control_plane", "gw-1 gateway load_balancer", "gw-2 gateway"];
    has(
        &errors_of(&format!("{issued}  load_balancer: {{kind: nginx}}\n"), &crowded),
        "port 9099 is used by the load balancer",
    );
    let one_name = basics(&format!(
        "  endpoints: {{control_plane: api.x, gateway: api.x}}\n{issued}  load_balancer: {{kind: nginx}}\n"
    ));
    has(
        &mistakes(&format!("{one_name}{}", hosts(&two))),
        "`api.x:443` is used for the control planes and for APIs",
    );
    let plain = basics(&format!(
        "  endpoints: {{control_plane: api.x, gateway: {{name: gw.x, http_port: 443, https_port: 8443}}}}\n{issued}  load_balancer: {{kind: nginx}}\n"
    ));
    has(&mistakes(&format!("{plain}{}", hosts(&two))), "cannot use TLS");
    let single = ["cp-1 control_plane", "gw-1 gateway", "lb load_balancer"];
    let alone = basics(&format!("{issued}  load_balancer: {{kind: nginx}}\n"));
    has(&mistakes(&format!("{alone}{}", hosts(&single))), "has nothing to balance");
}

#[test]
fn user_certificate_must_contain_all_endpoints() {
    let text = basics(
        "  endpoints: {control_plane: api.x.org, gateway: gw.x.org}\n  load_balancer: {kind: nginx, certificate: {file: lb.pem}}\n",
    ) + &hosts(&[
        "cp-1 control_plane",
        "cp-2 control_plane",
        "gw-1 gateway",
        "gw-2 gateway",
        "lb load_balancer",
    ]);
    let with = |names: &[&str], key: bool| {
        let identity = quick(names, NOW, NOW + 1000);
        let content = if key {
            keystore::Content::default().identity("a", identity)
        } else {
            keystore::Content::default().trusted("a", identity.chain[0].clone())
        };
        let pem = keystore::write(Format::Pem, None, &content, &pki::shipped_password()).expect("PEM");
        build_with(&text, &move |_: &str, _: &Span| Ok(pem.clone()))
    };
    let good = with(&["*.x.org"], true).expect("a cluster");
    assert!(good.balancer_identity("lb").is_some());
    assert!(
        shown(&good).contains("proxy_ssl_verify off"),
        "the issuer of the nodes' certificates is unknown"
    );
    let errors_of = |found: Result<Cluster, crate::yaml::Mistakes>| {
        found.expect_err("mistakes").0.iter().map(|one| one.what.clone()).collect::<Vec<_>>()
    };
    let narrow = errors_of(with(&["api.x.org"], true));
    assert!(narrow[0].contains("does not contain gw.x.org (it contains api.x.org)"), "{narrow:?}");
    let keyless = errors_of(with(&["*.x.org"], false));
    assert!(keyless[0].contains("private key"), "{keyless:?}");
}
