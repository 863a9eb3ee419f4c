//! From the inventory's connections to what connects; host keys that nobody vouched for are shown before anything runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use apim_protocol::value::Sha256;

use super::exit::{Exit, Kind};
use super::options::Reach;
use crate::inventory::Inventory;
use crate::inventory::host::{Become, Connection, ConnectionKind, HostName};
use crate::plan::Drafted;
use crate::plan::build::LOCALHOST;
use crate::report::style::count;
use crate::report::table::{Paint, Table};
use crate::report::{Style, remark};
use crate::ssh::{
    self, AgentBinaries, AgentBinary, AskNobody, AskOnTerminal, AskPassphrase, Connector, UnknownKey,
};

/// With whose rights the agent works where no plan says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rights {
    /// As the built-in playbooks ask: with privilege, unless the inventory says otherwise.
    Usual,
    /// With privilege, whatever the inventory says.
    Escalated,
    /// With those of the account that logs in, whatever the inventory says.
    Login,
}

/// Returns what connects to the hosts of the inventory, for a plan.
pub(super) fn connector(inventory: &Inventory, drafted: &Drafted, reach: &Reach) -> Result<Connector, Exit> {
    let mut hosts = connections(inventory);
    if drafted.uses_localhost() {
        hosts.entry(HostName(LOCALHOST.to_owned())).or_insert_with(|| Connection {
            kind: ConnectionKind::Local,
            address: LOCALHOST.to_owned(),
            ..Connection::default()
        });
    }
    for (name, connection) in &mut hosts {
        if drafted.escalates.contains(name) {
            escalate(connection);
        }
    }
    connecting(hosts, reach)
}

/// Returns what connects to the hosts of the inventory, where no plan says with which rights.
pub(super) fn connector_with(
    inventory: &Inventory,
    rights: Rights,
    reach: &Reach,
) -> Result<Connector, Exit> {
    let mut hosts = connections(inventory);
    for connection in hosts.values_mut() {
        match rights {
            Rights::Usual if connection.become_wish == Some(false) => {}
            Rights::Usual | Rights::Escalated => escalate(connection),
            Rights::Login => connection.escalate = None,
        }
    }
    connecting(hosts, reach)
}

fn connections(inventory: &Inventory) -> BTreeMap<HostName, Connection> {
    inventory.hosts.iter().map(|host| (host.name.clone(), host.connection.clone())).collect()
}

fn escalate(connection: &mut Connection) {
    if connection.escalate.is_none() {
        let Become { user, password } = connection.become_with.clone();
        let user = if user.is_empty() { "root".to_owned() } else { user };
        connection.escalate = Some(Become { user, password });
    }
}

fn connecting(mut hosts: BTreeMap<HostName, Connection>, reach: &Reach) -> Result<Connector, Exit> {
    for connection in hosts.values_mut() {
        if let Some(file) = &reach.known_hosts {
            connection.options.known_hosts_file = Some(file.clone());
        }
    }
    let is_person = std::io::IsTerminal::is_terminal(&std::io::stdin());
    let ask: Arc<dyn AskPassphrase> = if is_person { Arc::new(AskOnTerminal) } else { Arc::new(AskNobody) };
    let mut settings = ssh::Settings::new(agents(reach.agent_dir.as_deref())?, ask);
    settings.accept_new_host_keys = reach.accept_new_host_keys;
    Ok(Connector::new(hosts, settings))
}

/// Returns the digests of the agent's executables, by architecture.
pub(super) fn agent_builds(reach: &Reach) -> Result<BTreeMap<String, Sha256>, Exit> {
    let agents = agents(reach.agent_dir.as_deref())?;
    Ok(agents.iter().map(|(architecture, binary)| (architecture.to_owned(), binary.sha256)).collect())
}

fn agents(folder: Option<&Path>) -> Result<AgentBinaries, Exit> {
    let Some(folder) = folder else {
        return ssh::locate().map_err(|error| {
            Exit::from_error(Kind::Usage, &error).hint(ssh::agent_binary::NoAgentBinary::HINT)
        });
    };
    let entries = std::fs::read_dir(folder)
        .map_err(|error| Exit::new(Kind::Usage, format!("cannot read `{}`: {error}", folder.display())))?;
    let found = entries.filter_map(Result::ok).filter_map(|entry| {
        let name = entry.file_name();
        let architecture = name.to_str()?.strip_prefix("apim-agent-")?.to_owned();
        Some((architecture, AgentBinary::read(&entry.path()).ok()?))
    });
    let found = AgentBinaries::new(found);
    if found.iter().next().is_none() {
        let text = format!("`{}` holds no `apim-agent-<architecture>`", folder.display());
        return Err(Exit::new(Kind::Usage, text));
    }
    Ok(found)
}

/// Asks the hosts that nothing vouches for yet for their keys; an error shows them all in one table.
pub(super) async fn know_hosts(connector: &Connector, hosts: &[HostName], quiet: bool) -> Result<(), Exit> {
    let strangers = connector.without_known_key(hosts);
    if strangers > 0 && !quiet {
        let whose = if strangers == 1 { "its key" } else { "their keys" };
        remark(&format!("asking {} for {whose}", count(strangers, "host")));
    }
    let unknown = connector.survey_host_keys(hosts).await;
    if unknown.is_empty() {
        connector.unlock_keys(hosts).await;
        return Ok(());
    }
    let text = format!("these host keys are not known yet; nothing was run\n\n{}", table(&unknown));
    let exit = Exit::new(Kind::Failed, text);
    Err(exit
        .hint("compare the fingerprints with what `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` prints on each host")
        .hint("then run again with --accept-new-host-keys, or pin the keys in the inventory with `apim_host_keys`"))
}

fn table(unknown: &[UnknownKey]) -> String {
    let mut table = Table::new(Style::plain(), &["host", "name", "kind", "fingerprint"]);
    for UnknownKey { peer, name, algorithm, fingerprint, .. } in unknown {
        table.row([peer, name, algorithm, fingerprint].map(|text| (text.clone(), Paint::Plain)));
    }
    table.text()
}
