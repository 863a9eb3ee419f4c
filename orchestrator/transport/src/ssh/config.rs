//! The supported subset of the user's ssh configuration, read directly from the files.
//!
//! Where a file uses `Match` or another keyword that only OpenSSH can evaluate, its client is run
//! (`ssh -G`). Values of the inventory take precedence; see `destination`. Keywords: ssh_config(5).

use std::path::{Path, PathBuf};

use super::error::SettingError;
use super::known_hosts::{list_matches, matches};

/// Maximum depth of nested includes, as in OpenSSH.
const INCLUDE_DEPTH: usize = 16;

/// Configuration of one host; `None` and empty mean not set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct HostConfig {
    pub(super) hostname: Option<String>,
    pub(super) user: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) identity_files: Vec<String>,
    pub(super) identities_only: Option<bool>,
    pub(super) identity_agent: Option<String>,
    pub(super) proxy_jump: Option<String>,
    pub(super) proxy_command: Option<String>,
    pub(super) user_known_hosts: Option<Vec<String>>,
    pub(super) global_known_hosts: Option<Vec<String>>,
    pub(super) host_key_alias: Option<String>,
    pub(super) strict_host_keys: Option<String>,
    pub(super) connect_timeout_secs: Option<u64>,
}

/// The configuration files to read.
#[derive(Debug, Clone)]
pub(super) struct ConfigFiles {
    pub(super) files: Vec<PathBuf>,
    pub(super) home: PathBuf,
    /// Whether the user named the files, which must exist in this case.
    pub(super) named: bool,
}

impl ConfigFiles {
    /// Returns the user's and the system's configuration file.
    pub(super) fn default_in(home: &Path) -> Self {
        let files = vec![home.join(".ssh/config"), PathBuf::from("/etc/ssh/ssh_config")];
        Self { files, home: home.to_owned(), named: false }
    }

    /// Returns the configuration of `host`, where `host` is the name before `HostName` is applied.
    pub(super) fn lookup(&self, host: &str, user: Option<&str>) -> Result<HostConfig, SettingError> {
        let mut reading =
            Reading { host, home: &self.home, config: HostConfig::default(), needs_openssh: false };
        for file in &self.files {
            match std::fs::read_to_string(file) {
                Ok(text) => reading.text(&text, file, 0)?,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && !self.named => {}
                Err(error) => return Err(unreadable(file, error)),
            }
        }
        if reading.needs_openssh { self.run_openssh(host, user) } else { Ok(reading.config) }
    }

    /// Runs OpenSSH's client, which supports every keyword.
    fn run_openssh(&self, host: &str, user: Option<&str>) -> Result<HostConfig, SettingError> {
        if host.starts_with('-') || user.is_some_and(|user| user.starts_with('-')) {
            return Err(SettingError::OptionLike(host.to_owned()));
        }
        let mut command = std::process::Command::new("ssh");
        command.arg("-G");
        if let (true, Some(file)) = (self.named, self.files.first()) {
            command.arg("-F").arg(file);
        }
        if let Some(user) = user {
            command.arg("-l").arg(user);
        }
        command.arg("--").arg(host).stdin(std::process::Stdio::null());
        let output = command.output().map_err(SettingError::RunOpenSsh)?;
        if !output.status.success() {
            let said = crate::session::text::one_line(&output.stderr, 500);
            return Err(SettingError::OpenSsh { host: host.to_owned(), said });
        }
        let mut config = HostConfig::default();
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            if let Some((keyword, arguments)) = split(line) {
                config.take(&keyword, &arguments);
            }
        }
        Ok(config)
    }
}

struct Reading<'a> {
    host: &'a str,
    home: &'a Path,
    config: HostConfig,
    needs_openssh: bool,
}

impl Reading<'_> {
    fn text(&mut self, text: &str, file: &Path, depth: usize) -> Result<(), SettingError> {
        if depth > INCLUDE_DEPTH {
            return Err(SettingError::IncludeDepth(file.to_owned()));
        }
        let mut applies = true;
        for line in text.lines() {
            let Some((keyword, arguments)) = split(line) else { continue };
            match keyword.as_str() {
                "host" => applies = list_matches(arguments.iter().map(String::as_str), self.host),
                "match" if arguments.first().is_some_and(|first| first.eq_ignore_ascii_case("all")) => {
                    applies = true
                }
                "match" => {
                    self.needs_openssh = true;
                    return Ok(());
                }
                "canonicalizehostname" if applies && arguments.first().is_some_and(|value| value != "no") => {
                    self.needs_openssh = true;
                    return Ok(());
                }
                "include" if applies => {
                    for pattern in &arguments {
                        self.include(pattern, file, depth)?;
                    }
                }
                _ if applies => self.config.take(&keyword, &arguments),
                _ => {}
            }
        }
        Ok(())
    }

    fn include(&mut self, pattern: &str, file: &Path, depth: usize) -> Result<(), SettingError> {
        let path = match pattern.strip_prefix("~/") {
            Some(rest) => self.home.join(rest),
            None if pattern.starts_with('/') => PathBuf::from(pattern),
            None if file.starts_with("/etc/ssh") => Path::new("/etc/ssh").join(pattern),
            None => self.home.join(".ssh").join(pattern),
        };
        for included in expand(&path) {
            match std::fs::read_to_string(&included) {
                Ok(text) => self.text(&text, &included, depth + 1)?,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(unreadable(&included, error)),
            }
        }
        Ok(())
    }
}

