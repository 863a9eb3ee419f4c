//! Authentication with a real sshd.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use apim_protocol::value::Secret;

use super::chain;
use super::sshd::{Sshd, gw1, keygen, user};
use crate::host::HostName;
use crate::ssh::{AskPassphrase, SshConnect, SshError};

struct Answers(&'static str, AtomicUsize);

impl AskPassphrase for Answers {
    fn ask(&self, _key: &Path, _again: bool) -> Option<Secret> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Some(Secret::new(self.0))
    }
}

fn known() -> Option<Sshd> {
    let sshd = Sshd::start("")?;
    sshd.make_known(&format!("[127.0.0.1]:{}", sshd.port));
    Some(sshd)
}

fn encrypt(key: &Path, passphrase: &str) {
    let status =
        Command::new("ssh-keygen").args(["-q", "-p", "-P", "", "-N", passphrase, "-f"]).arg(key).status();
    assert!(status.unwrap().success());
}

async fn fails(connect: &SshConnect) -> SshError {
    connect.open(&gw1()).await.err().expect("no link")
}

#[tokio::test]
async fn key_file_logs_in_and_bytes_are_counted() {
    let Some(sshd) = known() else { return };
    let connect = sshd.connect(sshd.connection());
    connect.open(&gw1()).await.unwrap();
    let wire = connect.wire_counter(&gw1());
    assert!((2000..40_000).contains(&wire.sent()) && (2000..40_000).contains(&wire.received()), "{wire:?}");
}

#[tokio::test]
async fn every_key_type_logs_in() {
    let Some(sshd) = known() else { return };
    for (kind, arguments) in
        [("ecdsa", ["-t", "ecdsa"].as_slice()), ("rsa", &["-t", "rsa", "-b", "2048", "-m", "PEM"])]
    {
        let key = sshd.path(kind);
        keygen(arguments, &key);
        let public = fs::read(sshd.path(&format!("{kind}.pub"))).unwrap();
        fs::write(sshd.path("authorized_keys"), public).unwrap();
        let mut connection = sshd.connection();
        connection.private_key_file = Some(key);
        sshd.connect(connection).open(&gw1()).await.unwrap_or_else(|error| panic!("{kind}: {error}"));
    }
}

#[tokio::test]
async fn user_certificate_logs_in() {
    let Some(sshd) = Sshd::start("TrustedUserCAKeys /dev/null") else { return };
    drop(sshd);
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("authority");
    keygen(&["-t", "ed25519"], &authority);
    let Some(sshd) = Sshd::start(&format!("TrustedUserCAKeys {}.pub", authority.display())) else { return };
    sshd.make_known(&format!("[127.0.0.1]:{}", sshd.port));
    fs::write(sshd.path("authorized_keys"), "").unwrap();
    let signed = Command::new("ssh-keygen")
        .args(["-q", "-s"])
        .arg(&authority)
        .args(["-I", "test", "-n", &user()])
        .arg(sshd.path("key.pub"))
        .status();
    assert!(signed.unwrap().success());
    sshd.connect(sshd.connection()).open(&gw1()).await.unwrap();
}

#[tokio::test]
async fn encrypted_key_uses_inventory_passphrase_or_one_prompt() {
    let Some(sshd) = known() else { return };
    encrypt(&sshd.path("key"), "open sesame");
    let mut connection = sshd.connection();
    let error = chain(&fails(&sshd.connect(connection.clone())).await);
    assert!(error.contains("it is encrypted, and its passphrase cannot be asked for"), "{error}");

    connection.key_passphrase = Some(Secret::new("open sesame"));
    sshd.connect(connection.clone()).open(&gw1()).await.unwrap();
    connection.key_passphrase = Some(Secret::new("wrong"));
    let error = chain(&fails(&sshd.connect(connection.clone())).await);
    assert!(error.contains("wrong passphrase") && !error.contains("sesame"), "{error}");

    connection.key_passphrase = None;
    let answers = Arc::new(Answers("open sesame", AtomicUsize::new(0)));
    let mut settings = sshd.settings();
    settings.ask = Arc::clone(&answers) as Arc<dyn AskPassphrase>;
    let other = HostName("gw2".into());
    let hosts = [(gw1(), connection.clone()), (other.clone(), connection)].into();
    let connect = SshConnect::new(hosts, settings);
    let (one, two) = (gw1(), other);
    let (one, two) = tokio::join!(connect.open(&one), connect.open(&two));
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(answers.1.load(Ordering::Relaxed), 1);
}

struct Agent(Child, PathBuf);

