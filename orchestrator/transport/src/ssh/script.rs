//! The only shell script of this program: starts the agent on a host, and installs it first if it
//! is missing.
//!
//! The text is constant. Variable parts (paths, account, digests) are checked for shell
//! metacharacters and passed as arguments. The script contains neither single quotes nor `!`, so
//! that it can be single-quoted in any login shell.

use apim_protocol::value::AbsPath;

use crate::host::Connection;

use super::agent_binary::AgentBinaries;

/// Sets the variables with the agent's path. Arguments: state folder or empty, root folder or
/// empty, marker, `architecture:digest …`. The variable `u` must contain the user id that the agent
/// will run as.
const LOCATE: &str = "s=$1; r=$2; k=$3; l=$4; m=$(uname -m); h=; \
    if test -z \"$s\"; then \
    if test -n \"$r\"; then s=$r/var/lib/apim-deploy; \
    elif test \"$u\" = 0; then s=/var/lib/apim-deploy; \
    else s=${XDG_STATE_HOME:-$HOME/.local/state}/apim-deploy; fi; fi; \
    for a in $l; do case $a in $m:*) h=${a#*:};; esac; done; \
    d=$s/agent/$h; p=$d/apim-agent; \
    set -- serve --state \"$s\"; \
    if test -n \"$r\"; then set -- \"$@\" --root \"$r\"; fi; ";

/// Starts the agent. If it is missing: prints the architecture, reads `SIZE DIGEST` and the bytes,
/// installs and starts it.
///
/// The temporary file has a unique name and is renamed, so that concurrent runs do not conflict.
const START: &str = "test -n \"$h\" && test -x \"$p\" && exec \"$p\" \"$@\"; \
    echo \"$k missing $m\"; \
    read -r n w || exit 97; \
    umask 022; mkdir -p \"$d\" && test -O \"$d\" || exit 95; \
    t=$d/.apim-agent.$$.$k; \
    (umask 077; head -c \"$n\" >\"$t\") || { rm -f \"$t\"; exit 98; }; \
    chmod 700 \"$t\"; \
    g=$(sha256sum <\"$t\" 2>/dev/null || \"$t\" --version); \
    case $g in *$w*) ;; *) rm -f \"$t\"; exit 96;; esac; \
    sync \"$t\" 2>/dev/null; \
    chmod 755 \"$t\" && mv -f \"$t\" \"$p\" || { rm -f \"$t\"; exit 98; }; \
    exec \"$p\" \"$@\"";

/// Exit codes of the script.
pub(super) mod exit {
    /// The agent's folder cannot be created, or belongs to another account.
    pub(crate) const FOLDER: u32 = 95;
    /// The received bytes have a different digest.
    pub(crate) const DIGEST: u32 = 96;
    /// The input ended before the executable was sent.
    pub(crate) const NOTHING_SENT: u32 = 97;
    /// The executable cannot be written.
    pub(crate) const WRITE: u32 = 98;
}

/// A value that is not safe on a command line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid characters in {what} `{text}`")]
pub struct Unfit {
    what: &'static str,
    text: String,
}

/// The command that starts the agent, and the markers in its output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StartCommand {
    /// Command line for the remote shell.
    pub(super) text: String,
    /// Prefix of the script's own lines on standard output.
    pub(super) mark: String,
    /// The prompt of sudo, if it may ask for a password.
    pub(super) sudo_prompt: Option<String>,
}

