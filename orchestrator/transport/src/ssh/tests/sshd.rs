//! A real sshd on its own port, with keys and configuration in a temporary folder, for the account
//! that runs the tests.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use apim_protocol::value::AbsPath;

use crate::host::{Connection, HostName};
use crate::ssh::{AgentBinaries, AgentBinary, NeverAsk, Settings, SshConnect, Surroundings};

/// An agent as a shell script: prints the magic and Hello with its own digest, then reads until its
/// input ends.
pub(super) const SHELL_AGENT: &str = r#"#!/bin/sh
printf '\000apimd\001\n'
d=$(sha256sum <"$0"); d=${d%% *}
j='{"hello":{"build":"'$d'","facts":{"hostname":"'"$*"'","architecture":"","kernel":"","os":"","os_version":"","processors":1,"memory_bytes":1,"disk_free_bytes":1,"systemd":false,"clock_secs":1,"uid":'$(id -u)'}}}'
n=${#j}
printf "\\000\\000\\000\\$(printf %03o $((n / 256)))\\$(printf %03o $((n % 256)))"
printf %s "$j"
echo "agent was here" >&2
cat >"$(dirname "$0")/heard"
exit 7
"#;

pub(super) struct Sshd {
    child: Child,
    pub(super) port: u16,
    pub(super) folder: tempfile::TempDir,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub(super) fn keygen(arguments: &[&str], path: &Path) {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-N", ""])
        .args(arguments)
        .arg("-f")
        .arg(path)
        .status()
        .unwrap();
    assert!(status.success());
}

impl Sshd {
    /// Starts an sshd, or prints why the test is skipped.
    pub(super) fn start(more: &str) -> Option<Self> {
        let program =
            ["/usr/sbin/sshd", "/usr/local/sbin/sshd"].into_iter().find(|path| Path::new(path).exists());
        let Some(program) = program else {
            skipped("no OpenSSH server installed");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        if is_root() {
            // The folder for sshd's privilege separation.
            fs::create_dir_all("/run/sshd").unwrap();
        }
        keygen(&["-t", "ed25519"], &at.join("host_key"));
        keygen(&["-t", "ed25519"], &at.join("key"));
        fs::copy(at.join("key.pub"), at.join("authorized_keys")).unwrap();
        fs::create_dir(at.join("home")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nPidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nHostKey {0}/host_key\n\
             AuthorizedKeysFile {0}/authorized_keys\n{more}\n",
            at.display()
        );
        fs::write(at.join("sshd_config"), config).unwrap();
        let child = Command::new(program)
            .args(["-D", "-e", "-f"])
            .arg(at.join("sshd_config"))
            .stdin(Stdio::null())
            .stderr(fs::File::create(at.join("sshd.log")).unwrap())
            .spawn()
            .unwrap();
        let mut sshd = Self { child, port, folder };
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let mut banner = [0; 4];
            let read =
                TcpStream::connect(("127.0.0.1", port)).and_then(|mut stream| stream.read_exact(&mut banner));
            if read.is_ok() {
                return Some(sshd);
            }
            let log = || fs::read_to_string(sshd.folder.path().join("sshd.log")).unwrap();
            assert!(sshd.child.try_wait().unwrap().is_none() && Instant::now() < until, "{}", log());
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the server's key to the known_hosts file under `name`.
    pub(super) fn make_known(&self, name: &str) {
        let key = fs::read_to_string(self.path("host_key.pub")).unwrap();
        fs::write(self.path("known_hosts"), format!("{name} {key}")).unwrap();
    }

    /// Returns a connection with the test's key file, known_hosts file and agent state folder.
    pub(super) fn connection(&self) -> Connection {
        let mut connection = Connection {
            address: "127.0.0.1".into(),
            port: Some(self.port),
            user: Some(user()),
            private_key_file: Some(self.path("key")),
            agent_state: Some(AbsPath::parse(self.path("state").to_str().unwrap()).unwrap()),
            ..Connection::default()
        };
        connection.options.config_file = Some("none".into());
        connection.options.known_hosts_file = Some(self.path("known_hosts"));
        connection
    }

    pub(super) fn settings(&self) -> Settings {
        let agent = self.path("apim-agent");
        fs::write(&agent, SHELL_AGENT).unwrap();
        fs::set_permissions(&agent, fs::Permissions::from_mode(0o755)).unwrap();
        let binary = AgentBinary::read(&agent).unwrap();
        let agents = AgentBinaries::new([(std::env::consts::ARCH.to_owned(), binary)]);
        let mut settings = Settings::new(agents, Arc::new(NeverAsk));
        settings.around = Surroundings { home: self.path("home"), user: user(), agent_socket: None };
        settings
    }

    pub(super) fn connect(&self, connection: Connection) -> SshConnect {
        self.connect_with(connection, self.settings())
    }

    pub(super) fn connect_with(&self, connection: Connection, settings: Settings) -> SshConnect {
        SshConnect::new(BTreeMap::from([(gw1(), connection)]), settings)
    }
}

/// Prints why a test is skipped.
#[expect(clippy::print_stdout, reason = "a skipped test prints the reason")]
pub(in crate::ssh) fn skipped(why: &str) {
    println!("skipped: {why}");
}

pub(super) fn gw1() -> HostName {
    HostName("gw1".into())
}

pub(super) fn user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub(super) fn is_root() -> bool {
    user() == "root"
}
