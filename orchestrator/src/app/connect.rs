//! Builds the connector from the inventory. Unknown host keys are shown before anything runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use apim_protocol::value::Sha256;

use crate::app::exit::{Exit, Kind};
use crate::app::options::Reach;
use crate::report::style::count;
use crate::report::table::{Paint, Table};
use crate::report::{Style, remark};
use apim_documents::inventory::Inventory;
use apim_rollout::plan::PlanDraft;
use apim_rollout::plan::model::LOCALHOST;
use apim_rollout::plan::model::Plan;
use apim_transport::host::{Become, Connection, ConnectionKind, HostName};
use apim_transport::ssh::{
    self, AgentBinaries, AgentBinary, AskOnTerminal, AskPassphrase, Connector, NeverAsk, UnknownKey,
};

/// Privileges of the agent when no plan sets them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rights {
    /// Escalated like the built-in playbooks, unless the inventory disables it.
    Usual,
    /// Escalated, overriding the inventory.
    Escalated,
    /// Those of the login account, overriding the inventory.
    Login,
}

/// Returns the connector for the hosts of a plan.
pub(crate) fn connector(
    inventory: &Inventory,
    drafted: &PlanDraft,
    reach: &Reach,
) -> Result<Connector, Exit> {
    let mut hosts = connections(inventory);
    if drafted.uses_localhost() {
        hosts.entry(HostName(LOCALHOST.to_owned())).or_insert_with(|| Connection {
            kind: ConnectionKind::Local,
            address: LOCALHOST.to_owned(),
            ..Connection::default()
        });
    }
    for (name, connection) in &mut hosts {
        if drafted.escalates().contains(name) {
            escalate(connection);
        }
    }
    connecting(hosts, reach)
}

/// Returns the connector for queries, which have no plan that sets the privileges.
pub(crate) fn connector_with(
    inventory: &Inventory,
    rights: Rights,
    reach: &Reach,
) -> Result<Connector, Exit> {
    let mut hosts = connections(inventory);
    for connection in hosts.values_mut() {
        match rights {
            Rights::Usual if connection.become_setting == Some(false) => {}
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
    let ask: Arc<dyn AskPassphrase> = if is_person { Arc::new(AskOnTerminal) } else { Arc::new(NeverAsk) };
    let mut settings = ssh::Settings::new(agents(reach.agent_dir.as_deref())?, ask);
    settings.accept_new_host_keys = reach.accept_new_host_keys;
    Ok(Connector::new(hosts, settings))
}

/// Returns the digests of the agent executables, by architecture.
pub(crate) fn agent_builds(reach: &Reach) -> Result<BTreeMap<String, Sha256>, Exit> {
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
        let text = format!("`{}` contains no `apim-agent-<architecture>`", folder.display());
        return Err(Exit::new(Kind::Usage, text));
    }
    Ok(found)
}

/// Returns the hosts that a plan connects to.
pub(crate) fn hosts_of(plan: &Plan) -> Vec<HostName> {
    let mut hosts: Vec<HostName> = Vec::new();
    let lanes = plan.lanes().map(|lane| &lane.host);
    let balancers = plan.rotations.values().flat_map(|rotation| &rotation.balancers).map(|one| &one.host);
    for host in lanes.chain(balancers).cloned().chain(plan.hosts_of_hooks()) {
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts
}

/// Fetches the keys of unknown hosts. The error shows all of them in one table.
pub(crate) async fn know_hosts(connector: &Connector, hosts: &[HostName], quiet: bool) -> Result<(), Exit> {
    let unknown = connector.hosts_without_known_key(hosts);
    if unknown > 0 && !quiet {
        remark(&format!("fetching the host keys of {}", count(unknown, "unknown host")));
    }
    let unknown = connector.survey_host_keys(hosts).await;
    if unknown.is_empty() {
        connector.unlock_keys(hosts).await;
        return Ok(());
    }
    let text = format!("unknown host keys; nothing was run\n\n{}", table(&unknown));
    let exit = Exit::new(Kind::Failed, text);
    Err(exit
        .hint("compare the fingerprints with the output of `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on each host")
        .hint("then re-run with --accept-new-host-keys, or pin the keys in the inventory with `apim_host_keys`"))
}

fn table(unknown: &[UnknownKey]) -> String {
    let mut table = Table::new(Style::plain(), &["host", "name", "kind", "fingerprint"]);
    for UnknownKey { peer, name, algorithm, fingerprint, .. } in unknown {
        table.row([peer, name, algorithm, fingerprint].map(|text| (text.clone(), Paint::Plain)));
    }
    table.text()
}
