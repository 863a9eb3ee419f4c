//! Installation, start and exit of the agent over a real sshd.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use apim_protocol::message::Open;
use apim_protocol::value::{AbsPath, Content, Secret};

use super::chain;
use super::sshd::{SHELL_AGENT, Sshd, gw1, is_root, skipped, user};
use crate::host::{Become, Connection, ConnectionKind};
use crate::session::{Session, SessionError, Source};
use crate::ssh::{AgentBinaries, AgentBinary, Connector, SshConnect};

fn known() -> Option<Sshd> {
    let sshd = Sshd::start("")?;
    sshd.make_known(&format!("[127.0.0.1]:{}", sshd.port));
    Some(sshd)
}

fn open() -> Open {
    Open {
        run: "r".into(),
        operator: "o".into(),
        purpose: "p".into(),
        lock: false,
        again: false,
        shares_lock: false,
    }
}

fn installed(sshd: &Sshd) -> PathBuf {
    let folder = fs::read_dir(sshd.path("state/agent")).unwrap().next().unwrap().unwrap().path();
    folder.join("apim-agent")
}

#[tokio::test]
async fn missing_agent_is_installed_once() {
    let Some(sshd) = known() else { return };
    let connect = sshd.connect(sshd.connection());
    let link = connect.open(&gw1()).await.unwrap();
    let (_session, hello) = Session::open(link, open()).await.unwrap();
    assert_eq!(hello.facts.hostname, format!("serve --state {}", sshd.path("state").display()));

    let agent = installed(&sshd);
    assert_eq!(fs::read_to_string(&agent).unwrap(), SHELL_AGENT);
    let meta = fs::metadata(&agent).unwrap();
    assert_eq!(meta.permissions().mode() & 0o7777, 0o755);
    assert_eq!(fs::metadata(agent.parent().unwrap()).unwrap().permissions().mode() & 0o7777, 0o755);
    // Only the agent and its record of the input: no temporary file remains.
    let names = fs::read_dir(agent.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().all(|name| name == "apim-agent" || name == "heard"));

    let before = connect.wire_counter(&gw1()).sent();
    let link = connect.open(&gw1()).await.unwrap();
    Session::open(link, open()).await.unwrap();
    let again = connect.wire_counter(&gw1()).sent() - before;
    assert!(again < 10_000, "{again} bytes for a start without an upload");
    use std::os::unix::fs::MetadataExt as _;
    assert_eq!(fs::metadata(&agent).unwrap().ino(), meta.ino());
}

#[tokio::test]
async fn concurrent_installs_succeed() {
    let Some(sshd) = known() else { return };
    let connects: Vec<SshConnect> = (0..4).map(|_| sshd.connect(sshd.connection())).collect();
    let host = gw1();
    let links = futures_util::future::join_all(connects.iter().map(|connect| connect.open(&host))).await;
    for link in links {
        Session::open(link.unwrap(), open()).await.unwrap();
    }
    assert_eq!(fs::read_to_string(installed(&sshd)).unwrap(), SHELL_AGENT);
}

#[tokio::test]
async fn large_agent_is_uploaded_completely() {
    let Some(sshd) = known() else { return };
    let settings = sshd.settings();
    let padding = format!("{SHELL_AGENT}: {}\n", "x".repeat(6_000_000));
    fs::write(sshd.path("apim-agent"), &padding).unwrap();
    let binary = AgentBinary::read(&sshd.path("apim-agent")).unwrap();
    let agents = AgentBinaries::new([(std::env::consts::ARCH.to_owned(), binary)]);
    let settings = crate::ssh::Settings { agents: agents.into(), ..settings };
    let link = sshd.connect_with(sshd.connection(), settings).open(&gw1()).await.unwrap();
    Session::open(link, open()).await.unwrap();
    assert_eq!(fs::metadata(installed(&sshd)).unwrap().len(), padding.len() as u64);
}

#[tokio::test]
async fn missing_architecture_is_reported_with_build_hint() {
    let Some(sshd) = known() else { return };
    let mut settings = sshd.settings();
    let binary = AgentBinary::read(&sshd.path("apim-agent")).unwrap();
    settings.agents = AgentBinaries::new([("s390x".to_owned(), binary)]).into();
    let error = sshd.connect_with(sshd.connection(), settings).open(&gw1()).await.err().unwrap();
    let arch = std::env::consts::ARCH;
    assert!(chain(&error).contains(&format!("no agent for the host's architecture {arch}")), "{error}");
    assert_eq!(error.hint().unwrap(), format!("build it with `agent/build-static.sh {arch}`"));
}

#[tokio::test]
async fn agent_exit_is_reported_with_status_and_stderr() {
    let Some(sshd) = known() else { return };
    let link = sshd.connect(sshd.connection()).open(&gw1()).await.unwrap();
    let (session, _) = Session::open(link, open()).await.unwrap();
    let (sender, mut receiver) = session.split();
    // The agent exits when its input ends.
    drop(sender);
    let error = receiver.next().await.unwrap_err().to_string();
    assert!(error.contains("exited with status 7") && error.contains("agent was here"), "{error}");
    assert!(error.contains("gw1 (") && error.contains("last message: hello"), "{error}");
}

#[tokio::test]
async fn uncreatable_folder_is_reported() {
    let Some(sshd) = known() else { return };
    fs::write(sshd.path("state"), "in the way").unwrap();
    let error = sshd.connect(sshd.connection()).open(&gw1()).await.err().unwrap();
    assert!(chain(&error).contains("cannot create the agent's folder"), "{error}");
}

