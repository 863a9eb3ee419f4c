//! Real database servers for tests: MariaDB and PostgreSQL, each with its own loopback port and folder.
//! As root, they run as an unprivileged account.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::poll::until;

mod encryption;

/// The administrator of the servers.
pub const ADMIN: &str = "dba";
/// The administrator's password.
pub const ADMIN_PASSWORD: &str = "the dba's, pass word";

/// The time limit until a server answers.
const DEADLINE: Duration = Duration::from_secs(60);

/// PostgreSQL refuses to run as root; this account has no privileges.
const UNPRIVILEGED: u32 = 65534;

/// The kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// MariaDB.
    Mariadb,
    /// PostgreSQL.
    Postgresql,
}

/// A server; stopped on drop.
#[derive(Debug)]
pub struct DatabaseServer {
    /// The kind of server.
    pub kind: Kind,
    /// The port on 127.0.0.1.
    pub port: u16,
    programs: PathBuf,
    child: Child,
    folder: tempfile::TempDir,
}

impl DatabaseServer {
    /// Starts an empty server with only an administrator.
    ///
    /// # Errors
    /// The reason to skip the test, if the programs are not installed.
    ///
    /// # Panics
    /// If the server does not start.
    pub fn start(kind: Kind) -> Result<Self, String> {
        Self::start_as(kind, None)
    }

    /// Starts an empty server that accepts only encrypted connections, with a certificate for `name`.
    ///
    /// # Errors
    /// The reason to skip the test, if the programs are not installed.
    ///
    /// # Panics
    /// If the server does not start.
    pub fn start_encrypted(kind: Kind, name: &str) -> Result<Self, String> {
        Self::start_as(kind, Some(name))
    }

    fn start_as(kind: Kind, certified: Option<&str>) -> Result<Self, String> {
        let programs = programs(kind)?;
        let folder = tempfile::Builder::new().prefix("apim-db-").tempdir().expect("a folder");
        let data = folder.path().join("data");
        fs::create_dir(&data).expect("a folder for data");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        drop(listener);
        if let Some(name) = certified {
            encryption::issue(folder.path(), name);
        }
        let mut starting = match kind {
            Kind::Mariadb => mariadb(&programs, folder.path(), port),
            Kind::Postgresql => postgresql(&programs, folder.path(), port),
        };
        match (certified, kind) {
            (None, _) => {}
            (Some(_), Kind::Mariadb) => encryption::of_mariadb(&mut starting, folder.path()),
            (Some(_), Kind::Postgresql) => encryption::of_postgresql(&mut starting, folder.path()),
        }
        let log = fs::File::create(folder.path().join("log")).expect("a log");
        let copy = log.try_clone().expect("a log");
        let child =
            starting.stdin(Stdio::null()).stdout(log).stderr(copy).spawn().expect("the server starts");
        let server = Self { kind, port, programs, child, folder };
        let answers = until(DEADLINE, || server.ask(None, "SELECT 1").is_ok());
        assert!(answers, "{kind:?} does not answer: {}", server.log());
        Ok(server)
    }

    /// Runs statements as the administrator in `database`. Returns the rows, one per line.
    ///
    /// # Errors
    /// The error of the command line client.
    pub fn ask(&self, database: Option<&str>, statements: &str) -> Result<String, String> {
        self.ask_as(ADMIN, ADMIN_PASSWORD, database, statements)
    }

    /// Runs statements as `user`.
    ///
    /// # Errors
    /// The error of the command line client.
    pub fn ask_as(
        &self,
        user: &str,
        password: &str,
        database: Option<&str>,
        statements: &str,
    ) -> Result<String, String> {
        let port = self.port.to_string();
        let mut client = match self.kind {
            Kind::Mariadb => {
                let mut client = Command::new(self.programs.join("mariadb"));
                client.args([
                    "--no-defaults",
                    "--protocol=tcp",
                    "-h127.0.0.1",
                    "-P",
                    &port,
                    "-u",
                    user,
                    "-N",
                    "-B",
                ]);
                if encryption::authority(self.folder.path()).exists() {
                    client.arg("--ssl");
                }
                client.env("MYSQL_PWD", password).args(["-e", statements]).args(database);
                client
            }
            Kind::Postgresql => {
                let mut client = Command::new(self.programs.join("psql"));
                client.args(["-X", "-q", "-t", "-A", "-h", "127.0.0.1", "-p", &port, "-U", user]);
                client.args([
                    "-v",
                    "ON_ERROR_STOP=1",
                    "-d",
                    database.unwrap_or("postgres"),
                    "-c",
                    statements,
                ]);
                client.env("PGPASSWORD", password);
                client
            }
        };
        let Output { status, stdout, stderr } = client.output().map_err(|error| error.to_string())?;
        if status.success() {
            Ok(String::from_utf8_lossy(&stdout).trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&stderr).trim().to_owned())
        }
    }

    /// Runs statements as the administrator.
    ///
    /// # Panics
    /// If the server refuses them.
    #[track_caller]
    pub fn must(&self, database: Option<&str>, statements: &str) -> String {
        self.ask(database, statements).unwrap_or_else(|error| panic!("{statements}: {error}"))
    }

    /// Returns the PEM file of the authority that issued the certificate of an encrypted server.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        encryption::authority(self.folder.path())
    }

    /// Returns the server's log.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for DatabaseServer {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It stops its child processes. It may have ended already.
            rustix::process::kill_process(pid, Signal::QUIT).unwrap_or_default();
        }
        let ended =
            until(Duration::from_secs(10), || self.child.try_wait().is_ok_and(|status| status.is_some()));
        if !ended {
            self.child.kill().unwrap_or_default();
            drop(self.child.wait());
        }
    }
}

