//! Database hosts: MariaDB or PostgreSQL, with databases and accounts, or with only an administrator.

use std::path::Path;
use std::time::{Duration, Instant};

use super::command::run_in;
use super::topology::{Host, Kind};
use super::{LabError, boot, root};

/// The databases and accounts of the Vagrant machines.
const SETUP: &str = include_str!("../../../vagrant/database.sql");

/// The administrator of an empty server.
pub const ADMIN: &str = "dba";
/// The administrator's password.
pub const ADMIN_PASSWORD: &str = "lab dba, pass word";

/// Small buffers, since all hosts share the memory of this machine.
const SETTINGS: &str = "\
[mariadbd]
bind-address = 0.0.0.0
init-file = /etc/mysql/lab.sql
skip-name-resolve
innodb-buffer-pool-size = 32M
innodb-log-file-size = 8M
innodb-flush-log-at-trx-commit = 2
";

/// The data folder is created at the first boot, since that needs devices.
const POSTGRESQL: &str = "\
[Unit]
Description=PostgreSQL of the lab
After=network.target

[Service]
User=postgres
StateDirectory=lab-postgresql
Environment=PGDATA=/var/lib/lab-postgresql/data
ExecStartPre=/bin/sh -c 'test -s $PGDATA/PG_VERSION || { @BIN@/initdb -U @ADMIN@ --pwfile=/etc/lab-postgresql -A scram-sha-256 -E UTF8 --locale=C --no-sync && echo host all all all scram-sha-256 >> $PGDATA/pg_hba.conf; }'
ExecStart=@BIN@/postgres -h 0.0.0.0 -k /tmp -c shared_buffers=16MB

[Install]
WantedBy=multi-user.target
";

/// Installs the database server of a host on its disk.
pub(super) fn furnish(root: &Path, host: &Host) -> Result<(), LabError> {
    match host.kind {
        Kind::Bare => Ok(()),
        Kind::Database => mariadb(root, SETUP),
        Kind::EmptyDatabase => {
            let admin = format!(
                "CREATE USER IF NOT EXISTS '{ADMIN}'@'%' IDENTIFIED BY '{ADMIN_PASSWORD}';\n\
                 GRANT ALL PRIVILEGES ON *.* TO '{ADMIN}'@'%' WITH GRANT OPTION;\n"
            );
            mariadb(root, &admin)
        }
        Kind::EmptyPostgresql => postgresql(root),
    }
}

fn mariadb(root: &Path, setup: &str) -> Result<(), LabError> {
    root::write(root, "etc/mysql/lab.sql", setup, 0o644)?;
    root::write(root, "etc/mysql/mariadb.conf.d/90-lab.cnf", SETTINGS, 0o644)?;
    run_in(root, &["install", "-d", "-o", "mysql", "-g", "mysql", "/var/lib/mysql", "/var/log/mysql"])?;
    run_in(
        root,
        &["mariadb-install-db", "--user=mysql", "--skip-test-db", "--auth-root-authentication-method=socket"],
    )?;
    let link = root.join("etc/systemd/system/multi-user.target.wants/mariadb.service");
    std::os::unix::fs::symlink("/lib/systemd/system/mariadb.service", &link)
        .map_err(LabError::file("link", &link))
}

fn postgresql(root: &Path) -> Result<(), LabError> {
    let versions = Path::new("/usr/lib/postgresql");
    let found = std::fs::read_dir(versions).map_err(LabError::file("list", versions))?;
    let bin =
        found.flatten().map(|version| version.path().join("bin")).find(|bin| bin.join("initdb").exists());
    let bin = bin.ok_or_else(|| LabError::Unsupported("postgresql is not installed".to_owned()))?;
    let unit = POSTGRESQL.replace("@BIN@", &bin.to_string_lossy()).replace("@ADMIN@", ADMIN);
    root::write(root, "etc/systemd/system/lab-postgresql.service", &unit, 0o644)?;
    // The account of the server must be able to read it.
    root::write(root, "etc/lab-postgresql", &format!("{ADMIN_PASSWORD}\n"), 0o644)?;
    let link = root.join("etc/systemd/system/multi-user.target.wants/lab-postgresql.service");
    std::os::unix::fs::symlink("/etc/systemd/system/lab-postgresql.service", &link)
        .map_err(LabError::file("link", &link))
}

/// Waits until the database server of a host accepts connections from the network.
pub(super) fn await_ready(host: &Host, limit: Duration) -> Result<(), LabError> {
    let (port, unit) = match host.kind {
        Kind::Bare => return Ok(()),
        Kind::Database | Kind::EmptyDatabase => (3306, "mariadb"),
        Kind::EmptyPostgresql => (5432, "lab-postgresql"),
    };
    let deadline = Instant::now() + limit;
    loop {
        let place = std::net::SocketAddr::from((host.address, port));
        if std::net::TcpStream::connect_timeout(&place, Duration::from_millis(500)).is_ok() {
            return Ok(());
        }
        if Instant::now() > deadline {
            let journal =
                boot::enter(host, &["journalctl", "-u", unit, "-n", "15", "--no-pager", "-o", "cat"])?
                    .output()
                    .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
                    .unwrap_or_default();
            let what = format!("has no database on port {port} after {limit:?}; its journal: {journal}");
            return Err(LabError::Host { host: host.name.clone(), what });
        }
        // The polling interval.
        std::thread::sleep(Duration::from_millis(50));
    }
}
