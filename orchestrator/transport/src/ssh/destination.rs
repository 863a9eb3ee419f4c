//! Address, user and keys of a connection: the inventory takes precedence over the ssh
//! configuration and its defaults.

use std::path::{Path, PathBuf};

use apim_protocol::value::Secret;

use crate::host::Connection;

use super::config::{ConfigFiles, HostConfig};
use super::error::SettingError;

/// Maximum number of chained jump hosts.
const JUMPS: usize = 8;

/// The user's environment on the control machine.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The user's home folder.
    pub home: PathBuf,
    /// The user's name.
    pub user: String,
    /// The socket of the user's ssh-agent (`SSH_AUTH_SOCK`).
    pub agent_socket: Option<PathBuf>,
}

impl Surroundings {
    /// Reads the environment variables.
    #[must_use]
    pub fn from_environment() -> Self {
        let text = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            home: text("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from),
            user: text("USER").or_else(|| text("LOGNAME")).unwrap_or_else(|| "root".to_owned()),
            agent_socket: text("SSH_AUTH_SOCK").map(PathBuf::from),
        }
    }
}

/// One key file to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) path: PathBuf,
    /// Set in the inventory: must exist and be usable.
    pub(super) required: bool,
    pub(super) passphrase: Option<Secret>,
}

/// One machine to log in to, with its jump hosts.
#[derive(Debug, Clone)]
pub(super) struct Destination {
    /// Display name: `gw1 (deploy@10.0.0.5:22)`.
    pub(super) peer: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) password: Option<Secret>,
    pub(super) identities: Vec<Identity>,
    pub(super) identities_only: bool,
    pub(super) agent_socket: Option<PathBuf>,
    /// The name in known_hosts files (without port).
    pub(super) key_name: String,
    pub(super) key_port: u16,
    pub(super) pins: Vec<String>,
    pub(super) known_hosts: Vec<PathBuf>,
    pub(super) accept_new: bool,
    pub(super) connect_timeout_secs: Option<u64>,
    /// The jump hosts, first hop first.
    pub(super) jumps: Vec<Destination>,
}

impl Destination {
    /// Resolves the destination of `connection` of the inventory host `name`.
    pub(super) fn resolve(
        name: &str,
        connection: &Connection,
        around: &Surroundings,
    ) -> Result<Self, SettingError> {
        let files = match connection.options.config_file.as_deref() {
            Some(file) if file == Path::new("none") => {
                ConfigFiles { files: Vec::new(), home: around.home.clone(), named: true }
            }
            Some(file) => {
                ConfigFiles { files: vec![file.to_owned()], home: around.home.clone(), named: true }
            }
            None => ConfigFiles::default_in(&around.home),
        };
        let resolving = Resolving { around, files };
        let address = if connection.address.is_empty() { name } else { &connection.address };
        resolving.destination(name, address, connection, 0)
    }
}

struct Resolving<'a> {
    around: &'a Surroundings,
    files: ConfigFiles,
}

