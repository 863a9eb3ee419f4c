//! The text of the inventory template. It is not serialized, because its comments matter.

use super::{Answers, Database, Shape};
use crate::role::Role;

/// Returns a placeholder for an unknown digest; unique per file, because two files may not have the
/// same digest.
fn no_digest(last: usize) -> String {
    format!("\"{last:064}\"")
}

/// Hosts without an address get one reserved for documentation (RFC 5737).
const UNASSIGNED: &str = "192.0.2";

pub(super) fn inventory(answers: &Answers) -> String {
    let mut out = Out::default();
    head(answers, &mut out);
    out.line(0, "all:");
    out.line(2, "vars:");
    out.line(4, &format!("ansible_user: {}", scalar(&answers.user)));
    out.line(4, "ansible_become: true              # with sudo; set `ansible_become_password: !vault …` if it needs a password");
    out.line(0, "");
    out.line(4, "apim:");
    out.line(6, &format!("version: {}", answers.version));
    distributions(answers, &mut out);
    out.line(6, "java:");
    out.line(
        8,
        &format!(
            "home: {}   # must exist on every host; or use `archive: {{source: …, sha256: …}}`",
            scalar(&answers.java_home)
        ),
    );
    endpoints(answers, &mut out);
    out.line(6, "# Nodes also use this account to log in to each other.");
    out.line(6, &format!("admin: {{username: admin, password: !file {}/admin}}", answers.secrets));
    database(answers, &mut out);
    more(answers, &mut out);
    out.line(0, "");
    hosts(answers, &mut out);
    out.text
}

#[derive(Default)]
struct Out {
    text: String,
}

impl Out {
    fn line(&mut self, indent: usize, text: &str) {
        if !text.is_empty() {
            self.text.push_str(&" ".repeat(indent));
            self.text.push_str(text);
        }
        self.text.push('\n');
    }
}

fn head(answers: &Answers, out: &mut Out) {
    let what = match answers.shape {
        Shape::Single => "One node of each role.",
        Shape::Ha => "Two nodes of each role behind a load balancer.",
        Shape::ProductionSandbox => {
            "Two control planes, and separate gateways for production and sandbox traffic."
        }
        Shape::MultiRegion => "Two control planes and traffic managers, and gateways in two regions.",
        Shape::AllInOne => "Everything in one process on one host.",
    };
    out.line(0, &format!("# {what}"));
    out.line(0, "#");
    for (command, meaning) in [
        ("validate", "shows all errors with their position; contacts no host"),
        ("plan", "shows what apply would change"),
        ("apply", "deploys the cluster; run again to apply changes"),
        ("status", "shows the status of each node"),
    ] {
        out.line(0, &format!("#   apim-deploy {command} FILE   {meaning}"));
    }
    out.line(0, "#");
    out.line(
        0,
        "# It is an Ansible inventory; everything about API Manager is under `apim` (docs/configuration.md).",
    );
    let open = open_ends(answers);
    if !open.is_empty() {
        out.line(0, "#");
        out.line(0, "# Before the first apply:");
        for line in open {
            out.line(0, &format!("#   - {line}"));
        }
    }
}

/// The list of open items: values that the user must fill in.
fn open_ends(answers: &Answers) -> Vec<String> {
    let mut open = Vec::new();
    if answers.distributions().iter().any(|role| digest(answers, *role).is_none()) {
        open.push("replace the zeros with the digests of your zips (`sha256sum FILE`)".to_owned());
    }
    if answers.addresses.len() < answers.names().len() {
        open.push(format!("replace the placeholder addresses {UNASSIGNED}.… with those of your hosts"));
    }
    if answers.database != Database::Files {
        let what = "they contain generated passwords: set these for the database users, or enter the users' existing passwords";
        open.push(format!("check {0}/apim_db and {0}/shared_db: {what}", answers.secrets));
        open.push("enter the JDBC driver's file and digest in `driver`".to_owned());
    }
    open
}

fn digest(answers: &Answers, role: Role) -> Option<&str> {
    answers.digests.iter().find(|(known, _)| *known == role).map(|(_, digest)| digest.as_str())
}

fn distributions(answers: &Answers, out: &mut Out) {
    out.line(0, "");
    out.line(6, "distributions:");
    out.line(
        8,
        "# A folder (relative to this file) or a URL; `{version}` is replaced, the zip's name is appended.",
    );
    out.line(8, &format!("source: {}", scalar(&answers.source)));
    out.line(8, "sha256:");
    for (at, role) in answers.distributions().into_iter().enumerate() {
        let digest = digest(answers, role).map_or_else(|| no_digest(at), str::to_owned);
        let zip = format!("{}-{}.zip", role.zip_stem(), answers.version);
        let key = format!("{}:", role.group());
        out.line(10, &format!("{key:<16} {digest}   # {zip}"));
    }
    out.line(0, "");
}

