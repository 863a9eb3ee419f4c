//! The database host: a real MariaDB with the seed's databases and accounts, empty.

use std::path::Path;
use std::time::{Duration, Instant};

use super::command::run_in;
use super::topology::Host;
use super::{LabError, boot, root};

/// The same databases and accounts as on the machines that Vagrant makes.
const SETUP: &str = include_str!("../../../vagrant/database.sql");

/// Small buffers: the lab's machines share one memory.
const SETTINGS: &str = "\
[mariadbd]
bind-address = 0.0.0.0
init-file = /etc/mysql/lab.sql
skip-name-resolve
innodb-buffer-pool-size = 32M
innodb-log-file-size = 8M
innodb-flush-log-at-trx-commit = 2
";

/// Makes the host whose disk this is a database server.
pub(super) fn furnish(root: &Path, _host: &Host) -> Result<(), LabError> {
    root::write(root, "etc/mysql/lab.sql", SETUP, 0o644)?;
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

/// Waits until the server takes connections from the network.
pub(super) fn await_ready(host: &Host, limit: Duration) -> Result<(), LabError> {
    let deadline = Instant::now() + limit;
    loop {
        let place = std::net::SocketAddr::from((host.address, 3306));
        if std::net::TcpStream::connect_timeout(&place, Duration::from_millis(500)).is_ok() {
            return Ok(());
        }
        if Instant::now() > deadline {
            let journal =
                boot::enter(host, &["journalctl", "-u", "mariadb", "-n", "15", "--no-pager", "-o", "cat"])?
                    .output()
                    .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
                    .unwrap_or_default();
            let what = format!("has no database on port 3306 after {limit:?}; its journal says: {journal}");
            return Err(LabError::Host { host: host.name.clone(), what });
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
