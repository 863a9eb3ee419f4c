//! A JDK's keytool reads the written keystores, if it is installed.
#![expect(clippy::print_stderr, reason = "reports a skipped test")]

use std::process::Command;

use super::*;

fn has_keytool() -> bool {
    let found = Command::new("keytool").arg("-help").output().is_ok();
    if !found {
        eprintln!("skipped: keytool is not installed");
    }
    found
}

fn keytool(arguments: &[&str]) -> String {
    let output = Command::new("keytool")
        .args(["-J-Duser.language=en"])
        .args(arguments)
        .output()
        .expect("keytool runs");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "keytool {arguments:?}\n{stdout}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    stdout
}

#[test]
fn keytool_reads_written_keystores() {
    if !has_keytool() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::create("Test CA", NOW, NOW + 86_400_000).expect("an authority");
    let key = PrivateKey::generate().expect("a key");
    let names = ["gw.example.com".to_owned(), "10.0.0.9".to_owned()];
    let wanted = Wanted {
        common_name: "gw.example.com",
        names: &names,
        purpose: Purpose::Tls,
        not_before: NOW,
        not_after: NOW + 86_400_000,
    };
    let leaf = authority.issue(&wanted, &key).expect("a certificate");
    let identity = Identity::new(key, vec![leaf, authority.certificate.clone()], "node").expect("a pair");
    let content =
        Content::default().identity("node", identity).trusted("cluster_ca", authority.certificate.clone());
    for format in [Format::Jks, Format::Pkcs12] {
        let path = folder.path().join(format.word());
        let path = path.to_str().expect("UTF-8");
        std::fs::write(path, write(format, None, &content, &secret("password")).expect("written"))
            .expect("a file");
        let store = ["-keystore", path, "-storepass", "password", "-storetype", format.word()];
        let listed = keytool(&[&["-list", "-v"], store.as_slice()].concat());
        for expected in [
            "contains 2 entries",
            "Alias name: node",
            "PrivateKeyEntry",
            "Certificate chain length: 2",
            "DNSName: gw.example.com",
            "IPAddress: 10.0.0.9",
            "Alias name: cluster_ca",
            "trustedCertEntry",
        ] {
            assert!(listed.contains(expected), "{format:?}: `{expected}` is missing in\n{listed}");
        }
        // Signing a request proves that keytool opens the key.
        let request =
            keytool(&[&["-certreq", "-alias", "node", "-keypass", "password"], store.as_slice()].concat());
        assert!(request.contains("BEGIN NEW CERTIFICATE REQUEST"), "{request}");
    }
}

#[test]
fn keytool_lists_all_entries_of_an_extended_truststore() {
    if !has_keytool() {
        return;
    }
    let base = fixture("keytool.jks");
    let opens = secret("store-secret");
    let ca = quick(&["ca"], NOW, NOW + 86_400_000).chain[0].clone();
    let content = Content::default().trusted("cluster_ca", ca);
    let kept = Base { bytes: &base, password: &opens, without: &[] };
    let bytes = write(Format::Jks, Some(kept), &content, &secret("another-secret")).expect("written");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), bytes).expect("written");
    let listed = keytool(&[
        "-list",
        "-keystore",
        file.path().to_str().expect("UTF-8"),
        "-storepass",
        "another-secret",
    ]);
    assert!(listed.contains("contains 3 entries") && listed.contains("cluster_ca"), "{listed}");
}
