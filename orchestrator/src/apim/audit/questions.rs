//! What hosts are asked for the audit; more, and dearer, than what a preflight asks.

use apim_protocol::query::examine::{Examine, Question};
use apim_protocol::value::AbsPath;

use crate::apim::cluster::Cluster;
use crate::apim::hardening;
use crate::apim::preflight::listeners;
use crate::apim::topology::Node;

/// Texts in `deployment.toml` that say that something shipped is in use, and what that is. None is a secret: everybody knows them.
pub(super) const SHIPPED: [(&str, &str); 4] = [
    ("file_name = \"wso2carbon.jks\"", "the shipped keystore (wso2carbon.jks)"),
    ("password = \"wso2carbon\"", "the shipped keystores' password"),
    ("password = \"admin\"", "the password `admin`"),
    ("type = \"h2\"", "an H2 database"),
];

/// What is asked of systemd besides the sandbox.
pub(super) const LIMIT: &str = "LimitNOFILE";
pub(super) const USER: &str = "User";
pub(super) const LOADED: &str = "LoadState";

/// Clients behind NAT lose connections where this is on; Linux 4.12 took it away.
pub(super) const RECYCLE: &str = "net.ipv4.tcp_tw_recycle";

pub(super) fn setting(key: &str) -> String {
    format!("/proc/sys/{}", key.replace('.', "/"))
}

/// Returns what `host` is asked.
#[must_use]
pub fn examine(cluster: &Cluster, host: &str) -> Examine {
    let nodes: Vec<&Node> = cluster.nodes_on(host).collect();
    let mut questions = vec![Question::Agent];
    questions.push(listeners(&nodes));
    let mut add = |question: Question| {
        if !questions.contains(&question) {
            questions.push(question);
        }
    };
    for node in &nodes {
        add(Question::Account(node.settings.user.clone()));
        for path in [&node.home.release, &node.home.deployment_toml, &node.home.security] {
            add(Question::Entry { path: path.clone(), digest: false });
        }
        add(Question::Holds {
            path: node.home.deployment_toml.clone(),
            texts: SHIPPED.iter().map(|(text, _)| (*text).to_owned()).collect(),
        });
        let own = [LIMIT, USER, LOADED].into_iter();
        let sandbox = hardening::SANDBOX_PROPERTIES.iter().map(|(property, _)| *property);
        add(Question::Unit {
            unit: node.unit.clone(),
            properties: own.chain(sandbox).map(str::to_owned).collect(),
        });
    }
    let wished = hardening::sysctl(cluster, host);
    for key in wished.keys().map(String::as_str).chain([RECYCLE]) {
        if let Ok(path) = AbsPath::parse(&setting(key)) {
            add(Question::Text(path));
        }
    }
    add(Question::Clock);
    Examine { questions }
}
