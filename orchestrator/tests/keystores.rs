//! Keystores, tested with the binary: issued keystores are stable and renewed individually. Invalid
//! provided keystores are rejected with their line. If a JDK is installed, its keytool reads the
//! result.
#![expect(clippy::print_stderr, reason = "reports a skipped test")]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Site {
    folder: tempfile::TempDir,
}

const HEAD: &str = "all:
  vars:
    apim:
      version: 4.6.0
      distributions: {source: zips, sha256: {control_plane: ONE, gateway: TWO, traffic_manager: SIX}}
      java: {home: /opt/java}
      admin: {username: admin, password: admin}
      databases: {type: mysql, host: db.wso2.com, apim_db: {password: apimadmin}, shared_db: {password: sharedadmin}}
";
const ISSUED: &str = "      keystores: {mode: issued, passphrase: pass-of-pki, password: pass-of-stores}\n";
const HOSTS: &str = "  children:
    control_plane: {hosts: {cp.example.com: {ansible_host: 10.0.0.11}}}
    gateway: {hosts: {gw.example.com: {ansible_host: 10.0.0.12}}}
";

impl Site {
    fn new(keystores: &str, hosts: &str) -> Self {
        let site = Self { folder: tempfile::tempdir().expect("a folder") };
        site.write(keystores, hosts);
        site
    }

    fn write(&self, keystores: &str, hosts: &str) {
        let head = HEAD
            .replace("ONE", &"1".repeat(64))
            .replace("TWO", &"2".repeat(64))
            .replace("SIX", &"6".repeat(64));
        std::fs::write(self.inventory(), format!("{head}{keystores}{hosts}")).expect("an inventory");
    }

    fn inventory(&self) -> PathBuf {
        self.folder.path().join("site.yaml")
    }

    fn pki(&self) -> PathBuf {
        self.folder.path().join("site.pki")
    }

    fn run(&self, verb: &str, more: &[&str]) -> (Option<i32>, String) {
        let output: Output = Command::new(env!("CARGO_BIN_EXE_apim-deploy"))
            .arg(verb)
            .arg(self.inventory())
            .args(more)
            .env("NO_COLOR", "1")
            .env("XDG_CACHE_HOME", self.folder.path().join("cache"))
            .output()
            .expect("apim-deploy runs");
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&text).into_owned())
    }

    fn rendered(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let out = self.folder.path().join("rendered");
        if out.exists() {
            std::fs::remove_dir_all(&out).expect("removed");
        }
        let (code, output) = self.run("render", &["--out", out.to_str().expect("UTF-8")]);
        assert_eq!(code, Some(0), "{output}");
        files(&out)
    }
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("below").to_owned();
                found.insert(name, std::fs::read(&path).expect("readable"));
            }
        }
    }
    found
}

fn security(host: &str, component: &str, rendered: &BTreeMap<PathBuf, Vec<u8>>, name: &str) -> Vec<u8> {
    let wanted = |path: &&PathBuf| {
        let path = path.to_string_lossy();
        path.starts_with(host) && path.contains(component) && path.ends_with(&format!("/security/{name}"))
    };
    let path =
        rendered.keys().find(wanted).unwrap_or_else(|| panic!("{name} of {host}: {:?}", rendered.keys()));
    rendered[path].clone()
}

