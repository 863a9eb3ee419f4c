//! Builds nodes from hosts and their settings.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use apim_protocol::value::{AbsPath, Sha256};

use super::{Cluster, FileReader, Host, HostInput, check, endpoints, keystores, names, own_keys};
use crate::home::{self, Home};
use crate::host_name;
use crate::release::Version;
use crate::role::Role;
use crate::settings::environments::Environment;
use crate::settings::source::Java;
use crate::settings::{Settings, one_of};
use crate::topology::{Node, NodeName};
use crate::yaml::Mistakes;
use crate::{hardening, load_balancer};

impl Cluster {
    /// Builds the cluster; returns `None` on errors. An error that several hosts share is added
    /// once.
    pub fn build(hosts: &[HostInput], files: &dyn FileReader, mistakes: &mut Mistakes) -> Option<Self> {
        let mut found = Mistakes::default();
        let cluster = Builder {
            files,
            mistakes: &mut found,
            notes: Vec::new(),
            is_standalone: is_standalone(hosts),
            opened: keystores::Known::new(),
        }
        .build(hosts);
        let is_clean = found.0.is_empty();
        for mistake in found.0 {
            if !mistakes.0.contains(&mistake) {
                mistakes.0.push(mistake);
            }
        }
        cluster.filter(|_| is_clean)
    }
}

struct Builder<'a> {
    files: &'a dyn FileReader,
    mistakes: &'a mut Mistakes,
    notes: Vec<String>,
    is_standalone: bool,
    opened: keystores::Known,
}

/// Returns whether the cluster is a single all-in-one, which does not share its databases.
fn is_standalone(inputs: &[HostInput]) -> bool {
    let mut roles =
        inputs.iter().flat_map(|input| input.groups.iter().filter_map(|group| Role::of_group(group)));
    roles.next() == Some(Role::AllInOne) && roles.next().is_none()
}

