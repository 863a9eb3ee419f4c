//! The start command in the shells that hosts have, without a network: who runs what through sudo, and what is left on disk.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use apim_protocol::value::AbsPath;

use super::sshd::{SHELL_AGENT, skipped};
use crate::inventory::host::{Become, Connection};
use crate::ssh::script::start_command;
use crate::ssh::{AgentBinaries, AgentBinary};

/// Notes what it is asked to run, and runs it.
const NOTING_SUDO: &str = "#!/bin/sh\necho \"$*\" >>\"$(dirname \"$0\")/asked\"\nwhile [ \"$1\" != -- ]; do shift; done\nshift\nexec \"$@\"\n";

struct Host {
    folder: tempfile::TempDir,
    agents: AgentBinaries,
    agent: Vec<u8>,
}

impl Host {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bin")).unwrap();
        let sudo = folder.path().join("bin/sudo");
        fs::write(&sudo, NOTING_SUDO).unwrap();
        fs::set_permissions(&sudo, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(folder.path().join("agent"), SHELL_AGENT).unwrap();
        let binary = AgentBinary::read(&folder.path().join("agent")).unwrap();
        let agents = AgentBinaries::new([(std::env::consts::ARCH.to_owned(), binary)]);
        Self { folder, agents, agent: SHELL_AGENT.as_bytes().to_vec() }
    }

    fn connection(&self, account: Option<&str>) -> Connection {
        Connection {
            escalate: account.map(|user| Become { user: user.into(), password: None }),
            agent_state: Some(AbsPath::parse(self.folder.path().join("state").to_str().unwrap()).unwrap()),
            ..Connection::default()
        }
    }

    /// Runs the start command in `shell` with `input`, as a login of `deploy`.
    fn start(&self, shell: &[&str], connection: &Connection, input: &[u8]) -> Output {
        let command = start_command(connection, "deploy", &self.agents, "m4rk").unwrap();
        let path = format!("{}:/usr/bin:/bin", self.folder.path().join("bin").display());
        let (program, arguments) = shell.split_first().unwrap();
        let mut child = Command::new(program)
            .args(arguments)
            .arg("-c")
            .arg(command.text)
            .env("PATH", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It may have left before it read everything.
        child.stdin.take().unwrap().write_all(input).ok();
        child.wait_with_output().unwrap()
    }

    fn install_input(&self) -> Vec<u8> {
        let binary = self.agents.get(std::env::consts::ARCH).unwrap();
        let mut input = format!("{} {}\n", self.agent.len(), binary.sha256).into_bytes();
        input.extend_from_slice(&self.agent);
        input
    }

    fn asked(&self) -> Vec<String> {
        let asked = fs::read_to_string(self.folder.path().join("bin/asked")).unwrap_or_default();
        asked.lines().map(str::to_owned).collect()
    }

    fn installed(&self) -> Vec<String> {
        let Ok(folders) = fs::read_dir(self.folder.path().join("state/agent")) else { return Vec::new() };
        let files = folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
        files.map(|file| file.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }
}

fn speaks(output: &Output) -> bool {
    crate::session::find_magic(&output.stdout).is_some()
}

#[test]
fn the_agent_is_installed_and_found_in_every_shell() {
    let shells: [&[&str]; 4] = [&["/bin/sh"], &["bash", "--posix"], &["bash"], &["busybox", "sh"]];
    for shell in shells {
        if Command::new(shell[0]).arg("--help").output().is_err() {
            skipped(&format!("no {} here", shell[0]));
            continue;
        }
        let host = Host::new();
        let connection = host.connection(None);
        let missing = host.start(shell, &connection, b"");
        let said = String::from_utf8_lossy(&missing.stdout).into_owned();
        assert_eq!(said, format!("m4rk missing {}\n", std::env::consts::ARCH), "{shell:?}");
        assert_eq!(missing.status.code(), Some(97), "{shell:?}");
        let first = host.start(shell, &connection, &host.install_input());
        assert!(speaks(&first), "{shell:?}: {first:?}");
        let second = host.start(shell, &connection, b"");
        assert!(
            speaks(&second) && !String::from_utf8_lossy(&second.stdout).contains("m4rk"),
            "{shell:?}: {second:?}"
        );
    }
}

#[test]
fn what_arrives_damaged_or_cut_off_is_not_installed() {
    let host = Host::new();
    let connection = host.connection(None);
    let mut damaged = host.install_input();
    *damaged.last_mut().unwrap() ^= 1;
    let cut_off = &host.install_input()[..200];
    for input in [damaged.as_slice(), cut_off] {
        let output = host.start(&["/bin/sh"], &connection, input);
        assert_eq!(output.status.code(), Some(96), "{output:?}");
        assert!(!speaks(&output) && host.installed().is_empty(), "{:?}", host.installed());
    }
}

#[test]
fn once_roots_agent_is_there_sudo_is_asked_for_nothing_else() {
    let host = Host::new();
    let connection = host.connection(Some("root"));
    assert!(speaks(&host.start(&["/bin/sh"], &connection, &host.install_input())));
    assert!(speaks(&host.start(&["/bin/sh"], &connection, b"")));
    let asked = host.asked();
    assert!(asked[0].starts_with("-n -H -u root -- /bin/sh -c "), "{asked:?}");
    let state = host.folder.path().join("state").display().to_string();
    let agent = asked.last().unwrap().strip_prefix(&format!("-n -H -u root -- {state}/agent/")).unwrap();
    let digest = host.agents.get(std::env::consts::ARCH).unwrap().sha256.to_string();
    assert_eq!(agent, format!("{}/apim-agent serve --state {state}", &digest[..16]));

    // Another account's agent lies where only that account's shell knows.
    let asked_before = host.asked().len();
    assert!(speaks(&host.start(&["/bin/sh"], &host.connection(Some("app")), b"")));
    assert!(host.asked()[asked_before].starts_with("-n -H -u app -- /bin/sh -c "));
}

#[test]
fn without_named_folders_an_account_keeps_its_agent_below_its_home() {
    let host = Host::new();
    let home = host.folder.path().join("home");
    let text = start_command(&Connection::default(), "deploy", &host.agents, "m4rk").unwrap().text;
    // As somebody without root's id; the script asks `id -u`.
    let id = host.folder.path().join("bin/id");
    fs::write(&id, "#!/bin/sh\necho 1000\n").unwrap();
    fs::set_permissions(&id, fs::Permissions::from_mode(0o755)).unwrap();
    let place = |variables: &[(&str, &Path)]| {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(&text).stdin(Stdio::piped()).stdout(Stdio::null()).env_remove("XDG_STATE_HOME");
        command.env("PATH", format!("{}:/usr/bin:/bin", host.folder.path().join("bin").display()));
        let mut child = command.envs(variables.iter().copied()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(&host.install_input()).ok();
        child.wait().unwrap();
    };
    place(&[("HOME", &home)]);
    assert!(home.join(".local/state/apim-deploy/agent").is_dir());
    place(&[("HOME", &home), ("XDG_STATE_HOME", &home.join("xdg"))]);
    assert!(home.join("xdg/apim-deploy/agent").is_dir());
}