#[test]
fn issued_keystores_are_stable_and_renewed_individually() {
    let site = Site::new(ISSUED, HOSTS);
    let (code, output) = site.run("validate", &[]);
    assert_eq!(code, Some(0), "{output}");
    assert!(
        output.contains("the certificate of gateway gw.example.com would be issued: not issued yet"),
        "{output}"
    );
    assert!(!site.pki().exists(), "validate must not write files");
    let keystores = |files: &BTreeMap<PathBuf, Vec<u8>>| {
        files.keys().filter(|path| path.extension().is_some_and(|end| end == "jks")).count()
    };
    assert_eq!(keystores(&site.rendered()), 0, "keystores that are not issued must not be rendered");

    let (code, output) = site.run("certs", &["--issue"]);
    assert_eq!(code, Some(0), "{output}");
    assert_eq!(std::fs::metadata(site.pki()).expect("a folder").permissions().mode() & 0o777, 0o700);
    for (name, bytes) in files(&site.pki()) {
        let mode = std::fs::metadata(site.pki().join(&name)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", name.display());
        assert!(!String::from_utf8_lossy(&bytes).contains("PRIVATE KEY"), "{}", name.display());
    }
    let (before, first) = (files(&site.pki()), site.rendered());
    assert_eq!(keystores(&first), 6);
    let tls = |rendered: &BTreeMap<PathBuf, Vec<u8>>, host: &str| security(host, "", rendered, "tls.jks");
    assert_ne!(tls(&first, "gw.example.com"), tls(&first, "cp.example.com"));
    assert_eq!(security("gw", "", &first, "primary.jks"), security("cp", "", &first, "primary.jks"));

    let (code, output) = site.run("certs", &["--issue"]);
    assert_eq!(code, Some(0), "{output}");
    assert!(!output.contains("issued the certificate"), "{output}");
    assert_eq!(files(&site.pki()), before, "the second run must not change files");
    assert_eq!(site.rendered(), first, "the second run must render the same bytes");

    // Add a name to one host.
    site.write(
        ISSUED,
        &HOSTS.replace(
            "{ansible_host: 10.0.0.12}",
            "{ansible_host: 10.0.0.12, apim: {keystores: {names: [gw.internal]}}}",
        ),
    );
    let (_, output) = site.run("validate", &[]);
    assert!(output.contains("gateway gw.example.com would be issued: it lacks gw.internal"), "{output}");
    assert!(!output.contains("control plane cp.example.com would be"), "{output}");
    let (code, output) = site.run("certs", &["--issue"]);
    assert_eq!(code, Some(0), "{output}");
    assert_eq!(output.matches("issued the certificate of").count(), 1, "{output}");
    let second = site.rendered();
    assert_ne!(tls(&first, "gw.example.com"), tls(&second, "gw.example.com"));
    for (host, name) in [("cp", "tls.jks"), ("gw", "primary.jks"), ("gw", "client-truststore.jks")] {
        assert_eq!(security(host, "", &first, name), security(host, "", &second, name), "{host} {name}");
    }
    let (code, output) = site.run("certs", &["-o", "json"]);
    assert_eq!(code, Some(0), "{output}");
    let rows: Vec<serde_json::Value> = output
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|row: &serde_json::Value| row["event"] == "certificate")
        .collect();
    let own =
        rows.iter().find(|row| row["node"] == "gw.example.com" && row["purpose"] == "tls").expect("its row");
    assert!(own["names"].as_array().expect("names").contains(&serde_json::json!("gw.internal")), "{own}");
    assert_eq!(
        (&own["state"], &own["issuer"]),
        (&serde_json::json!("valid"), &serde_json::json!("CN=API Manager cluster CA"))
    );
    keytool_reads(&second);
}

fn keytool_reads(rendered: &BTreeMap<PathBuf, Vec<u8>>) {
    if Command::new("keytool").arg("-help").output().is_err() {
        eprintln!("skipped: keytool is not installed");
        return;
    }
    let file = tempfile::NamedTempFile::new().expect("a file");
    for (name, expected) in [
        ("tls.jks", ["PrivateKeyEntry", "DNSName: gw.internal"]),
        ("primary.jks", ["PrivateKeyEntry", "Data_Encipherment"]),
        ("client-truststore.jks", ["gateway_certificate_alias", "cluster_ca"]),
    ] {
        std::fs::write(file.path(), security("gw", "", rendered, name)).expect("written");
        let output = Command::new("keytool")
            .args(["-J-Duser.language=en", "-list", "-v", "-storepass", "pass-of-stores", "-keystore"])
            .arg(file.path())
            .output()
            .expect("keytool runs");
        let text = String::from_utf8_lossy(&output.stdout).replace("Data Encipherment", "Data_Encipherment");
        for part in expected {
            assert!(output.status.success() && text.contains(part), "{name}: no `{part}` in\n{text}");
        }
    }
}