fn endpoints(answers: &Answers, out: &mut Out) {
    if !answers.shape.is_balanced() {
        return;
    }
    let domain = &answers.domain;
    let has = |role| answers.shape.hosts().iter().any(|(known, ..)| *known == role);
    out.line(0, "");
    out.line(6, "# The load balancer's names for each role; clients and nodes use them. The default port is 443 (`name:port` sets another).");
    out.line(6, "endpoints:");
    out.line(8, &format!("control_plane: api.{domain}"));
    if has(Role::KeyManager) {
        out.line(8, &format!("key_manager: km.{domain}"));
    }
    if has(Role::TrafficManager) {
        out.line(8, &format!("traffic_manager: tm.{domain}"));
    }
    let environments = environments(answers.shape);
    if environments.is_empty() {
        out.line(8, &format!("gateway: gw.{domain}"));
    } else {
        out.line(0, "");
        out.line(
            6,
            "# APIs are deployed to environments; an environment's name is the label of its gateways.",
        );
        out.line(6, "environments:");
        for (name, kind) in environments {
            out.line(8, &format!("- name: {name}"));
            out.line(10, &format!("type: {kind}"));
            out.line(10, &format!("endpoint: {}.gw.{domain}", name.to_lowercase()));
        }
    }
    out.line(0, "");
}

const fn environments(shape: Shape) -> &'static [(&'static str, &'static str)] {
    match shape {
        Shape::ProductionSandbox => &[("Production", "production"), ("Sandbox", "sandbox")],
        Shape::MultiRegion => &[("Region1", "hybrid"), ("Region2", "hybrid")],
        Shape::Single | Shape::Ha | Shape::AllInOne => &[],
    }
}

fn database(answers: &Answers, out: &mut Out) {
    let (kind, driver) = match answers.database {
        Database::Files => {
            out.line(6, "# No `databases`: the node stores its data in local H2 files, for evaluation only.");
            return;
        }
        Database::Mysql => ("mysql", "mysql-connector-j-8.4.0.jar"),
        Database::Postgresql => ("postgresql", "postgresql-42.7.4.jar"),
    };
    out.line(6, "databases:");
    out.line(8, &format!("type: {kind}"));
    out.line(8, &format!("host: {}", scalar(&answers.database_host)));
    out.line(8, "driver:");
    out.line(10, &format!("source: distributions/{driver}   # a path relative to this file, or a URL"));
    out.line(10, &format!("sha256: {}", no_digest(9)));
    for (name, user) in [("apim_db", "apimadmin"), ("shared_db", "sharedadmin")] {
        let secret = format!("!file {}/{name}", answers.secrets);
        out.line(8, &format!("{name}: {{name: {name}, username: {user}, password: {secret}}}"));
    }
}

fn more(answers: &Answers, out: &mut Out) {
    out.line(0, "");
    out.line(6, "# Without `keystores` the shipped ones are used. Their private key is public: for evaluation only (docs/keystores.md).");
    if answers.shape != Shape::AllInOne {
        out.line(6, "# Per role, here, in a group's vars or at one host:");
        out.line(6, "gateway: {heap: 2g}");
        out.line(6, "control_plane: {heap: 2g}");
    }
    out.line(6, "# Raw keys of deployment.toml, merged last; also per role:");
    out.line(6, "# config: {transport: {https: {properties: {maxHttpHeaderSize: 32768}}}}");
}

fn hosts(answers: &Answers, out: &mut Out) {
    let names = answers.names();
    let address = |at: usize| {
        let given = answers.addresses.get(at).cloned();
        given.unwrap_or_else(|| format!("{UNASSIGNED}.{}", 11 + at))
    };
    let host = |at: usize| {
        let name = names.get(at).map(String::as_str).unwrap_or_default();
        format!("{name}: {{ansible_host: {}}}", scalar(&address(at)))
    };
    let of_shape = answers.shape.hosts();
    out.line(2, "children:");
    let mut done: Vec<Role> = Vec::new();
    for (role, ..) in of_shape {
        if done.contains(role) {
            continue;
        }
        done.push(*role);
        out.line(4, &format!("{}:", role.group()));
        let all: Vec<(usize, Option<&str>)> = of_shape
            .iter()
            .enumerate()
            .filter(|(_, (known, ..))| known == role)
            .map(|(at, (_, environment, _))| (at, *environment))
            .collect();
        let mut environments: Vec<&str> = all.iter().filter_map(|(_, environment)| *environment).collect();
        environments.dedup();
        if environments.is_empty() {
            out.line(6, "hosts:");
            for (at, _) in all {
                out.line(8, &host(at));
            }
            continue;
        }
        out.line(6, "children:");
        for environment in environments {
            out.line(8, &format!("gateway_{}:", environment.to_lowercase()));
            out.line(10, "hosts:");
            for (at, _) in all.iter().filter(|(_, known)| *known == Some(environment)) {
                out.line(12, &host(*at));
            }
            out.line(10, "vars:");
            out.line(12, &format!("apim: {{gateway: {{environment: {environment}}}}}"));
        }
    }
    if answers.shape.is_balanced() {
        out.line(4, "# Has no nodes. The names above resolve to its address in /etc/hosts.");
        out.line(4, "load_balancer:");
        out.line(6, "hosts:");
        out.line(8, &host(of_shape.len()));
    }
}

/// Returns a text as a YAML scalar, quoted if necessary.
pub(super) fn scalar(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/' || c == '.')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+@".contains(c) || c == ':')
        && !text.ends_with(':')
        && text.parse::<f64>().is_err()
        && !["true", "false", "yes", "no", "on", "off", "null"].contains(&text.to_lowercase().as_str());
    if plain { text.to_owned() } else { format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")) }
}
