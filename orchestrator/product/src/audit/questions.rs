//! Questions to hosts for the audit: more, and more expensive, than those of the preflight.

use apim_protocol::query::examine::{Examine, Question};
use apim_protocol::value::AbsPath;

use crate::cluster::Cluster;
use crate::hardening;
use crate::preflight::listeners;
use crate::topology::Node;

/// Texts in `deployment.toml` that show the use of shipped defaults, and their meaning. None is a
/// secret: all are public.
pub(super) const SHIPPED: [(&str, &str); 4] = [
    ("file_name = \"wso2carbon.jks\"", "the shipped keystore (wso2carbon.jks)"),
    ("password = \"wso2carbon\"", "the shipped keystores' password"),
    ("password = \"admin\"", "the password `admin`"),
    ("type = \"h2\"", "an H2 database"),
];

/// Unit properties to read, besides those of the sandbox.
pub(super) const LIMIT: &str = "LimitNOFILE";
pub(super) const USER: &str = "User";
pub(super) const LOADED: &str = "LoadState";

/// If this is on, clients behind NAT lose connections. Removed in Linux 4.12.
pub(super) const RECYCLE: &str = "net.ipv4.tcp_tw_recycle";

pub(super) fn setting(key: &str) -> String {
    format!("/proc/sys/{}", key.replace('.', "/"))
}

/// Returns the questions to `host`.
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
    let desired = hardening::sysctl(cluster, host);
    for key in desired.keys().map(String::as_str).chain([RECYCLE]) {
        if let Ok(path) = AbsPath::parse(&setting(key)) {
            add(Question::Text(path));
        }
    }
    add(Question::Clock);
    Examine { questions }
}
