//! The status of a node as a table row, a JSON object or a line.

use apim_protocol::observation::Observation;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use serde_json::{Value, json};

use crate::app::issue;
use crate::app::query::lb_status::Serving;
use crate::report::Style;
use crate::report::style::{bytes, time};
use crate::report::table::{Paint, Table};
use apim_product::health::MAXIMUM_HEAP;
use apim_product::keystore::Certificate;
use apim_product::pki::trust::WARN_DAYS;
use apim_product::pki::{State, list};
use apim_product::settings::keystores::Purpose;
use apim_product::{Cluster, Node};

/// Why a node was not observed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotObserved {
    /// Its host has not answered yet.
    #[error("connecting")]
    Connecting,
    #[error("unreachable")]
    Unreachable,
    /// The agent could not observe it.
    #[error("{0}")]
    Failed(String),
    /// The agent returned no observation.
    #[error("not checked")]
    NotChecked,
}

/// The status of one node.
pub(crate) struct Row<'a> {
    pub(crate) node: &'a Node,
    /// The observation, or why there is none.
    pub(crate) seen: Result<&'a Observation, NotObserved>,
    /// Number of pending changes; `None` if drift was not checked.
    pub(crate) drift: Option<usize>,
    /// Its rotation state at each load balancer.
    pub(crate) serving: Serving,
}

/// Days until the certificate expires, and whether it was read from the running node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ends {
    days: i64,
    is_served: bool,
}

impl Row<'_> {
    fn is_up(seen: &Observation) -> bool {
        matches!(seen.unit.as_str(), "active" | "running")
    }

    /// Returns whether the unit is running and every health check passes.
    pub(crate) fn is_healthy(&self) -> bool {
        self.seen.as_ref().is_ok_and(|seen| Self::is_up(seen) && seen.gates.iter().all(|gate| gate.holds))
    }

    /// Returns the release that `current` points to.
    fn release(&self) -> Option<&str> {
        let seen = self.seen.as_ref().ok()?;
        let target = seen.links.get(self.node.home.current.as_str())?.as_deref()?;
        target.rsplit('/').next()
    }

    /// Returns the maximum heap of the running JVM, such as `1024m`.
    fn heap(&self) -> Option<&str> {
        let arguments = &self.seen.as_ref().ok()?.arguments;
        // The JVM uses the last occurrence.
        arguments.iter().rev().find_map(|argument| argument.strip_prefix(MAXIMUM_HEAP))
    }

    /// Returns the expiry of the certificate in use, otherwise of the configured one.
    fn ends(&self, cluster: &Cluster) -> Option<Ends> {
        let now = issue::now();
        let served = self.seen.as_ref().ok().and_then(|seen| {
            let text = seen.certificates.iter().find_map(|served| served.certificate.as_ref())?;
            let certificate = Certificate::parse(&BASE64.decode(text).ok()?).ok()?;
            Some(Ends { days: certificate.days_left(now), is_served: true })
        });
        served.or_else(|| {
            let known = list(cluster, now, false).into_iter().find(|one| {
                one.node == self.node.name.0 && one.purpose == Purpose::Tls.key() && one.certificate.is_some()
            })?;
            (known.state != State::Missing).then_some(Ends { days: known.days, is_served: false })
        })
    }

    /// Returns the failed health checks, or the number of passed ones.
    fn gates(&self) -> (String, Paint) {
        let seen = match &self.seen {
            Ok(seen) => seen,
            Err(why) => return (why.to_string(), Paint::Bad),
        };
        let shut: Vec<String> = seen
            .gates
            .iter()
            .filter(|gate| !gate.holds)
            .map(|gate| format!("{}: {}", gate.what, gate.answer))
            .collect();
        match shut.len() {
            0 => (format!("{0}/{0} ok", seen.gates.len()), Paint::Good),
            _ => (shut.join("\n"), Paint::Bad),
        }
    }

    /// Returns the JSON object.
    pub(crate) fn json(&self, cluster: &Cluster) -> Value {
        let ends = self.ends(cluster);
        json!({
            "node": self.node.name.0, "host": self.node.host, "role": self.node.role.group(),
            "release": self.release(), "wished_release": self.node.release, "observed": self.seen.as_ref().ok(),
            "problem": self.seen.as_ref().err().map(ToString::to_string), "healthy": self.is_healthy(), "drift": self.drift,
            "heap": self.heap(), "certificate_days": ends.map(|ends| ends.days),
            "certificate_served": ends.map(|ends| ends.is_served), "rotation": self.serving.json(),
        })
    }

    /// Returns the line that is printed when it changes, without uptime and memory.
    pub(crate) fn line(&self) -> String {
        let unit = self.seen.as_ref().map_or("?", |seen| seen.unit.as_str());
        let health = if self.is_healthy() { "healthy" } else { "not healthy" };
        let drift = match self.drift {
            None | Some(0) => String::new(),
            Some(steps) => format!(", drift ({steps})"),
        };
        let shut = match self.gates() {
            (_, Paint::Good) => String::new(),
            (words, _) => format!(": {}", words.replace('\n', "; ")),
        };
        let release = self.release().unwrap_or("-");
        let rotation = self.serving.words().map(|words| format!(", {words}")).unwrap_or_default();
        format!("{} {health}, {release}, {unit}{rotation}{drift}{shut}", self.node.name)
    }
}

