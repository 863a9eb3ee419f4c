//! The Debian packages that the lab needs. Installs missing ones, without starting their services here.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::LabError;
use super::command::run;

/// Required programs and their packages.
const PROGRAMS: &[(&str, &str)] = &[
    ("/usr/bin/systemd-nspawn", "systemd-container"),
    ("/lib/systemd/systemd", "systemd"),
    ("/usr/bin/dbus-daemon", "dbus"),
    ("/usr/sbin/sshd", "openssh-server"),
    ("/usr/bin/ssh", "openssh-client"),
    ("/usr/bin/sudo", "sudo"),
    ("/usr/bin/ps", "procps"),
    ("/usr/bin/nsenter", "util-linux"),
    ("/usr/bin/curl", "curl"),
    ("/usr/sbin/nginx", "nginx"),
    ("/usr/sbin/haproxy", "haproxy"),
    ("/usr/bin/socat", "socat"),
    ("/usr/sbin/mariadbd", "mariadb-server"),
    ("/usr/bin/pg_ctlcluster", "postgresql"),
    ("/usr/bin/keytool", "default-jre-headless"),
];

/// Debian has moved this program; one of these paths must exist.
const IP: &[&str] = &["/usr/sbin/ip", "/usr/bin/ip", "/sbin/ip", "/bin/ip"];

const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Returns the missing packages.
pub(super) fn missing() -> Vec<&'static str> {
    let mut missing: Vec<_> = PROGRAMS
        .iter()
        .filter(|(program, _)| !Path::new(program).exists())
        .map(|(_, package)| *package)
        .collect();
    if !IP.iter().any(|ip| Path::new(ip).exists()) {
        missing.push("iproute2");
    }
    missing
}

/// Whether packages can be installed here.
pub(super) fn can_install() -> bool {
    Path::new("/usr/bin/apt-get").exists() && rustix::process::geteuid().is_root()
}

/// Installs missing packages.
///
/// # Errors
/// If apt-get is missing or fails.
pub fn install_missing() -> Result<(), LabError> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    if !can_install() {
        return Err(LabError::Unsupported(format!("missing packages: {}", missing.join(" "))));
    }
    // This policy prevents that services of the packages are started on this machine.
    let is_created = !Path::new(POLICY).exists();
    if is_created {
        fs::write(POLICY, "#!/bin/sh\nexit 101\n").map_err(LabError::file("write", POLICY))?;
        fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))
            .map_err(LabError::file("write", POLICY))?;
    }
    let result = install(&missing);
    if is_created {
        fs::remove_file(POLICY).map_err(LabError::file("remove", POLICY))?;
    }
    result
}

fn install(packages: &[&str]) -> Result<(), LabError> {
    let mut arguments =
        vec!["DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "--no-install-recommends"];
    arguments.extend(packages);
    if run("env", &arguments).is_ok() {
        return Ok(());
    }
    // Package lists may be missing or outdated on a new machine.
    run("apt-get", &["update", "-q"])?;
    run("env", &arguments)?;
    Ok(())
}
