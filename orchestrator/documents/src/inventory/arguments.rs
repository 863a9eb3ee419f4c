//! Parses `ansible_ssh_common_args` and similar variables. Reports every ssh option that is not
//! supported.

use std::path::PathBuf;

use apim_product::yaml::{Mistakes, Span, nearest};
use apim_transport::host::Connection;

/// Supported options.
const SUPPORTED: [&str; 10] = [
    "ProxyJump",
    "ProxyCommand",
    "UserKnownHostsFile",
    "ConnectTimeout",
    "StrictHostKeyChecking",
    "IdentityFile",
    "Port",
    "User",
    "HostName",
    "IdentitiesOnly",
];
/// Options without effect: apim-deploy always uses one connection per host, keeps it alive and
/// never prompts.
const NO_EFFECT: [&str; 14] = [
    "ControlMaster",
    "ControlPersist",
    "ControlPath",
    "ServerAliveInterval",
    "ServerAliveCountMax",
    "TCPKeepAlive",
    "LogLevel",
    "Compression",
    "BatchMode",
    "KbdInteractiveAuthentication",
    "PasswordAuthentication",
    "PreferredAuthentications",
    "PubkeyAuthentication",
    "ForwardAgent",
];
/// Hint for inventories that disable host key checking.
pub(super) const KEYS: &str =
    "pin the host's keys in `apim_host_keys`, or run once with --accept-new-host-keys";

/// Reads the options in `text`, which is located at `span`.
pub(super) fn read(text: &str, span: &Span, connection: &mut Connection, mistakes: &mut Mistakes) {
    let Some(words) = shlex::split(text) else {
        mistakes.add(span, "unclosed quote in the ssh options");
        return;
    };
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let Some(letter) = word.strip_prefix('-').and_then(|rest| rest.chars().next()) else {
            mistakes.add(span, format!("`{word}` is not an ssh option"));
            continue;
        };
        match letter {
            'C' | 'q' | 'T' | 'v' | 'n' | 'x' | 'a' => continue,
            'o' | 'J' | 'F' | 'i' | 'p' | 'l' => {}
            _ => {
                let hint = "supported: -o, -J, -F, -i, -p, -l";
                mistakes.add_hint(span, format!("the ssh option `{word}` is not supported"), hint);
                continue;
            }
        }
        let attached = word.get(2..).unwrap_or("").to_owned();
        let value = if attached.is_empty() { words.next() } else { Some(attached) };
        let Some(value) = value else {
            mistakes.add(span, format!("the ssh option `{word}` needs a value"));
            return;
        };
        let (name, value) = match letter {
            'o' => match value.split_once(['=', ' ']) {
                Some((name, value)) => {
                    (name.trim().to_owned(), value.trim_start_matches('=').trim().to_owned())
                }
                None => {
                    mistakes.add_hint(span, format!("`-o {value}` has no value"), "write -o Name=value");
                    continue;
                }
            },
            'J' => ("ProxyJump".to_owned(), value),
            'F' => {
                connection.options.config_file = Some(expand_home(&value));
                continue;
            }
            'i' => ("IdentityFile".to_owned(), value),
            'p' => ("Port".to_owned(), value),
            _ => ("User".to_owned(), value),
        };
        if let Err((what, hint)) = apply(&name, &value, connection) {
            match hint {
                Some(hint) => mistakes.add_hint(span, what, hint),
                None => mistakes.add(span, what),
            }
        }
    }
}

type Wrong = (String, Option<String>);

