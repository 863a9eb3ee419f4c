//! The disks of hosts: a base layer over the root file system of this machine, and a thin layer per host.
//!
//! The base layer hides homes, data and services of this machine, and shows its programs and libraries.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, XattrFlags};

use super::command::{run, run_in};
use super::state::DIRECTORY;
use super::topology::Host;
use super::{LabError, access, database};

/// The SSH account with sudo without a password.
pub const DEPLOY: &str = "deploy";
/// The SSH account whose sudo requires [`SUDO_PASSWORD`].
pub const DEPLOY_WITH_PASSWORD: &str = "careful";
/// The password of [`DEPLOY_WITH_PASSWORD`].
pub const SUDO_PASSWORD: &str = "lab sudo, pass: word";

/// Entries of `/` that are visible on hosts; all others are hidden.
const SHOWN: &[&str] = &[
    "bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "sys", "usr", "var", "home",
    "root", "opt", "srv", "mnt", "media", "tmp", "run", "boot",
];

/// Folders that exist on hosts but show nothing of this machine.
const EMPTIED: &[&str] = &[
    "home",
    "root",
    "opt",
    "srv",
    "mnt",
    "media",
    "tmp",
    "run",
    "boot",
    "var/tmp",
    "var/log",
    "var/cache",
    "var/spool",
    "var/lib/apt",
    "var/lib/docker",
    "var/lib/mysql",
    "var/lib/postgresql",
    "var/lib/systemd",
    "etc/systemd/system",
    "etc/init.d",
    "etc/rc0.d",
    "etc/rc1.d",
    "etc/rc2.d",
    "etc/rc3.d",
    "etc/rc4.d",
    "etc/rc5.d",
    "etc/rc6.d",
    "etc/rcS.d",
    "etc/sudoers.d",
    "etc/profile.d",
    "etc/ssh/sshd_config.d",
    "etc/tmpfiles.d",
];

/// User managers cost more CPU time than everything else on a host; terminals are not used.
const MASKED: &[&str] =
    &["user@.service", "getty.target", "console-getty.service", "systemd-networkd.service"];

fn folder(host: &str) -> PathBuf {
    Path::new(DIRECTORY).join("hosts").join(host)
}

/// Returns the mount point of the host's disk on this machine.
pub(super) fn mounted(host: &str) -> PathBuf {
    folder(host).join("root")
}

/// Returns the layer of the host.
pub(super) fn layer(host: &str) -> PathBuf {
    folder(host).join("upper")
}

fn base() -> PathBuf {
    Path::new(DIRECTORY).join("base")
}

/// Creates the layer that all hosts share.
pub(super) fn make_base() -> Result<(), LabError> {
    let upper = base().join("upper");
    create(&upper)?;
    hide(&upper)?;
    mount("/", &base())?;
    let result = furnish(&base().join("root"));
    unmount(&base().join("root"))?;
    result
}

/// Creates the layer of the host and mounts its disk.
pub(super) fn make(host: &Host) -> Result<(), LabError> {
    let folder = folder(&host.name);
    create(&folder.join("upper"))?;
    mount(&format!("{}:/", base().join("upper").display()), &folder)?;
    let root = folder.join("root");
    let hosts = format!("127.0.0.1 localhost\n::1 localhost\n{} {}\n", host.address, host.name);
    write(&root, "etc/hosts", &hosts, 0o644)?;
    write(&root, "etc/hostname", &format!("{}\n", host.name), 0o644)?;
    let id = fs::read_to_string("/proc/sys/kernel/random/uuid")
        .map_err(LabError::file("read", "/proc/sys/kernel/random/uuid"))?;
    write(&root, "etc/machine-id", &id.replace('-', ""), 0o444)?;
    let key = access::host_key(&host.name);
    for (from, to, mode) in [
        (key.clone(), "etc/ssh/ssh_host_ed25519_key", 0o600),
        (key.with_extension("pub"), "etc/ssh/ssh_host_ed25519_key.pub", 0o644),
    ] {
        let text = fs::read_to_string(&from).map_err(LabError::file("read", &from))?;
        write(&root, to, &text, mode)?;
    }
    database::furnish(&root, host)
}

/// Removes the layer of the host.
pub(super) fn wipe(host: &str) -> Result<(), LabError> {
    unmount(&mounted(host))?;
    fs::remove_dir_all(folder(host)).map_err(LabError::file("remove", folder(host)))
}

/// Unmounts every disk of the lab.
pub(super) fn unmount_all() -> Result<(), LabError> {
    let mounts =
        fs::read_to_string("/proc/self/mounts").map_err(LabError::file("read", "/proc/self/mounts"))?;
    let below = format!("{DIRECTORY}/");
    for target in mounts.lines().rev().filter_map(|line| line.split(' ').nth(1)) {
        if target.starts_with(&below) {
            unmount(Path::new(target))?;
        }
    }
    Ok(())
}