#[tokio::test]
async fn sudo_runs_the_agent_as_another_account() {
    let Some(sshd) = known() else { return };
    if !is_root() || std::process::Command::new("sudo").arg("-V").output().is_err() {
        skipped("needs root and sudo");
        return;
    }
    // So that the other account can access its agent.
    let open_folder = fs::Permissions::from_mode(0o777);
    fs::set_permissions(sshd.folder.path(), open_folder.clone()).unwrap();
    fs::create_dir(sshd.path("state")).unwrap();
    fs::set_permissions(sshd.path("state"), open_folder).unwrap();
    let mut connection = sshd.connection();
    connection.escalate = Some(Become { user: "nobody".into(), password: None });
    let connect = sshd.connect(connection);
    for _ in 0..2 {
        let link = connect.open(&gw1()).await.unwrap();
        let (_session, hello) = Session::open(link, open()).await.unwrap();
        assert_ne!(hello.facts.uid, 0);
    }
    let mut connection = sshd.connection();
    connection.escalate = Some(Become { user: "no-such-account".into(), password: None });
    let error = chain(&sshd.connect(connection).open(&gw1()).await.err().unwrap());
    assert!(error.contains("sudo failed") && error.contains("no-such-account"), "{error}");
}

/// A fake sudo: prints the given prompt on standard error, reads one line, exits after two wrong
/// passwords.
const FAKE_SUDO: &str = r#"#!/bin/sh
if [ "$1" = -n ]; then echo "sudo: a password is required" >&2; exit 1; fi
[ "$1 $2" = "-S -p" ] || exit 9
prompt=$3; shift 3
[ "$1 $2 $3 $4" = "-H -u app --" ] || exit 8
shift 4
for try in 1 2; do
  printf %s "$prompt" >&2
  IFS= read -r answer || exit 1
  if [ "$answer" = 'hunter 2' ]; then exec "$@"; fi
  echo "Sorry, try again." >&2
done
exit 1
"#;

#[tokio::test]
async fn sudo_password_is_sent_once_and_not_leaked() {
    let folder = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(&format!("SetEnv PATH={}:/usr/bin:/bin", folder.path().display())) else {
        return;
    };
    sshd.make_known(&format!("[127.0.0.1]:{}", sshd.port));
    let sudo = folder.path().join("sudo");
    fs::write(&sudo, FAKE_SUDO).unwrap();
    fs::set_permissions(&sudo, fs::Permissions::from_mode(0o755)).unwrap();
    let open_as = async |password: Option<&'static str>| {
        let escalate = Become { user: "app".into(), password: password.map(Secret::new) };
        let connection = Connection { escalate: Some(escalate), ..sshd.connection() };
        sshd.connect(connection).open(&gw1()).await
    };
    for _ in 0..2 {
        // Installed the first time, reused the second.
        let link = open_as(Some("hunter 2")).await.unwrap();
        Session::open(link, open()).await.unwrap();
    }
    let error = open_as(Some("wrong")).await.err().unwrap();
    assert!(chain(&error).contains("sudo rejected the password"), "{error}");
    assert!(
        error.hint().unwrap().contains("ansible_become_password") && !chain(&error).contains("wrong"),
        "{error}"
    );
    let error = open_as(None).await.err().unwrap();
    assert!(chain(&error).contains("sudo requires a password"), "{error}");
    assert!(error.hint().unwrap().contains("NOPASSWD"));
}

#[tokio::test]
async fn agent_death_ends_upload() {
    let Some(sshd) = known() else { return };
    let mut settings = sshd.settings();
    let text = SHELL_AGENT.replace("cat >", "head -c 100000 >").replace("exit 7", "exit 3");
    fs::write(sshd.path("apim-agent"), &text).unwrap();
    let binary = AgentBinary::read(&sshd.path("apim-agent")).unwrap();
    settings.agents = AgentBinaries::new([(std::env::consts::ARCH.to_owned(), binary)]).into();
    let link = sshd.connect_with(sshd.connection(), settings).open(&gw1()).await.unwrap();
    let (session, _) = Session::open(link, open()).await.unwrap();
    let (sender, mut receiver) = session.split();
    let bytes = vec![1; 64 * 1024 * 1024];
    let content = Content::of(&bytes);
    let sending = sender.send_content(&content, &Source::Bytes(bytes.into()), 0, |_| {}).await;
    assert!(matches!(sending, Err(SessionError::Ended { .. })), "{sending:?}");
    let error = receiver.next().await.unwrap_err().to_string();
    assert!(error.contains("exited with status 3"), "{error}");
}

#[tokio::test]
async fn local_connection_needs_no_ssh() {
    let folder = tempfile::tempdir().unwrap();
    let agent = folder.path().join("apim-agent");
    fs::write(&agent, SHELL_AGENT).unwrap();
    fs::set_permissions(&agent, fs::Permissions::from_mode(0o755)).unwrap();
    let binary = AgentBinary::read(&agent).unwrap();
    let agents = AgentBinaries::new([(std::env::consts::ARCH.to_owned(), binary)]);
    let connection = Connection {
        kind: ConnectionKind::Local,
        escalate: Some(Become { user: user(), password: None }),
        agent_state: Some(AbsPath::parse("/some/state").unwrap()),
        ..Connection::default()
    };
    let settings = crate::ssh::Settings::new(agents, std::sync::Arc::new(crate::ssh::NeverAsk));
    let connector = Connector::new([(gw1(), connection)].into(), settings);
    assert_eq!(connector.survey_host_keys(&[gw1()]).await, []);
    let link = connector.open(&gw1()).await.unwrap();
    let (session, hello) = Session::open(link, open()).await.unwrap();
    assert_eq!(hello.facts.hostname, "serve --state /some/state");
    let (sender, mut receiver) = session.split();
    drop(sender);
    let error = receiver.next().await.unwrap_err().to_string();
    assert!(error.contains("exit status: 7") && error.contains("agent was here"), "{error}");
}