fn apply(name: &str, value: &str, connection: &mut Connection) -> Result<(), Wrong> {
    let options = &mut connection.options;
    let plain = |what: String| (what, None);
    match name.to_ascii_lowercase().as_str() {
        "proxyjump" => options.proxy_jump = jumps(value).map_err(|error| plain(error.to_string()))?,
        "proxycommand" => options.proxy_jump = jumps_of_command(value)?,
        "userknownhostsfile" if value == "/dev/null" => return Err(unverified()),
        "userknownhostsfile" => options.known_hosts_file = Some(expand_home(value)),
        "connecttimeout" => {
            let seconds = value.parse().ok().filter(|seconds| (1..=3600).contains(seconds));
            let seconds = seconds.ok_or_else(|| {
                plain(format!("invalid `ConnectTimeout={value}`: must be 1 to 3600 seconds"))
            })?;
            options.connect_timeout_secs = Some(seconds);
        }
        "stricthostkeychecking" => match value {
            "yes" | "ask" => options.accept_new_host_keys = false,
            "accept-new" => options.accept_new_host_keys = true,
            "no" | "off" => return Err(unverified()),
            _ => {
                return Err(plain(format!(
                    "invalid `StrictHostKeyChecking={value}`: must be yes or accept-new"
                )));
            }
        },
        "identityfile" => {
            connection.private_key_file.get_or_insert(expand_home(value));
        }
        "port" => {
            let port = value.parse().ok().filter(|port| *port > 0);
            let port = port.ok_or_else(|| plain(format!("invalid port `{value}`")))?;
            connection.port.get_or_insert(port);
        }
        "user" => {
            check_user(value).map_err(|why| plain(format!("the user `{value}` {why}")))?;
            connection.user.get_or_insert(value.to_owned());
        }
        "identitiesonly" => {}
        name if NO_EFFECT.iter().any(|option| option.eq_ignore_ascii_case(name)) => {}
        _ => {
            let hint = match nearest(name, SUPPORTED) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("supported: {}", SUPPORTED.join(", ")),
            };
            return Err((format!("the ssh option `{name}` is not supported"), Some(hint)));
        }
    }
    Ok(())
}

fn unverified() -> Wrong {
    ("host key checking cannot be disabled".to_owned(), Some(KEYS.to_owned()))
}

/// Why a jump host is invalid.
#[derive(Debug, thiserror::Error)]
enum JumpError {
    #[error("the jump host `{jump}` {why}")]
    Host { jump: String, why: &'static str },
    #[error("the user of the jump host `{jump}` {why}")]
    User { jump: String, why: &'static str },
}

/// `[user@]host[:port],…`
fn jumps(text: &str) -> Result<Vec<String>, JumpError> {
    if text == "none" {
        return Ok(Vec::new());
    }
    let jumps: Vec<String> =
        text.split(',').map(|jump| jump.trim().trim_start_matches("ssh://").to_owned()).collect();
    for jump in &jumps {
        let (user, host) =
            jump.rsplit_once('@').map_or((None, jump.as_str()), |(user, host)| (Some(user), host));
        let host_only = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, _)) => address,
            None if host.matches(':').count() == 1 => host.split(':').next().unwrap_or(host),
            None => host,
        };
        super::range::check(host_only).map_err(|why| JumpError::Host { jump: jump.clone(), why })?;
        if let Some(user) = user {
            check_user(user).map_err(|why| JumpError::User { jump: jump.clone(), why })?;
        }
    }
    Ok(jumps)
}

/// `ssh -W %h:%p [-q] [user@]bastion`, an older form of `ProxyJump`.
fn jumps_of_command(command: &str) -> Result<Vec<String>, Wrong> {
    let hint = || Some("write -J [user@]host[:port] or -o ProxyJump=…".to_owned());
    let refuse = || (format!("`ProxyCommand={command}` is not supported"), hint());
    let words = shlex::split(command).ok_or_else(refuse)?;
    let mut words = words.iter().map(String::as_str);
    if words.next() != Some("ssh") {
        return Err(refuse());
    }
    let (mut forwards, mut port, mut user, mut bastion) = (false, None, None, None);
    while let Some(word) = words.next() {
        match word {
            "-W" => forwards = words.next() == Some("%h:%p"),
            "-q" | "-A" | "-T" | "-x" => {}
            "-p" => port = words.next(),
            "-l" => user = words.next(),
            word if !word.starts_with('-') && bastion.is_none() => bastion = Some(word),
            _ => return Err(refuse()),
        }
    }
    let bastion = bastion.filter(|_| forwards).ok_or_else(refuse)?;
    let user = user.map(|user| format!("{user}@")).unwrap_or_default();
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    jumps(&format!("{user}{bastion}{port}")).map_err(|error| (error.to_string(), hint()))
}

/// Checks an account name: it becomes part of commands. The error completes "the user `x` …".
pub(super) fn check_user(user: &str) -> Result<(), &'static str> {
    if user.is_empty() {
        return Err("is empty");
    }
    if user.starts_with('-') {
        return Err("must not begin with `-`");
    }
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | '\\' | '+' | '$');
    if user.len() > 128 || !user.chars().all(fits) {
        return Err("is not a valid account name");
    }
    Ok(())
}

pub(super) fn expand_home(text: &str) -> PathBuf {
    match (text.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => PathBuf::from(text),
    }
}