/// Finds the folder with the server's programs.
fn programs(kind: Kind) -> Result<PathBuf, String> {
    let (folders, needed): (Vec<PathBuf>, &[&str]) = match kind {
        Kind::Mariadb => (vec!["/usr/bin".into()], &["mariadb-install-db", "mariadb", "../sbin/mariadbd"]),
        Kind::Postgresql => {
            let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
            (versions.map(|version| version.path().join("bin")).collect(), &["initdb", "postgres", "psql"])
        }
    };
    let has_all = |folder: &PathBuf| needed.iter().all(|program| folder.join(program).exists());
    folders.into_iter().find(has_all).ok_or_else(|| format!("{kind:?} is not installed"))
}

fn mariadb(programs: &Path, folder: &Path, port: u16) -> Command {
    let data = format!("--datadir={}", folder.join("data").display());
    let init = folder.join("init.sql");
    let quoted = ADMIN_PASSWORD.replace('\'', "''");
    let text = format!(
        "CREATE USER '{ADMIN}'@'%' IDENTIFIED BY '{quoted}';\nGRANT ALL ON *.* TO '{ADMIN}'@'%' WITH GRANT OPTION;\n"
    );
    fs::write(&init, text).expect("the first statements");
    change_owner(folder).expect("the new owner of the folder");
    let mut install = unprivileged(&programs.join("mariadb-install-db"));
    install.args(["--no-defaults", &data, "--skip-test-db", "--auth-root-authentication-method=normal"]);
    let made = install.output().expect("mariadb-install-db runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    // Anonymous accounts of `localhost` would take precedence over accounts of any host (`%`).
    let mut server = unprivileged(&programs.join("../sbin/mariadbd"));
    server.args(["--no-defaults", &data, "--bind-address=127.0.0.1", "--skip-name-resolve"]);
    server.arg(format!("--port={port}")).arg(format!("--socket={}", folder.join("socket").display()));
    server.arg(format!("--pid-file={}", folder.join("pid").display()));
    server.arg(format!("--init-file={}", init.display()));
    server.args([
        "--innodb-buffer-pool-size=32M",
        "--innodb-log-file-size=8M",
        "--character-set-server=utf8mb4",
    ]);
    server
}

fn postgresql(programs: &Path, folder: &Path, port: u16) -> Command {
    let data = folder.join("data");
    let password = folder.join("password");
    fs::write(&password, ADMIN_PASSWORD).expect("the password");
    change_owner(folder).expect("the new owner of the folder");
    let mut install = unprivileged(&programs.join("initdb"));
    install.arg("-D").arg(&data).args([
        "-U",
        ADMIN,
        "-A",
        "scram-sha-256",
        "-E",
        "UTF8",
        "--locale=C",
        "--no-sync",
    ]);
    install.arg(format!("--pwfile={}", password.display()));
    let made = install.output().expect("initdb runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut server = unprivileged(&programs.join("postgres"));
    server.arg("-D").arg(&data).arg("-k").arg(folder).args(["-h", "127.0.0.1", "-p", &port.to_string()]);
    server.args(["-c", "log_statement=all", "-c", "shared_buffers=16MB"]);
    server
}

/// Returns a command that runs without privileges, even if this process is root.
fn unprivileged(program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args([
        &format!("--reuid={UNPRIVILEGED}"),
        &format!("--regid={UNPRIVILEGED}"),
        "--clear-groups",
        "--",
    ]);
    command.arg(program).current_dir("/");
    command
}

/// Makes the account of the server the owner of a folder and its entries.
fn change_owner(folder: &Path) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    chown(folder, Some(UNPRIVILEGED), Some(UNPRIVILEGED))?;
    for entry in fs::read_dir(folder)? {
        chown(entry?.path(), Some(UNPRIVILEGED), Some(UNPRIVILEGED))?;
    }
    Ok(())
}