impl HostConfig {
    /// Applies one setting: the first value of a keyword is kept, key files accumulate.
    fn take(&mut self, keyword: &str, arguments: &[String]) {
        let Some(first) = arguments.first() else { return };
        let text = |slot: &mut Option<String>| {
            slot.get_or_insert_with(|| first.clone());
        };
        match keyword {
            "hostname" => text(&mut self.hostname),
            "user" => text(&mut self.user),
            "port" => self.port = self.port.or_else(|| first.parse().ok()),
            "identityfile" if !self.identity_files.contains(first) => self.identity_files.push(first.clone()),
            "identitiesonly" => self.identities_only = self.identities_only.or(Some(first == "yes")),
            "identityagent" => text(&mut self.identity_agent),
            "proxyjump" if self.proxy_command.is_none() => text(&mut self.proxy_jump),
            "proxycommand" if self.proxy_jump.is_none() => {
                self.proxy_command.get_or_insert_with(|| arguments.join(" "));
            }
            "userknownhostsfile" => {
                self.user_known_hosts.get_or_insert_with(|| arguments.to_vec());
            }
            "globalknownhostsfile" => {
                self.global_known_hosts.get_or_insert_with(|| arguments.to_vec());
            }
            "hostkeyalias" => text(&mut self.host_key_alias),
            "stricthostkeychecking" => text(&mut self.strict_host_keys),
            "connecttimeout" => {
                self.connect_timeout_secs = self.connect_timeout_secs.or_else(|| first.parse().ok())
            }
            _ => {}
        }
    }
}

/// Splits a line into its keyword, in lower case, and its arguments, which may be quoted.
fn split(line: &str) -> Option<(String, Vec<String>)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let end = line.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
    let mut arguments = Vec::new();
    let mut argument: Option<String> = None;
    let mut quoted = false;
    for c in rest.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                argument.get_or_insert_default();
            }
            '#' if !quoted && argument.is_none() => break,
            c if c.is_whitespace() && !quoted => arguments.extend(argument.take()),
            c => argument.get_or_insert_default().push(c),
        }
    }
    arguments.extend(argument);
    Some((keyword.to_lowercase(), arguments))
}

/// Expands `*` and `?` in the last component of a path; returns the files in sorted order.
fn expand(path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if !name.contains(['*', '?']) {
        return vec![path.to_owned()];
    }
    let Some(entries) = path.parent().and_then(|folder| std::fs::read_dir(folder).ok()) else {
        return Vec::new();
    };
    let mut found = entries
        .filter_map(Result::ok)
        .filter(|entry| {
            let entry = entry.file_name().to_string_lossy().into_owned();
            !entry.starts_with('.') && matches(&name, &entry)
        })
        .map(|entry| entry.path())
        .collect::<Vec<_>>();
    found.sort();
    found
}

fn unreadable(file: &Path, source: std::io::Error) -> SettingError {
    SettingError::ReadConfig { file: file.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(folder: &tempfile::TempDir, text: &str, host: &str) -> HostConfig {
        let file = folder.path().join("config");
        std::fs::write(&file, text).unwrap();
        ConfigFiles { files: vec![file], home: folder.path().to_owned(), named: true }
            .lookup(host, None)
            .unwrap()
    }

    #[test]
    fn first_value_wins_and_key_files_accumulate() {
        let folder = tempfile::tempdir().unwrap();
        let text = "User = early # not late\nHost gw? !gw9\n  HostName\t10.0.0.5\n  Port=2222\n  IdentityFile \"~/my keys/a\"\n\
                    Host *\n  Port 22\n  User late\n  IdentityFile ~/b\n  IdentitiesOnly yes\n  UserKnownHostsFile /a /b\n";
        let config = read(&folder, text, "gw1");
        assert_eq!(config.user.as_deref(), Some("early"));
        assert_eq!(config.hostname.as_deref(), Some("10.0.0.5"));
        assert_eq!(config.port, Some(2222));
        assert_eq!(config.identity_files, ["~/my keys/a", "~/b"]);
        assert_eq!(config.identities_only, Some(true));
        assert_eq!(config.user_known_hosts, Some(vec!["/a".to_owned(), "/b".to_owned()]));
        assert_eq!(read(&folder, text, "gw9").port, Some(22));
    }

    #[test]
    fn included_files_are_read_in_place() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join(".ssh/d")).unwrap();
        std::fs::write(folder.path().join(".ssh/d/1.conf"), "Host gw1\nProxyJump bastion\n").unwrap();
        std::fs::write(folder.path().join(".ssh/d/2.conf"), "Host gw1\nProxyJump other\nUser two\n").unwrap();
        let config = read(&folder, "Include d/*.conf\nHost *\nUser three\n", "gw1");
        assert_eq!(config.proxy_jump.as_deref(), Some("bastion"));
        assert_eq!(config.user.as_deref(), Some("two"));
    }

    #[test]
    fn match_blocks_are_evaluated_by_openssh() {
        if std::process::Command::new("ssh").arg("-V").output().is_err() {
            crate::ssh::tests::sshd::skipped("no OpenSSH client installed");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let config = read(&folder, "Match host gw1 user me\n  Port 2200\nHost *\n  ProxyJump b\n", "gw1");
        assert_eq!(config.proxy_jump.as_deref(), Some("b"));
        assert_ne!(config.port, Some(2200));
    }

    #[test]
    fn named_file_must_exist() {
        let files = ConfigFiles { files: vec!["/nowhere/config".into()], home: "/".into(), named: true };
        assert!(files.lookup("gw1", None).unwrap_err().to_string().contains("/nowhere/config"));
    }
}
