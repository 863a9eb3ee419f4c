//! Rotation state of nodes, read from the server files that apim-deploy writes on the load
//! balancers.
//!
//! External load balancers are not queried; their answer would be a [`Place`] as well.

use std::collections::BTreeMap;

use apim_protocol::observation::{Answer, Observation};
use apim_protocol::outcome::Outcome;
use apim_protocol::query::Query;
use apim_protocol::query::examine::{Examine, Question};
use apim_protocol::value::Sha256;
use serde_json::{Value, json};

use crate::report::table::Paint;
use apim_product::Cluster;
use apim_product::NodeName;
use apim_product::load_balancer::{self, ServerFile};
use apim_transport::host::HostName;

/// Rotation state of a node at one load balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// In rotation.
    In,
    /// Out of rotation.
    Out,
    /// The load balancer did not answer, or its file was modified outside apim-deploy.
    Unknown,
}

impl Place {
    const fn word(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
            Self::Unknown => "unknown",
        }
    }
}

/// Rotation state of a node, by load balancer host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Serving(pub(crate) BTreeMap<String, Place>);

impl Serving {
    fn at(&self, place: Place) -> Vec<&str> {
        self.0.iter().filter(|(_, one)| **one == place).map(|(host, _)| host.as_str()).collect()
    }

    /// Returns the table cell: `yes`, `no (lb1)`, `? (lb1)` if unknown, `-` without a load
    /// balancer.
    pub(crate) fn cell(&self) -> (String, Paint) {
        let (out, unknown) = (self.at(Place::Out), self.at(Place::Unknown));
        let mut words = Vec::new();
        if !out.is_empty() {
            words.push(format!("no ({})", out.join(", ")));
        }
        if !unknown.is_empty() {
            words.push(format!("? ({})", unknown.join(", ")));
        }
        match (words.is_empty(), self.0.is_empty()) {
            (true, true) => ("-".to_owned(), Paint::Plain),
            (true, false) => ("yes".to_owned(), Paint::Good),
            (false, _) => (words.join("\n"), if out.is_empty() { Paint::Plain } else { Paint::Change }),
        }
    }

    /// Returns the text for a line, unless the node is in rotation everywhere.
    pub(crate) fn words(&self) -> Option<String> {
        let (out, unknown) = (self.at(Place::Out), self.at(Place::Unknown));
        let out = (!out.is_empty()).then(|| format!("out of rotation ({})", out.join(", ")));
        let unknown = (!unknown.is_empty()).then(|| format!("rotation unknown ({})", unknown.join(", ")));
        let words: Vec<String> = out.into_iter().chain(unknown).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }

    /// Returns a JSON object: `in`, `out` or `unknown`, by load balancer host.
    pub(crate) fn json(&self) -> Value {
        self.0.iter().map(|(host, place)| (host.clone(), json!(place.word()))).collect()
    }
}

/// The load balancers to query, with their server files.
pub(crate) struct Balancers(BTreeMap<HostName, Vec<(NodeName, ServerFile)>>);

impl Balancers {
    /// Returns the load balancers of the nodes that `is_shown` accepts.
    pub(crate) fn of(cluster: &Cluster, is_shown: impl Fn(&NodeName) -> bool) -> Self {
        let mut all: BTreeMap<HostName, Vec<(NodeName, ServerFile)>> = BTreeMap::new();
        for node in cluster.nodes().iter().filter(|node| is_shown(&node.name)) {
            // Errors were reported when the cluster was built.
            for file in load_balancer::server_files(cluster, node).unwrap_or_default() {
                all.entry(HostName(file.host.clone())).or_default().push((node.name.clone(), file));
            }
        }
        Self(all)
    }