impl Builder<'_> {
    fn build(mut self, inputs: &[HostInput]) -> Option<Cluster> {
        let hosts: Vec<Host> = inputs.iter().map(|input| self.host(input)).collect();
        let mut nodes = Vec::new();
        for role in Role::ALL {
            for (input, host) in inputs.iter().zip(&hosts) {
                if input.groups.iter().any(|group| Role::of_group(group) == Some(role))
                    && let Some(node) = self.node(role, host, &nodes)
                {
                    nodes.push(node);
                }
            }
        }
        name_nodes(&mut nodes);
        check::same_everywhere(&nodes, self.mistakes);
        check::roles(inputs, self.mistakes);
        check::ports(&nodes, self.mistakes);
        check::digests(&nodes, self.mistakes);
        hardening::check::nodes(&nodes, self.mistakes);
        check::releases(&nodes, self.mistakes, &mut self.notes);
        let environments = self.environments(&mut nodes);
        let mut cluster = Cluster {
            hosts,
            nodes,
            environments,
            endpoints: BTreeMap::new(),
            environment_endpoints: BTreeMap::new(),
            virtual_hosts: BTreeMap::new(),
            notes: self.notes,
            warnings: Mistakes::default(),
            balancers: BTreeMap::new(),
            authority: None,
            hooks: BTreeMap::new(),
        };
        endpoints::resolve(&mut cluster, self.mistakes);
        load_balancer::check::look(&mut cluster, self.files, self.mistakes);
        names::one_address_each(&cluster, self.mistakes);
        own_keys::look(&mut cluster, self.mistakes);
        own_keys::fit_secrets(&cluster, self.mistakes);
        Some(cluster)
    }

    fn host(&mut self, input: &HostInput) -> Host {
        let settings = Settings::read(&input.apim, self.mistakes);
        let literal = input.address.parse::<Ipv4Addr>().ok();
        let is_node = input.groups.iter().any(|group| Role::of_group(group).is_some());
        let (peer, span) = match &settings.host_name {
            Some(name) => (name.value.clone(), name.span.clone()),
            // The name of the SSH address resolves in DNS; the inventory name may be unknown
            // outside the inventory.
            None if literal.is_none()
                && !is_ipv6(&input.address)
                && host_name::check(&input.address).is_ok() =>
            {
                (input.address.clone(), input.place.clone())
            }
            None => (input.name.clone(), input.place.clone()),
        };
        if is_node && let Err(error) = host_name::check(&peer) {
            self.mistakes.add_hint(
                &span,
                format!("host `{}`: its name `{peer}` {error}", input.name),
                "set a name for its peers with `apim: {host_name: …}`",
            );
        }
        let address = settings.address.as_ref().map(|at| at.value).or(literal).or_else(|| peer.parse().ok());
        if is_node && address.is_none() && is_ipv6(&input.address) {
            self.mistakes.add_hint(
                &input.place,
                format!(
                    "host `{}`: `{}` is an IPv6 address, but API Manager supports only IPv4",
                    input.name, input.address
                ),
                "set the IPv4 address that its peers use with `apim: {address: …}`",
            );
        }
        let in_group = |name: &str| input.groups.iter().any(|group| group == name);
        Host {
            name: input.name.clone(),
            peer,
            address,
            is_load_balancer: in_group("load_balancer"),
            is_database: in_group("database"),
            settings: Arc::new(settings),
            place: input.place.clone(),
        }
    }

    fn node(&mut self, role: Role, host: &Host, before: &[Node]) -> Option<Node> {
        let settings = Arc::clone(&host.settings);
        let own = settings.role(role);
        let version = match &settings.version {
            Some(version) => Some(version.value.clone()),
            None => {
                self.need(&settings, "version", "such as 4.6.0");
                None
            }
        };
        let digest = self.digest(role, &settings, version.as_ref());
        let java_home = self.java_home(&settings);
        if settings.admin.is_none() {
            self.need(
                &settings,
                "admin.password",
                "the super administrator's password, the same on every node",
            );
        }
        self.need_databases(&settings, host);
        let machine = |node: &&Node| node.role == role && same_machine(node, host);
        let component = match before.iter().find(machine) {
            Some(_) => format!("{}-{}", role.component(), own.port_offset),
            None => role.component().to_owned(),
        };
        let (version, zip, java_home) = (version?, digest?, java_home?);
        let release = version.release(&zip);
        let install_dir = AbsPath::parse(&settings.install_dir);
        let home = install_dir.and_then(|dir| Home::of(&dir, &component, &release, role));
        let unit = home::unit_name(&component);
        let (home, unit) = match (home, unit) {
            (Ok(home), Ok(unit)) => (home, unit),
            (Err(error), _) | (_, Err(error)) => {
                self.mistakes.add(&host.place, format!("host `{}`: {error}", host.name));
                return None;
            }
        };
        let keystores =
            keystores::provided(&settings.keystores, &home, self.files, &mut self.opened, self.mistakes);
        Some(Node {
            name: NodeName(host.name.clone()),
            role,
            host: host.name.clone(),
            peer: host.peer.clone(),
            address: host.address,
            offset: own.port_offset,
            environments: own.environments.iter().map(|name| name.value.clone()).collect(),
            version,
            zip,
            release,
            component,
            home,
            unit,
            java_home,
            settings,
            own,
            keystores,
            place: host.place.clone(),
        })
    }

    /// Returns the digest of the role's zip. A missing digest or source is an error.
    fn digest(&mut self, role: Role, settings: &Settings, version: Option<&Version>) -> Option<Sha256> {
        let digest = version.and_then(|version| settings.distributions.digest(role, version));
        if settings.distributions.source.is_none() {
            let what = "`apim` requires `distributions.source`";
            self.mistakes.add_hint(
                &settings.span,
                what,
                "a URL, or a folder on this machine that contains the zips",
            );
        }
        if let Some(version) = version.filter(|_| digest.is_none()) {
            let what = format!("no SHA-256 for `{}`", version.zip(role));
            let hint = format!(
                "set `distributions: {{sha256: {{{}: …}}}}`; get it with `sha256sum FILE`",
                role.distribution().group()
            );
            self.mistakes.add_hint(&settings.distributions.span, what, hint);
        }
        digest
    }

    /// Adds an error if the nodes have no database server, but need one.
    fn need_databases(&mut self, settings: &Settings, host: &Host) {
        if settings.databases.is_some() || self.is_standalone {
            return;
        }
        let hint =
            "all nodes share two databases on a server; only a single all-in-one can use its own H2 files";
        self.need(settings, "databases", hint);
        if let Some(place) = settings.place_of("databases").filter(|_| settings.embedded) {
            let what = format!(
                "`apim.databases.type`: `h2` is not supported on `{}`: its files cannot be shared",
                host.name
            );
            self.mistakes.add_hint(place, what, hint);
        }
    }

    /// Adds an error for a missing key, unless it is set: its value has its own error then.
    fn need(&mut self, settings: &Settings, key: &str, hint: &str) {
        let top = key.split('.').next().unwrap_or(key);
        if !settings.gives(top) {
            self.mistakes.add_hint(&settings.span, format!("`apim` requires `{key}`"), hint);
        }
    }

    fn java_home(&mut self, settings: &Settings) -> Option<AbsPath> {
        match &settings.java {
            Some(Java::Home(home)) => Some(home.clone()),
            Some(Java::Archive(file)) => {
                let name = file.file_name();
                let stem =
                    [".tar.gz", ".tgz", ".zip"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
                let folder = format!("{}/java/{stem}-{}", settings.install_dir, file.sha256.short());
                match AbsPath::parse(&folder) {
                    Ok(home) => Some(home),
                    Err(error) => {
                        self.mistakes.add(&file.source.span, format!("`apim.java.archive`: {error}"));
                        None
                    }
                }
            }
            None => {
                self.need(
                    settings,
                    "java",
                    "`java: {home: /opt/java}`, or `java: {archive: {source: …, sha256: …}}`",
                );
                None
            }
        }
    }

    fn environments(&mut self, nodes: &mut [Node]) -> Vec<Environment> {
        let source = nodes.iter().find(|node| node.role.is_hub()).or(nodes.first());
        let mut environments = source.map(|node| node.settings.environments.clone()).unwrap_or_default();
        if environments.is_empty() && nodes.iter().any(|node| node.role.is_gateway()) {
            environments.push(Environment::default_one());
        }
        let names: Vec<String> = environments.iter().map(|e| e.name.value.clone()).collect();
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        for node in nodes.iter_mut().filter(|node| node.role.is_gateway()) {
            for name in node.own.environments.iter().filter(|name| !names.contains(&name.value)) {
                self.mistakes.add_hint(
                    &name.span,
                    format!(
                        "gateway `{}` is in environment `{}`, which does not exist",
                        node.host, name.value
                    ),
                    one_of(&name.value, &known),
                );
            }
            self.labels(node, &names);
            if node.environments.is_empty() {
                match (names.as_slice(), node.role) {
                    ([only], _) => node.environments.push(only.clone()),
                    // An all-in-one serves all environments unless it sets `environment`.
                    (all, Role::AllInOne) => node.environments.extend_from_slice(all),
                    _ => self.mistakes.add_hint(
                        &node.place,
                        format!("gateway `{}` sets no environment, but there are {}", node.host, names.len()),
                        format!("set `gateway: {{environment: …}}` to one of: {}", names.join(", ")),
                    ),
                }
            }
        }
        environments
    }
}