impl Drop for Agent {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn ssh_agent(sshd: &Sshd, keys: &[&str]) -> Agent {
    let socket = sshd.path("agent.sock");
    let child =
        Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().unwrap();
    let agent = Agent(child, socket);
    let until = Instant::now() + Duration::from_secs(10);
    while !agent.1.exists() {
        assert!(Instant::now() < until);
        std::thread::yield_now();
    }
    for key in keys {
        let add =
            Command::new("ssh-add").arg("-q").arg(sshd.path(key)).env("SSH_AUTH_SOCK", &agent.1).status();
        assert!(add.unwrap().success());
    }
    agent
}

#[tokio::test]
async fn ssh_agent_keys_log_in() {
    let Some(sshd) = known() else { return };
    let agent = ssh_agent(&sshd, &["key"]);
    let mut settings = sshd.settings();
    settings.around.agent_socket = Some(agent.1.clone());
    let mut connection = sshd.connection();
    encrypt(&sshd.path("key"), "open sesame");
    sshd.connect_with(connection.clone(), settings.clone()).open(&gw1()).await.unwrap();
    connection.private_key_file = None;
    sshd.connect_with(connection, settings).open(&gw1()).await.unwrap();
}

#[tokio::test]
async fn too_many_keys_are_reported() {
    let Some(sshd) = Sshd::start("MaxAuthTries 2") else { return };
    sshd.make_known(&format!("[127.0.0.1]:{}", sshd.port));
    for key in ["a", "b", "c", "d"] {
        keygen(&["-t", "ed25519"], &sshd.path(key));
    }
    let agent = ssh_agent(&sshd, &["a", "b", "c", "d"]);
    let mut settings = sshd.settings();
    settings.around.agent_socket = Some(agent.1.clone());
    let mut connection = sshd.connection();
    connection.private_key_file = None;
    let error = fails(&sshd.connect_with(connection, settings)).await;
    assert!(chain(&error).contains("closed the connection"), "{error}");
    assert!(error.hint().unwrap().contains("MaxAuthTries"), "{:?}", error.hint());
}

#[tokio::test]
async fn failure_lists_attempts_and_allowed_methods() {
    let Some(sshd) = known() else { return };
    fs::write(sshd.path("authorized_keys"), "").unwrap();
    let mut connection = sshd.connection();
    connection.password = Some(Secret::new("hunter2"));
    let error = chain(&fails(&sshd.connect(connection)).await);
    let tried = format!("tried key {} (refused)", sshd.path("key").display());
    assert!(error.contains(&tried) && error.contains("the server allows publickey"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");

    let mut connection = sshd.connection();
    connection.private_key_file = Some("/nowhere/key".into());
    let error = chain(&fails(&sshd.connect(connection)).await);
    assert!(error.contains("/nowhere/key (not offered: no such file)"), "{error}");
}

#[tokio::test]
async fn jump_host_connection_is_shared() {
    let Some(sshd) = known() else { return };
    let mut connection = sshd.connection();
    connection.options.proxy_jump = vec![format!("{}@localhost:{}", user(), sshd.port)];
    let error = fails(&sshd.connect(connection.clone())).await;
    assert!(matches!(&error, SshError::Jump { .. }), "{error}");
    assert_eq!(error.unknown_key().unwrap().name, format!("[localhost]:{}", sshd.port));

    sshd.make_known(&format!("[127.0.0.1]:{0},[localhost]:{0}", sshd.port));
    let other = HostName("gw2".into());
    let hosts = [(gw1(), connection.clone()), (other.clone(), connection)].into();
    let connect = SshConnect::new(hosts, sshd.settings());
    let (one, two) = (gw1(), other);
    let (one, two) = tokio::join!(connect.open(&one), connect.open(&two));
    let links = (one.unwrap(), two.unwrap());
    let log = fs::read_to_string(sshd.path("sshd.log")).unwrap();
    // Two before the key was known, one to the jump host, two through it.
    assert_eq!(log.matches("Accepted publickey").count(), 3, "{log}");
    drop(links);
}

#[tokio::test]
async fn passphrase_is_asked_only_if_server_accepts_key() {
    let Some(sshd) = known() else { return };
    fs::create_dir(sshd.path("home/.ssh")).unwrap();
    for name in ["id_ed25519", "id_ecdsa"] {
        keygen(&["-t", name.trim_start_matches("id_")], &sshd.path("home/.ssh").join(name));
        encrypt(&sshd.path("home/.ssh").join(name), "open sesame");
    }
    fs::copy(sshd.path("home/.ssh/id_ecdsa.pub"), sshd.path("authorized_keys")).unwrap();
    let mut connection = sshd.connection();
    connection.private_key_file = None;
    let answers = Arc::new(Answers("open sesame", AtomicUsize::new(0)));
    let mut settings = sshd.settings();
    settings.ask = Arc::clone(&answers) as Arc<dyn AskPassphrase>;
    let connect = sshd.connect_with(connection, settings);
    connect.unlock_keys(&[gw1()]).await;
    assert_eq!(answers.1.load(Ordering::Relaxed), 0);
    connect.open(&gw1()).await.unwrap();
    assert_eq!(answers.1.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn inventory_key_passphrases_are_asked_before_the_run() {
    let Some(sshd) = known() else { return };
    encrypt(&sshd.path("key"), "open sesame");
    let answers = Arc::new(Answers("open sesame", AtomicUsize::new(0)));
    let mut settings = sshd.settings();
    settings.ask = Arc::clone(&answers) as Arc<dyn AskPassphrase>;
    let connect = sshd.connect_with(sshd.connection(), settings);
    connect.unlock_keys(&[gw1(), gw1()]).await;
    assert_eq!(answers.1.load(Ordering::Relaxed), 1);
    connect.open(&gw1()).await.unwrap();
    assert_eq!(answers.1.load(Ordering::Relaxed), 1);
}