    /// Returns the hosts of the load balancers.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = &HostName> {
        self.0.keys()
    }

    /// Returns the query for `host`.
    pub(crate) fn question(&self, host: &HostName) -> Option<Query> {
        let lines = self.0.get(host)?;
        let entry = |(_, file): &(_, ServerFile)| Question::Entry { path: file.path.clone(), digest: true };
        Some(Query::Examine(Examine { questions: lines.iter().map(entry).collect() }))
    }

    /// Returns the rotation state of `node`; `answer` returns the answer of a host, or `None`.
    pub(crate) fn serving<'a>(
        &self,
        node: &NodeName,
        answer: impl Fn(&HostName) -> Option<&'a Outcome>,
    ) -> Serving {
        let mut serving = Serving::default();
        for (host, lines) in &self.0 {
            let answers = match answer(host) {
                Some(Outcome::Observed(seen)) => Some(seen),
                _ => None,
            };
            let own = lines.iter().enumerate().filter(|(_, (name, _))| name == node);
            let places = own.filter_map(|(at, (_, file))| place(answers.map(AsRef::as_ref), at, file));
            // Out in one file means out; without a known state the node is not in.
            let worst = places.reduce(|one, other| match (one, other) {
                (Place::Out, _) | (_, Place::Out) => Place::Out,
                _ => one.max(other),
            });
            if let Some(worst) = worst {
                serving.0.insert(host.0.clone(), worst);
            }
        }
        serving
    }
}

/// Returns the state in `file` from the answer at index `at`; `None` if the file does not exist.
fn place(seen: Option<&Observation>, at: usize, file: &ServerFile) -> Option<Place> {
    let Some(Answer::Entry(found)) = seen.and_then(|seen| seen.answers.get(at)) else {
        return Some(Place::Unknown);
    };
    let found = found.as_ref()?;
    let is =
        |text: &str| found.sha256.as_ref().is_some_and(|is| *is == Sha256::of(text.as_bytes()).to_string());
    Some(match (is(&file.desired), is(&file.drained)) {
        (true, _) => Place::In,
        (false, true) => Place::Out,
        (false, false) => Place::Unknown,
    })
}

#[cfg(test)]
mod tests {
    use apim_protocol::observation::Entry;

    use super::*;
    use apim_product::testing;

    fn entry(text: Option<&str>) -> Answer {
        Answer::Entry(text.map(|text| Entry {
            kind: "file".into(),
            mode: 0o644,
            owner: "root".into(),
            group: "root".into(),
            sha256: Some(Sha256::of(text.as_bytes()).to_string()),
        }))
    }

    /// Returns the state of the first node for the given file contents; `None` is a missing answer.
    fn serving(text: &dyn Fn(&ServerFile) -> Option<Option<String>>) -> Serving {
        let balanced = "  endpoints: {gateway: gw.x}\n  keystores: {mode: issued, passphrase: long-enough-passphrase, password: long-enough}\n  load_balancer: {kind: nginx}\n";
        let hosts = testing::hosts(&["gw-1 gateway", "gw-2 gateway", "cp control_plane", "lb load_balancer"]);
        let cluster = testing::cluster(&format!("{}{hosts}", testing::basics(balanced)));
        let node = &testing::node(&cluster, "gw-1").name;
        let balancers = Balancers::of(&cluster, |_| true);
        assert!(balancers.hosts().count() > 0);
        let mut answers = BTreeMap::new();
        for (host, lines) in &balancers.0 {
            let said: Option<Vec<Answer>> =
                lines.iter().map(|(_, file)| text(file).map(|text| entry(text.as_deref()))).collect();
            let seen = said.map(|answers| Observation { answers, ..Observation::default() });
            answers.extend(seen.map(|seen| (host.clone(), Outcome::Observed(Box::new(seen)))));
        }
        balancers.serving(node, |host| answers.get(host))
    }

    #[test]
    fn rotation_is_in_out_unknown_or_absent() {
        let is_in = serving(&|file| Some(Some(file.desired.clone())));
        assert_eq!((is_in.words(), is_in.cell().0), (None, "yes".into()));
        let out = serving(&|file| Some(Some(file.drained.clone())));
        assert!(out.cell().0.starts_with("no (") && out.json().to_string().contains("\"out\""));
        assert!(out.words().is_some_and(|words| words.starts_with("out of rotation (")));
        let edited = serving(&|_| Some(Some("server x;".into())));
        assert!(edited.cell().0.starts_with("? ("));
        assert_eq!(serving(&|_| None).cell().0, edited.cell().0, "no answer at all");
        let unknown = serving(&|_| Some(None));
        assert_eq!((unknown.cell().0.as_str(), unknown.json()), ("-", json!({})));
    }
}