/// Hides files of this machine, with whiteouts and opaque folders of the overlay.
fn hide(upper: &Path) -> Result<(), LabError> {
    let top = fs::read_dir("/").map_err(LabError::file("list", "/"))?;
    for entry in top.flatten() {
        let name = entry.file_name();
        if !SHOWN.iter().any(|shown| name == *shown) {
            let path = upper.join(&name);
            rustix::fs::mknodat(rustix::fs::CWD, &path, FileType::CharacterDevice, Mode::empty(), 0)
                .map_err(|error| LabError::File { what: "hide", path, source: error.into() })?;
        }
    }
    for name in EMPTIED {
        let path = upper.join(name);
        create(&path)?;
        rustix::fs::setxattr(&path, "trusted.overlay.opaque", b"y", XattrFlags::empty())
            .map_err(|error| LabError::File { what: "hide", path: path.clone(), source: error.into() })?;
        let mode = match *name {
            "tmp" | "var/tmp" => 0o1777,
            "root" => 0o700,
            _ => 0o755,
        };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(LabError::file("set", &path))?;
    }
    Ok(())
}

fn furnish(root: &Path) -> Result<(), LabError> {
    for unit in MASKED {
        link("/dev/null", &root.join("etc/systemd/system").join(unit))?;
    }
    let wants = root.join("etc/systemd/system/multi-user.target.wants");
    create(&wants)?;
    link("/lib/systemd/system/ssh.service", &wants.join("ssh.service"))?;
    link("/lib/systemd/system/multi-user.target", &root.join("etc/systemd/system/default.target"))?;
    write(root, "etc/ssh/sshd_config.d/lab.conf", "HostKey /etc/ssh/ssh_host_ed25519_key\n", 0o644)?;
    write(root, "etc/resolv.conf", "# the lab has no name server\n", 0o644)?;
    write(root, "etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files\n", 0o644)?;
    write(root, "etc/environment", "", 0o644)?;
    // The log folders of packages are hidden with /var/log, so they are created again.
    create(&root.join("var/log/nginx"))?;
    write(root, "etc/sudoers.d/lab", &sudoers(), 0o440)?;
    let old = root.join("etc/ssh");
    for entry in fs::read_dir(&old).map_err(LabError::file("list", &old))?.flatten() {
        if entry.file_name().to_string_lossy().starts_with("ssh_host_") {
            fs::remove_file(entry.path()).map_err(LabError::file("remove", entry.path()))?;
        }
    }
    let public = access::key().with_extension("pub");
    let authorized = fs::read_to_string(&public).map_err(LabError::file("read", &public))?;
    for user in [DEPLOY, DEPLOY_WITH_PASSWORD] {
        run_in(root, &["useradd", "--create-home", "--user-group", "--shell", "/bin/bash", user])?;
        let home = root.join("home").join(user).join(".ssh");
        create(&home)?;
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700))
            .map_err(LabError::file("set", &home))?;
        write(root, &format!("home/{user}/.ssh/authorized_keys"), &authorized, 0o600)?;
        run_in(root, &["chown", "-R", &format!("{user}:{user}"), &format!("/home/{user}/.ssh")])?;
    }
    set_password(root, DEPLOY_WITH_PASSWORD, SUDO_PASSWORD)
}

fn sudoers() -> String {
    format!("{DEPLOY} ALL=(ALL:ALL) NOPASSWD: ALL\n{DEPLOY_WITH_PASSWORD} ALL=(ALL:ALL) ALL\n")
}

fn set_password(root: &Path, user: &str, password: &str) -> Result<(), LabError> {
    write(root, "run/lab-password", &format!("{user}:{password}\n"), 0o600)?;
    let result = run_in(root, &["sh", "-c", "chpasswd --crypt-method SHA512 < /run/lab-password"]);
    let path = root.join("run/lab-password");
    fs::remove_file(&path).map_err(LabError::file("remove", &path))?;
    result.map(drop)
}

fn mount(lower: &str, folder: &Path) -> Result<(), LabError> {
    create(&folder.join("work"))?;
    create(&folder.join("root"))?;
    let (upper, work) = (folder.join("upper"), folder.join("work"));
    let options = format!("lowerdir={lower},upperdir={},workdir={}", upper.display(), work.display());
    run("mount", &["-t", "overlay", "apim-lab", "-o", &options, &folder.join("root").to_string_lossy()])?;
    Ok(())
}

fn unmount(path: &Path) -> Result<(), LabError> {
    run("umount", &["--lazy", &path.to_string_lossy()])?;
    Ok(())
}

fn create(path: &Path) -> Result<(), LabError> {
    fs::create_dir_all(path).map_err(LabError::file("create", path))
}

fn link(to: &str, path: &Path) -> Result<(), LabError> {
    symlink(to, path).map_err(LabError::file("link", path))
}

/// Replaces a file. An existing file or link is removed first.
pub(super) fn write(root: &Path, name: &str, text: &str, mode: u32) -> Result<(), LabError> {
    let path = root.join(name);
    if path.symlink_metadata().is_ok() {
        fs::remove_file(&path).map_err(LabError::file("remove", &path))?;
    }
    fs::write(&path, text).map_err(LabError::file("write", &path))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(LabError::file("set", &path))
}
