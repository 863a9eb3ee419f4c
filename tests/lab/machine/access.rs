//! SSH keys, host keys, and the configuration files with them for ssh and apim-deploy.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::LabError;
use super::command::run;
use super::root::DEPLOY;
use super::state::DIRECTORY;
use super::topology::Host;

pub(super) fn ssh_config() -> PathBuf {
    Path::new(DIRECTORY).join("ssh_config")
}

pub(super) fn known_hosts() -> PathBuf {
    Path::new(DIRECTORY).join("known_hosts")
}

pub(super) fn key() -> PathBuf {
    Path::new(DIRECTORY).join("id_ed25519")
}

pub(super) fn inventory() -> PathBuf {
    Path::new(DIRECTORY).join("hosts.yaml")
}

/// Returns the path of the private host key, which a reset of the disk keeps.
pub(super) fn host_key(host: &str) -> PathBuf {
    Path::new(DIRECTORY).join("keys").join(host)
}

/// Creates the key of the lab, a host key per host, and the files that refer to them.
pub(super) fn make_keys(hosts: &[Host]) -> Result<(), LabError> {
    let folder = Path::new(DIRECTORY).join("keys");
    fs::create_dir_all(&folder).map_err(LabError::file("create", &folder))?;
    make_key(&key(), "apim-lab")?;
    let (mut known, mut config, mut groups) = (String::new(), String::new(), String::new());
    let mut group = "";
    let mut sorted: Vec<_> = hosts.iter().collect();
    sorted.sort_by(|a, b| a.group.cmp(&b.group));
    for host in sorted {
        make_key(&host_key(&host.name), &host.name)?;
        let public = host_key(&host.name).with_extension("pub");
        let line = fs::read_to_string(&public).map_err(LabError::file("read", &public))?;
        let words: Vec<_> = line.split_whitespace().take(2).collect();
        writeln!(known, "{},{} {}", host.name, host.address, words.join(" ")).unwrap_or_default();
        writeln!(config, "Host {}\n    HostName {}", host.name, host.address).unwrap_or_default();
        if group != host.group {
            group = &host.group;
            writeln!(groups, "    {group}:\n      hosts:").unwrap_or_default();
        }
        writeln!(groups, "        {}: {{ansible_host: {}}}", host.name, host.address).unwrap_or_default();
    }
    let (key, known_file) = (key(), known_hosts());
    writeln!(
        config,
        "Host *\n    User {DEPLOY}\n    IdentityFile {}\n    IdentitiesOnly yes\n    UserKnownHostsFile {}\n    \
         GlobalKnownHostsFile /dev/null\n    StrictHostKeyChecking yes\n    LogLevel ERROR",
        key.display(),
        known_file.display(),
    )
    .unwrap_or_default();
    let inventory_text = format!(
        "# The hosts of the running machine lab, and how to connect to them.\nall:\n  vars:\n    ansible_user: {DEPLOY}\n    \
         ansible_ssh_private_key_file: {}\n    ansible_ssh_common_args: -o UserKnownHostsFile={}\n    \
         ansible_become: true\n  children:\n{groups}",
        key.display(),
        known_file.display(),
    );
    for (path, text) in [(known_file, known), (ssh_config(), config), (inventory(), inventory_text)] {
        fs::write(&path, text).map_err(LabError::file("write", &path))?;
    }
    Ok(())
}

fn make_key(path: &Path, comment: &str) -> Result<(), LabError> {
    run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", &path.to_string_lossy()])?;
    Ok(())
}