impl Resolving<'_> {
    fn destination(
        &self,
        name: &str,
        address: &str,
        connection: &Connection,
        depth: usize,
    ) -> Result<Destination, SettingError> {
        check_name(address)?;
        let config = self.files.lookup(address, connection.user.as_deref())?;
        let user = connection
            .user
            .clone()
            .or_else(|| config.user.clone())
            .unwrap_or_else(|| self.around.user.clone());
        let port = connection.port.or(config.port).unwrap_or(22);
        let host = match &config.hostname {
            Some(hostname) => hostname.replace("%h", address).replace("%%", "%"),
            None => address.to_owned(),
        };
        check_name(&host)?;
        let tokens = Tokens { around: self.around, name: address, host: &host, port, user: &user };
        let jumps = self.jumps(address, connection, &config, depth)?;
        let known_hosts = known_hosts_files(connection, &config, &tokens);
        let mut identities = Vec::new();
        if let Some(path) = &connection.private_key_file {
            let path = tokens.expand(&path.to_string_lossy());
            identities.push(Identity { path, required: true, passphrase: connection.key_passphrase.clone() });
        }
        let named = config.identity_files.iter().map(|file| tokens.expand(file)).collect::<Vec<_>>();
        let default =
            ["id_ed25519", "id_ecdsa", "id_rsa"].map(|name| self.around.home.join(".ssh").join(name));
        let more = if named.is_empty() { default.to_vec() } else { named };
        identities.extend(more.into_iter().map(|path| Identity { path, required: false, passphrase: None }));
        let agent_socket = match config.identity_agent.as_deref() {
            Some("none") => None,
            Some("SSH_AUTH_SOCK") | None => self.around.agent_socket.clone(),
            Some(socket) => Some(tokens.expand(socket)),
        };
        Ok(Destination {
            peer: format!("{name} ({user}@{host}:{port})"),
            user,
            password: connection.password.clone(),
            identities,
            identities_only: config.identities_only.unwrap_or(false),
            agent_socket,
            key_name: config.host_key_alias.clone().unwrap_or_else(|| host.clone()),
            key_port: if config.host_key_alias.is_some() { 22 } else { port },
            pins: connection.host_keys.clone(),
            known_hosts,
            accept_new: connection.options.accept_new_host_keys
                || config.strict_host_keys.as_deref() == Some("accept-new"),
            connect_timeout_secs: connection.options.connect_timeout_secs.or(config.connect_timeout_secs),
            jumps,
            host,
            port,
        })
    }

    fn jumps(
        &self,
        address: &str,
        connection: &Connection,
        config: &HostConfig,
        depth: usize,
    ) -> Result<Vec<Destination>, SettingError> {
        let chain = if connection.options.proxy_jump.is_empty() {
            match config.proxy_jump.as_deref() {
                None | Some("none") => Vec::new(),
                Some(chain) => chain.split(',').map(|hop| hop.trim().to_owned()).collect(),
            }
        } else {
            connection.options.proxy_jump.clone()
        };
        if chain.is_empty() {
            return match config.proxy_command.as_deref() {
                None | Some("none") => Ok(Vec::new()),
                Some(_) => Err(SettingError::ProxyCommand(address.to_owned())),
            };
        }
        if depth >= JUMPS || chain.len() > JUMPS {
            return Err(SettingError::JumpHosts { address: address.to_owned(), limit: JUMPS });
        }
        let mut jumps: Vec<Destination> = Vec::new();
        for hop in &chain {
            let (user, host, port) = read_hop(hop)?;
            // A hop is a separate host: of the inventory's values, only the key is used for it, as
            // a last resort.
            let hop_connection = Connection { user, port, ..Connection::default() };
            let mut next = self.destination(&host, &host, &hop_connection, depth + 1)?;
            if let Some(path) = &connection.private_key_file {
                let passphrase = connection.key_passphrase.clone();
                let path = Tokens {
                    around: self.around,
                    name: &host,
                    host: &host,
                    port: next.port,
                    user: &next.user,
                }
                .expand(&path.to_string_lossy());
                next.identities.push(Identity { path, required: false, passphrase });
            }
            next.peer = format!("jump host {}", next.peer);
            next.accept_new |= connection.options.accept_new_host_keys;
            if let Some(file) = &connection.options.known_hosts_file {
                next.known_hosts = vec![file.clone()];
            }
            // The jump hosts of its own configuration apply only to the first hop; the others are
            // reached from the previous hop.
            let before = std::mem::take(&mut next.jumps);
            if jumps.is_empty() {
                jumps = before;
            }
            jumps.push(next);
        }
        Ok(jumps)
    }
}

fn known_hosts_files(connection: &Connection, config: &HostConfig, tokens: &Tokens<'_>) -> Vec<PathBuf> {
    let list = |set: &Option<Vec<String>>, default: [&str; 2]| {
        let default = || default.map(str::to_owned).to_vec();
        set.clone().unwrap_or_else(default).iter().map(|file| tokens.expand(file)).collect::<Vec<_>>()
    };
    let mut files = match &connection.options.known_hosts_file {
        Some(file) => vec![tokens.expand(&file.to_string_lossy())],
        None => list(&config.user_known_hosts, ["~/.ssh/known_hosts", "~/.ssh/known_hosts2"]),
    };
    files.extend(list(&config.global_known_hosts, ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"]));
    files.retain(|file| file != Path::new("none"));
    files
}

/// Reads `[user@]host[:port]`, also as `ssh://…` and with an IPv6 address in brackets.
fn read_hop(text: &str) -> Result<(Option<String>, String, Option<u16>), SettingError> {
    let fault = || SettingError::JumpHost(text.to_owned());
    let rest = text.strip_prefix("ssh://").unwrap_or(text).trim_end_matches('/');
    let (user, rest) = match rest.rsplit_once('@') {
        Some((user, rest)) => (Some(user.to_owned()), rest),
        None => (None, rest),
    };
    let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or_else(fault)?)),
        None => match rest.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (rest, None),
        },
    };
    if host.is_empty() || user.as_ref().is_some_and(|user| user.is_empty() || user.starts_with('-')) {
        return Err(fault());
    }
    let port = port.map(str::parse).transpose().map_err(|_| fault())?;
    Ok((user, host.to_owned(), port))
}