/// Returns the table of all nodes.
pub(crate) fn table(rows: &[Row<'_>], cluster: &Cluster, style: Style) -> String {
    let heads = [
        "node",
        "role",
        "release",
        "unit",
        "up",
        ">restarts",
        ">memory",
        ">heap",
        ">cert",
        "in rotation",
        "drift",
        "health",
    ];
    let mut table = Table::new(style, &heads);
    for row in rows {
        let seen = row.seen.as_ref().ok();
        let unit = match seen {
            Some(seen) => (seen.unit.clone(), if Row::is_up(seen) { Paint::Good } else { Paint::Bad }),
            None => ("?".to_owned(), Paint::Plain),
        };
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let uptime = seen.and_then(|seen| seen.uptime_secs).map(std::time::Duration::from_secs);
        let restarts = seen.and_then(|seen| seen.restarts);
        let drift = match row.drift {
            None => ("?".to_owned(), Paint::Plain),
            Some(0) => ("no".to_owned(), Paint::Good),
            Some(steps) => (format!("yes ({steps})"), Paint::Change),
        };
        let certificate = match row.ends(cluster) {
            None => ("-".to_owned(), Paint::Plain),
            Some(Ends { days, is_served }) => {
                let paint = match days {
                    i64::MIN..=0 => Paint::Bad,
                    1..WARN_DAYS => Paint::Change,
                    _ => Paint::Good,
                };
                (format!("{days} d{}", if is_served { "" } else { "*" }), paint)
            }
        };
        table.row([
            (row.node.name.0.clone(), Paint::Plain),
            (row.node.role.group().to_owned(), Paint::Plain),
            (row.release().unwrap_or("-").to_owned(), Paint::Plain),
            unit,
            (or_none(uptime.map(time)), Paint::Plain),
            (
                or_none(restarts.map(|times| times.to_string())),
                if restarts.unwrap_or(0) > 0 { Paint::Change } else { Paint::Plain },
            ),
            (or_none(seen.and_then(|seen| seen.memory_bytes).map(bytes)), Paint::Plain),
            (or_none(row.heap().map(str::to_owned)), Paint::Plain),
            certificate,
            row.serving.cell(),
            drift,
            row.gates(),
        ]);
    }
    table.text()
}

#[cfg(test)]
mod tests {
    use apim_protocol::observation::{Gate, Served};

    use super::*;
    use crate::app::query::lb_status::Place;
    use apim_product::testing;

    fn serving(host: &str, place: Place) -> Serving {
        Serving([(host.to_owned(), place)].into())
    }

    fn seen(node: &Node, holds: bool) -> Observation {
        Observation {
            unit: "active".into(),
            uptime_secs: Some(7300),
            memory_bytes: Some(700 << 20),
            restarts: Some(2),
            links: [(node.home.current.to_string(), Some(format!("releases/{}", node.release)))].into(),
            gates: vec![
                Gate { what: "log line".into(), holds: true, answer: "there".into() },
                Gate { what: "HTTP 200 from x".into(), holds, answer: "connection refused".into() },
            ],
            arguments: vec!["-Xmx512m".into(), "-Xmx1024m".into()],
            certificates: vec![Served { port: 9443, certificate: None, problem: Some("none".into()) }],
            ..Observation::default()
        }
    }

    #[test]
    fn status_table_and_lines() {
        let cluster = testing::cluster(testing::HA);
        let nodes = &cluster.nodes()[..3];
        let observed = [seen(&nodes[0], true), seen(&nodes[1], false)];
        let rows = [
            Row {
                node: &nodes[0],
                seen: Ok(&observed[0]),
                drift: Some(0),
                serving: serving("lb", Place::In),
            },
            Row {
                node: &nodes[1],
                seen: Ok(&observed[1]),
                drift: Some(3),
                serving: serving("lb", Place::Out),
            },
            Row {
                node: &nodes[2],
                seen: Err(NotObserved::Unreachable),
                drift: None,
                serving: Serving::default(),
            },
        ];
        assert_eq!(rows.iter().map(Row::is_healthy).collect::<Vec<_>>(), [true, false, false]);
        let lines: Vec<String> = rows.iter().map(Row::line).collect();
        insta::assert_snapshot!(format!("{}\n{}", table(&rows, &cluster, Style::plain()), lines.join("\n")));
        let object = rows[0].json(&cluster);
        assert_eq!((&object["heap"], &object["healthy"]), (&"1024m".into(), &true.into()));
    }
}