impl Builder<'_> {
    /// Checks the environments and labels of one gateway: no duplicates, and no environment as a
    /// label.
    fn labels(&mut self, node: &Node, environments: &[String]) {
        let mut seen: Vec<&str> = Vec::new();
        for name in &node.own.environments {
            if seen.contains(&name.value.as_str()) {
                let what = format!("gateway `{}` lists environment `{}` twice", node.host, name.value);
                self.mistakes.add(&name.span, what);
            }
            seen.push(&name.value);
        }
        for label in &node.own.labels {
            let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if label.value.is_empty() || !label.value.chars().all(fits) {
                let what =
                    format!("invalid label `{}`: only letters, digits, `-` and `_` are allowed", label.value);
                self.mistakes.add_hint(
                    &label.span,
                    what,
                    "use the name of the environment, not its display name",
                );
            } else if seen.contains(&label.value.as_str()) {
                let what = format!("gateway `{}` lists label `{}` twice", node.host, label.value);
                self.mistakes.add_hint(
                    &label.span,
                    what,
                    "the names of its environments are added automatically",
                );
            } else if environments.contains(&label.value) {
                let what = format!(
                    "the label `{}` of gateway `{}` is an environment of this inventory",
                    label.value, node.host
                );
                self.mistakes.add_hint(
                    &label.span,
                    what,
                    "move it to `environment`; `labels` are for environments created in the admin portal",
                );
            }
            seen.push(&label.value);
        }
    }
}

fn is_ipv6(text: &str) -> bool {
    text.trim_matches(['[', ']']).split('%').next().is_some_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

fn same_machine(node: &Node, host: &Host) -> bool {
    node.host == host.name || (node.address.is_some() && node.address == host.address)
}

fn name_nodes(nodes: &mut [Node]) {
    let hosts: Vec<String> = nodes.iter().map(|node| node.host.clone()).collect();
    for node in nodes {
        if hosts.iter().filter(|host| **host == node.host).count() > 1 {
            node.name = NodeName(format!("{}/{}", node.host, node.role.component()));
        }
    }
}