#[test]
fn wrong_passphrase_and_missing_pki_file_are_reported() {
    let site = Site::new(ISSUED, HOSTS);
    assert_eq!(site.run("certs", &["--issue"]).0, Some(0));
    site.write(&ISSUED.replace("pass-of-pki", "another-pass"), HOSTS);
    let (code, output) = site.run("validate", &[]);
    assert_eq!(code, Some(2), "{output}");
    assert!(
        output.contains("`apim.keystores.passphrase` does not decrypt") && output.contains("site.yaml:9"),
        "{output}"
    );
    assert!(!output.contains("another-pass\""), "{output}");
    site.write(ISSUED, HOSTS);
    std::fs::remove_file(site.pki().join("ca.crt")).expect("removed");
    let (code, output) = site.run("certs", &["--issue"]);
    assert_eq!(code, Some(2), "{output}");
    assert!(output.contains("is incomplete") && output.contains("restore it from a backup"), "{output}");
}

#[test]
fn pkcs12_keystores_are_stable() {
    let site = Site::new(&ISSUED.replace("mode: issued", "mode: issued, type: PKCS12"), HOSTS);
    assert_eq!(site.run("certs", &["--issue"]).0, Some(0));
    let first = site.rendered();
    assert!(first.keys().any(|path| path.ends_with("security/tls.p12")), "{:?}", first.keys());
    assert_eq!(site.run("certs", &["--issue"]).0, Some(0));
    assert_eq!(site.rendered(), first);
}

#[test]
fn provided_keystores_are_checked_against_the_topology() {
    let site = Site::new(ISSUED, HOSTS);
    assert_eq!(site.run("certs", &["--issue"]).0, Some(0));
    // The CA certificate is used as a PEM truststore, and issued keystores as the user's keystores.
    let rendered = site.rendered();
    let write =
        |name: &str, bytes: &[u8]| std::fs::write(site.folder.path().join(name), bytes).expect("written");
    write("cp.jks", &security("cp", "", &rendered, "tls.jks"));
    write("gw.jks", &security("gw", "", &rendered, "tls.jks"));
    write("ca.pem", &std::fs::read(site.pki().join("ca.crt")).expect("the authority"));
    let provided = "      keystores:
        tls: {file: cp.jks, password: pass-of-stores, alias: wso2carbon}
        truststore: {file: ca.pem, password: pass-of-trust}
";
    let own = "{ansible_host: 10.0.0.12, apim: {keystores: {tls: {file: gw.jks}}}}";
    let hosts = HOSTS.replace("{ansible_host: 10.0.0.12}", own);
    site.write(provided, &hosts);
    let (code, output) = site.run("validate", &[]);
    assert_eq!(code, Some(0), "{output}");
    assert!(
        site.rendered().keys().any(|path| path.ends_with("security/ca.jks")),
        "expected a keystore that is created from the PEM file"
    );

    site.write(provided, HOSTS);
    let (code, output) = site.run("validate", &[]);
    assert_eq!(code, Some(2), "{output}");
    assert!(
        output.contains("does not contain `gw.example.com`")
            && output.contains("control plane cp.example.com connects to"),
        "{output}"
    );
    assert!(output.contains("site.yaml:10"), "expected the line of the inventory: {output}");
    site.write(&provided.replace("wso2carbon", "other"), &hosts);
    let (_, output) = site.run("validate", &[]);
    assert!(output.contains("no entry `other`; entries: wso2carbon"), "{output}");
    site.write(&provided.replace("password: pass-of-stores", "password: wrong-pass"), &hosts);
    let (_, output) = site.run("validate", &[]);
    assert!(output.contains("the password does not open it") && !output.contains("wrong-pass\""), "{output}");
}
