//! Host keys against a real sshd.

use std::fs;
use std::process::Command;

use super::chain;
use super::sshd::{Sshd, gw1, keygen};
use crate::ssh::{KeyFault, SshError, learn_host_keys};

fn fingerprint(sshd: &Sshd, key: &str) -> String {
    let output = Command::new("ssh-keygen").arg("-lf").arg(sshd.path(key)).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split_whitespace().nth(1).unwrap().to_owned()
}

fn logins(sshd: &Sshd) -> String {
    fs::read_to_string(sshd.path("sshd.log")).unwrap()
}

#[tokio::test]
async fn unknown_key_is_rejected_scanned_and_added() {
    let Some(sshd) = Sshd::start("LogLevel DEBUG") else { return };
    let connect = sshd.connect(sshd.connection());
    let error = connect.open(&gw1()).await.err().unwrap();
    assert!(matches!(&error, SshError::UnknownHostKey(_)), "{error}");
    assert!(chain(&error).contains(&fingerprint(&sshd, "host_key.pub")), "{error}");

    let unknown = connect.survey_host_keys(&[gw1(), gw1()]).await;
    assert_eq!(unknown.len(), 1);
    assert_eq!(unknown[0].fingerprint, fingerprint(&sshd, "host_key.pub"));
    assert_eq!(unknown[0].algorithm, "ssh-ed25519");
    assert!(!sshd.path("known_hosts").exists());
    assert!(!logins(&sshd).contains("userauth-request"), "{}", logins(&sshd));

    learn_host_keys(&unknown).await.unwrap();
    let name = format!("[127.0.0.1]:{}", sshd.port);
    let found =
        Command::new("ssh-keygen").args(["-F", &name, "-f"]).arg(sshd.path("known_hosts")).output().unwrap();
    assert!(found.status.success());
    assert_eq!(connect.survey_host_keys(&[gw1()]).await, []);
    connect.open(&gw1()).await.unwrap();
}

#[tokio::test]
async fn new_keys_are_added_if_accepted() {
    let Some(sshd) = Sshd::start("") else { return };
    let mut settings = sshd.settings();
    settings.accept_new_host_keys = true;
    let connect = sshd.connect_with(sshd.connection(), settings);
    assert_eq!(connect.survey_host_keys(&[gw1()]).await, []);
    sshd.connect(sshd.connection()).open(&gw1()).await.unwrap();
}

#[tokio::test]
async fn hashed_names_are_matched() {
    let Some(sshd) = Sshd::start("") else { return };
    sshd.make_known(&format!("[127.0.0.1]:{}", sshd.port));
    let hashed =
        Command::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(sshd.path("known_hosts")).output().unwrap();
    assert!(hashed.status.success());
    assert!(fs::read_to_string(sshd.path("known_hosts")).unwrap().starts_with("|1|"));
    sshd.connect(sshd.connection()).open(&gw1()).await.unwrap();
}

#[tokio::test]
async fn changed_key_is_rejected_before_authentication() {
    let Some(sshd) = Sshd::start("LogLevel DEBUG") else { return };
    keygen(&["-t", "ed25519"], &sshd.path("other"));
    let other = fs::read_to_string(sshd.path("other.pub")).unwrap();
    fs::write(sshd.path("known_hosts"), format!("# note\n[127.0.0.1]:{} {other}", sshd.port)).unwrap();
    let mut settings = sshd.settings();
    // Must not override the check of known keys.
    settings.accept_new_host_keys = true;
    let error = sshd.connect_with(sshd.connection(), settings).open(&gw1()).await.err().unwrap();
    let text = chain(&error);
    assert!(
        matches!(&error, SshError::HostKey(fault) if matches!(**fault, KeyFault::Changed { line: 2, .. })),
        "{text}"
    );
    for part in [&fingerprint(&sshd, "host_key.pub"), &fingerprint(&sshd, "other.pub"), "known_hosts` line 2"]
    {
        assert!(text.contains(part), "{text}");
    }
    assert!(!logins(&sshd).contains("userauth-request"), "{}", logins(&sshd));
}

#[tokio::test]
async fn pinned_keys_take_precedence_over_known_hosts() {
    let Some(sshd) = Sshd::start("") else { return };
    keygen(&["-t", "ed25519"], &sshd.path("other"));
    let mut connection = sshd.connection();
    connection.host_keys = vec![fingerprint(&sshd, "host_key.pub")];
    sshd.connect(connection.clone()).open(&gw1()).await.unwrap();
    connection.host_keys = vec![fs::read_to_string(sshd.path("host_key.pub")).unwrap()];
    sshd.connect(connection.clone()).open(&gw1()).await.unwrap();
    sshd.make_known(&format!("[127.0.0.1]:{}", sshd.port));
    connection.host_keys = vec![fingerprint(&sshd, "other.pub")];
    let error = sshd.connect(connection.clone()).open(&gw1()).await.err().unwrap();
    assert!(chain(&error).contains("but the inventory pins"), "{error}");
    connection.host_keys = vec!["ssh-ed25519 nonsense".into()];
    let error = sshd.connect(connection).open(&gw1()).await.err().unwrap();
    assert!(chain(&error).contains("invalid host key"), "{error}");
}

#[tokio::test]
async fn revoked_key_and_other_key_type_are_rejected() {
    let Some(sshd) = Sshd::start("") else { return };
    let name = format!("[127.0.0.1]:{}", sshd.port);
    sshd.make_known(&format!("@revoked {name}"));
    let error = sshd.connect(sshd.connection()).open(&gw1()).await.err().unwrap();
    assert!(chain(&error).contains("is revoked by"), "{error}");
    keygen(&["-t", "ecdsa"], &sshd.path("other"));
    let other = fs::read_to_string(sshd.path("other.pub")).unwrap();
    fs::write(sshd.path("known_hosts"), format!("{name} {other}")).unwrap();
    let error = sshd.connect(sshd.connection()).open(&gw1()).await.err().unwrap();
    assert!(chain(&error).contains("only other key types are known"), "{error}");
}

#[tokio::test]
async fn host_certificate_requires_known_authority_and_name() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, host) = (folder.path().join("authority"), folder.path().join("host"));
    keygen(&["-t", "ed25519"], &authority);
    keygen(&["-t", "ed25519"], &host);
    for (principal, fits) in [("127.0.0.1", true), ("elsewhere", false)] {
        let signed = Command::new("ssh-keygen")
            .args(["-q", "-h", "-I", "gw1", "-n", principal, "-s"])
            .arg(&authority)
            .arg(host.with_extension("pub"))
            .status();
        assert!(signed.unwrap().success());
        let more = format!("HostKey {0}\nHostCertificate {0}-cert.pub", host.display());
        let Some(sshd) = Sshd::start(&more) else { return };
        let key = fs::read_to_string(authority.with_extension("pub")).unwrap();
        fs::write(sshd.path("known_hosts"), format!("@cert-authority * {key}")).unwrap();
        match sshd.connect(sshd.connection()).open(&gw1()).await {
            Ok(_) => assert!(fits),
            Err(error) => assert!(!fits && chain(&error).contains("issued for `elsewhere`"), "{error}"),
        }
    }
}