fn check_name(name: &str) -> Result<(), SettingError> {
    let fits = |c: char| !c.is_control() && !c.is_whitespace();
    if name.is_empty() || name.starts_with('-') || name.len() > 255 || !name.chars().all(fits) {
        return Err(SettingError::HostName(name.escape_debug().take(100).collect()));
    }
    Ok(())
}

struct Tokens<'a> {
    around: &'a Surroundings,
    name: &'a str,
    host: &'a str,
    port: u16,
    user: &'a str,
}

impl Tokens<'_> {
    /// Expands `~` and the `%` tokens of ssh_config(5) that name files use.
    fn expand(&self, text: &str) -> PathBuf {
        let home = self.around.home.to_string_lossy();
        let text = match text.strip_prefix("~/") {
            Some(rest) => format!("{home}/{rest}"),
            None => text.replace("${HOME}", &home),
        };
        let mut out = String::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            match chars.next() {
                Some('d') => out.push_str(&home),
                Some('h') => out.push_str(self.host),
                Some('n') => out.push_str(self.name),
                Some('p') => out.push_str(&self.port.to_string()),
                Some('r') => out.push_str(self.user),
                Some('u') => out.push_str(&self.around.user),
                Some('%') => out.push('%'),
                Some(other) => out.extend(['%', other]),
                None => out.push('%'),
            }
        }
        PathBuf::from(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(home: &Path) -> Surroundings {
        Surroundings { home: home.to_owned(), user: "me".into(), agent_socket: Some("/agent".into()) }
    }

    #[test]
    fn inventory_takes_precedence_over_ssh_configuration() {
        let home = tempfile::tempdir().unwrap();
        let config = home.path().join("config");
        std::fs::write(
            &config,
            "Host gw1\nHostName 10.0.0.5\nUser other\nPort 99\nIdentityFile ~/k-%h\nProxyJump a@j1:1,j2\n",
        )
        .unwrap();
        let mut connection =
            Connection { address: "gw1".into(), user: Some("deploy".into()), ..Connection::default() };
        connection.options.config_file = Some(config);
        connection.private_key_file = Some("/keys/inv".into());
        let to = Destination::resolve("gateway-1", &connection, &around(home.path())).unwrap();
        assert_eq!(to.peer, "gateway-1 (deploy@10.0.0.5:99)");
        assert_eq!(to.key_name, "10.0.0.5");
        let files = to.identities.iter().map(|identity| identity.path.clone()).collect::<Vec<_>>();
        assert_eq!(files, [PathBuf::from("/keys/inv"), home.path().join("k-10.0.0.5")]);
        let jumps = to.jumps.iter().map(|jump| jump.peer.as_str()).collect::<Vec<_>>();
        assert_eq!(jumps, ["jump host j1 (a@j1:1)", "jump host j2 (me@j2:22)"]);

        connection.options.proxy_jump = vec!["[fe80::1]:2222".into()];
        let to = Destination::resolve("gateway-1", &connection, &around(home.path())).unwrap();
        assert_eq!((to.jumps[0].host.as_str(), to.jumps[0].port), ("fe80::1", 2222));
    }

    #[test]
    fn option_like_names_and_proxy_command_are_rejected() {
        let home = tempfile::tempdir().unwrap();
        let config = home.path().join("config");
        std::fs::write(&config, "Host gw1\nProxyCommand nc %h %p\n").unwrap();
        let connect = |address: &str| {
            let mut connection = Connection { address: address.into(), ..Connection::default() };
            connection.options.config_file = Some(config.clone());
            Destination::resolve("x", &connection, &around(home.path()))
        };
        assert!(connect("-oProxyCommand=id").unwrap_err().to_string().contains("invalid host name"));
        assert!(connect("gw1").unwrap_err().hint().unwrap().contains("ProxyJump"));
        assert!(connect("gw2").is_ok());
    }

    #[test]
    fn cycle_of_jump_hosts_is_detected() {
        let home = tempfile::tempdir().unwrap();
        let config = home.path().join("config");
        std::fs::write(&config, "Host a\nProxyJump b\nHost b\nProxyJump a\n").unwrap();
        let mut connection = Connection { address: "a".into(), ..Connection::default() };
        connection.options.config_file = Some(config);
        let error = Destination::resolve("a", &connection, &around(home.path())).unwrap_err();
        assert!(error.to_string().contains("jump hosts"), "{error}");
    }
}