/// Returns the command that starts the agent for a login as `user`.
pub(super) fn start_command(
    connection: &Connection,
    user: &str,
    agents: &AgentBinaries,
    mark: &str,
) -> Result<StartCommand, Unfit> {
    let path = |path: &Option<AbsPath>| {
        path.as_ref().map_or(Ok(String::new()), |path| fit("the folder", path.as_str(), "/-_.+@:,="))
    };
    let (state, root) = (path(&connection.agent_state)?, path(&connection.agent_root)?);
    let list = agents
        .iter()
        .map(|(architecture, binary)| format!("{architecture}:{}", binary.folder()))
        .collect::<Vec<_>>();
    let arguments = format!("'{state}' '{root}' '{mark}' '{}'", list.join(" "));
    let install = format!("u=$(id -u); {LOCATE}{START}");
    let account = connection.escalate.as_ref().map(|escalate| match escalate.user.as_str() {
        "" => "root",
        account => account,
    });
    let password = connection.escalate.as_ref().and_then(|escalate| escalate.password.as_ref());
    let Some(account) = account.filter(|account| *account != user) else {
        let text = format!("exec /bin/sh -c '{install}' apim-deploy {arguments}");
        return Ok(StartCommand { text, mark: mark.to_owned(), sudo_prompt: None });
    };
    let account = fit("the account", account, "-_.")?;
    let (ask, sudo_prompt) = match password {
        Some(_) => {
            let prompt = format!("{mark}:password:");
            (format!("-S -p {prompt}"), Some(prompt))
        }
        None => ("-n".to_owned(), None),
    };
    let sudo = format!("sudo {ask} -H -u {account} --");
    let outer = if account == "root" {
        // If root's agent is already installed, sudo runs only the agent: sudoers need not allow
        // more.
        format!(
            "i=$1; shift; u=0; {LOCATE}test -n \"$h\" && test -x \"$p\" && exec {sudo} \"$p\" \"$@\"; \
             exec {sudo} /bin/sh -c \"$i\" apim-deploy \"$s\" \"$r\" \"$k\" \"$l\""
        )
    } else {
        format!("i=$1; shift; exec {sudo} /bin/sh -c \"$i\" apim-deploy \"$@\"")
    };
    let text = format!("exec /bin/sh -c '{outer}' apim-deploy '{install}' {arguments}");
    Ok(StartCommand { text, mark: mark.to_owned(), sudo_prompt })
}

fn fit(what: &'static str, text: &str, also: &str) -> Result<String, Unfit> {
    let fits = |c: char| c.is_ascii_alphanumeric() || also.contains(c);
    if text.starts_with('-') || text.len() > 1000 || !text.chars().all(fits) {
        return Err(Unfit { what, text: text.escape_debug().take(200).collect() });
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use apim_protocol::value::Secret;

    use super::*;
    use crate::host::Become;

    fn start(connection: &Connection) -> Result<StartCommand, Unfit> {
        start_command(connection, "deploy", &AgentBinaries::default(), "m4rk")
    }

    #[test]
    fn script_can_be_single_quoted_in_any_shell() {
        assert!(!LOCATE.contains(['\'', '!', '\n']) && !START.contains(['\'', '!', '\n']));
    }

    #[test]
    fn shell_metacharacters_are_rejected() {
        let connection = |user: &str| Connection {
            escalate: Some(Become { user: user.into(), password: None }),
            ..Connection::default()
        };
        for evil in ["x; id", "$(id)", "-i", "a'b", "a\nb", "`id`"] {
            assert!(start(&connection(evil)).is_err(), "{evil}");
            let state = AbsPath::parse(&format!("/s/{}", evil.replace('\n', " "))).unwrap();
            let fits = start(&Connection { agent_state: Some(state), ..Connection::default() }).is_ok();
            assert_eq!(fits, evil == "-i", "{evil}");
        }
        assert!(start(&connection("wso2_admin")).is_ok());
    }

    #[test]
    fn password_is_not_part_of_the_command() {
        let escalate = Become { user: "root".into(), password: Some(Secret::new("hunter2")) };
        let command = start(&Connection { escalate: Some(escalate), ..Connection::default() }).unwrap();
        assert!(command.text.contains("sudo -S -p m4rk:password: -H -u root --"));
        assert!(!command.text.contains("hunter2"));
        assert_eq!(command.sudo_prompt.as_deref(), Some("m4rk:password:"));
    }

    #[test]
    fn login_as_target_account_needs_no_sudo() {
        let escalate = Some(Become { user: "deploy".into(), password: None });
        assert!(!start(&Connection { escalate, ..Connection::default() }).unwrap().text.contains("sudo"));
        let escalate = Some(Become { user: "app".into(), password: None });
        let text = start(&Connection { escalate, ..Connection::default() }).unwrap().text;
        assert!(text.contains("sudo -n -H -u app --"), "{text}");
    }
}
