//! `facts`: the facts that agents collect on their hosts.

use apim_protocol::observation::{Answer, Disk, Machine};
use apim_protocol::outcome::Outcome;
use apim_protocol::query::Query;
use apim_protocol::query::examine::{Examine, Question};
use apim_protocol::value::AbsPath;
use serde_json::{Value, json};

use crate::app::connect::Rights;
use crate::app::exit::{Exit, Kind};
use crate::app::options::{Files, Reach, Shown};
use crate::app::query::{self, QueryRequest, QuerySession, ReadyQuery};
use crate::app::verb::Verb;
use crate::report::style::{bytes, time};
use crate::report::table::{Paint, Table};
use crate::report::{self, Style, remark};
use apim_product::{Cluster, jdk};
use apim_transport::host::HostName;
use apim_transport::query::{HostQuery, HostUnavailable, with_all};

/// Folders that contain JDKs.
const JDKS: [&str; 3] = ["/usr/lib/jvm", "/usr/java", "/opt/java"];

/// Options of `facts`.
#[derive(Debug, Clone)]
pub(crate) struct FactsRequest {
    pub(crate) files: Files,
    /// Hosts, as an Ansible pattern [default: all]
    pub(crate) pattern: Option<String>,
    pub(crate) reach: Reach,
    pub(crate) shown: Shown,
}

/// The facts of one host.
struct Row {
    host: HostName,
    known: Result<Known, HostUnavailable>,
}

#[derive(Default)]
struct Known {
    facts: apim_protocol::facts::Facts,
    machine: Machine,
    systemd: Option<u32>,
    /// Unix time of the host in milliseconds, and its time sync daemon.
    clock: (u64, Option<String>),
    /// Folder and version of each JDK.
    jdks: Vec<(String, Option<String>)>,
    /// Component, installed releases, release in use.
    releases: Vec<(String, Vec<String>, Option<String>)>,
}

pub(crate) fn run(args: &FactsRequest) -> Result<Kind, Exit> {
    let query = QueryRequest {
        verb: Verb::Facts,
        files: &args.files,
        reach: &args.reach,
        shown: args.shown,
        pattern: args.pattern.as_deref(),
        rights: Rights::Usual,
    };
    let ready = query::prepare(&query)?;
    let forks = usize::from(args.reach.forks);
    let rows = ready.ask(|session| ask(session, forks, &ready))?;
    if ready.look.json {
        for row in &rows {
            report::say(&row.json().to_string())?;
        }
    } else {
        report::say(&rows.iter().map(|row| row.text(ready.look.out)).collect::<String>())?;
    }
    Ok(if rows.iter().all(|row| row.known.is_ok()) { Kind::Converged } else { Kind::Failed })
}

async fn ask(session: QuerySession, forks: usize, ready: &ReadyQuery) -> Result<Vec<Row>, Exit> {
    let QuerySession { mut peers, connect, terms } = session;
    let cluster = &ready.read.cluster;
    let rows = with_all(&mut peers, forks, |peer| {
        let (connect, terms) = (&connect, &terms);
        async move {
            let host = peer.host.clone();
            let known = async {
                let first = Questions::first(cluster, &host.0);
                let answers = peer.ask(connect.as_ref(), terms, &[first.asked()], &|_, _| {}).await?;
                let mut known =
                    Known { facts: peer.facts().cloned().unwrap_or_default(), ..Known::default() };
                let folders = first.take(answers, &mut known);
                let second = Questions::versions(folders);
                let answers = peer.ask(connect.as_ref(), terms, &[second.asked()], &|_, _| {}).await?;
                second.take(answers, &mut known);
                Ok(known)
            };
            let known = known.await;
            peer.goodbye().await;
            Row { host, known }
        }
    });
    let rows = rows.await;
    for Row { host, known } in &rows {
        if let (Err(away), false) = (known, ready.look.json) {
            let hint = away.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
            remark(&format!("{host}: {}{hint}", away.why()));
        }
    }
    Ok(rows)
}

/// The subject of a question.
enum About {
    Machine,
    Agent,
    Clock,
    /// A folder that contains JDKs.
    Jdks(AbsPath),
    /// A JDK.
    Jdk(AbsPath),
    /// The releases folder of this component.
    Releases(String),
    /// The release in use of the preceding component.
    Current,
}

/// Questions with their subjects.
#[derive(Default)]
struct Questions(Vec<(About, Question)>);

impl Questions {
    fn first(cluster: &Cluster, host: &str) -> Self {
        let mut all = Self(vec![
            (About::Machine, Question::Machine),
            (About::Agent, Question::Agent),
            (About::Clock, Question::Clock),
        ]);
        let mut homes: Vec<&AbsPath> = Vec::new();
        for node in cluster.nodes_on(host) {
            all.0.push((
                About::Releases(node.component.clone()),
                Question::Within(node.home.releases.clone()),
            ));
            all.0.push((About::Current, Question::Link(node.home.current.clone())));
            if !homes.contains(&&node.java_home) {
                homes.push(&node.java_home);
                all.0.extend(version(node.java_home.clone()));
            }
        }
        let folders = JDKS.iter().filter_map(|folder| AbsPath::parse(folder).ok());
        all.0.extend(folders.map(|folder| (About::Jdks(folder.clone()), Question::Within(folder))));
        all
    }

    fn versions(folders: Vec<AbsPath>) -> Self {
        Self(folders.into_iter().filter_map(version).collect())
    }

    fn asked(&self) -> HostQuery {
        let questions = self.0.iter().map(|(_, question)| question.clone()).collect();
        HostQuery::look("facts", Query::Examine(Examine { questions }))
    }

    /// Stores the answers; returns folders that may be JDKs.
    fn take(self, outcomes: Vec<Outcome>, known: &mut Known) -> Vec<AbsPath> {
        let answers = match outcomes.into_iter().next() {
            Some(Outcome::Observed(seen)) => seen.answers,
            _ => Vec::new(),
        };
        let mut folders: Vec<AbsPath> = Vec::new();
        for ((about, _), answer) in self.0.into_iter().zip(answers) {
            match (about, answer) {
                (About::Machine, Answer::Machine(machine)) => known.machine = *machine,
                (About::Agent, Answer::Agent { systemd, .. }) => known.systemd = systemd,
                (About::Clock, Answer::Clock { unix_millis, keeper }) => known.clock = (unix_millis, keeper),
                (About::Releases(component), Answer::Within(names)) => {
                    let names = names.into_iter().filter(|name| !name.starts_with('.')).collect();
                    known.releases.push((component, names, None));
                }
                (About::Current, Answer::Text(Some(target))) => {
                    if let Some((_, _, current)) = known.releases.last_mut() {
                        *current = target.rsplit('/').next().map(str::to_owned);
                    }
                }
                (About::Jdk(home), Answer::Version { found: found @ Some(_), .. }) => {
                    known.jdks.push((home.to_string(), found));
                }
                (About::Jdks(folder), Answer::Within(names)) => {
                    folders.extend(names.iter().filter_map(|name| folder.join(name).ok()));
                }
                _ => {}
            }
        }
        folders.retain(|folder| !known.jdks.iter().any(|(home, _)| home == folder.as_str()));
        folders
    }
}

fn version(home: AbsPath) -> Option<(About, Question)> {
    let of = jdk::version_of(&home)?;
    Some((About::Jdk(home), Question::Version(of)))
}

impl Row {
    fn json(&self) -> Value {
        let known = match &self.known {
            Ok(known) => known,
            Err(away) => {
                return json!({"event": "facts", "host": self.host.0, "problem": away.why(), "hint": away.hint()});
            }
        };
        let Known { facts, machine, systemd, clock: (unix_millis, keeper), jdks, releases } = known;
        let jdks: Vec<Value> =
            jdks.iter().map(|(home, version)| json!({"home": home, "version": version})).collect();
        let releases: Vec<Value> = releases
            .iter()
            .map(|(component, names, current)| {
                json!({"component": component, "releases": names, "current": current})
            })
            .collect();
        json!({
            "event": "facts", "host": self.host.0, "facts": facts, "machine": machine, "systemd": systemd,
            "unix_millis": unix_millis, "clock_kept_by": keeper, "jdks": jdks, "components": releases,
        })
    }

    fn text(&self, style: Style) -> String {
        let mut text = format!("{}\n", style.strong(&self.host.0));
        match &self.known {
            Ok(known) => {
                let mut table = Table::new(Style::plain(), &["", ""]);
                for (what, words) in known.lines() {
                    table.row([(format!("  {what}"), Paint::Plain), (words, Paint::Plain)]);
                }
                // Skip the empty header.
                text.extend(
                    table.text().lines().skip_while(|line| line.is_empty()).map(|line| format!("{line}\n")),
                );
            }
            Err(_) => text.push_str(&format!("  {}\n", style.bad("unreachable"))),
        }
        text
    }
}

impl Known {
    fn lines(&self) -> Vec<(&'static str, String)> {
        let Self { facts, machine, systemd, clock: (unix_millis, keeper), jdks, releases } = self;
        let or_unknown = |text: &str| if text.is_empty() { "?".to_owned() } else { text.to_owned() };
        let [one, five, fifteen] = machine.load_hundredths.map(|load| f64::from(load) / 100.0);
        let moment =
            i64::try_from(*unix_millis).ok().and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
        let moment =
            moment.map_or_else(|| "?".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string());
        let sync = keeper
            .as_ref()
            .map_or_else(|| "no time sync daemon found".to_owned(), |daemon| format!("synced by {daemon}"));
        let systemd = match (systemd, facts.systemd) {
            (Some(version), _) => version.to_string(),
            (None, true) => "yes".to_owned(),
            (None, false) => "no".to_owned(),
        };
        let mut lines = vec![
            ("name", or_unknown(&facts.hostname)),
            ("system", or_unknown(&machine.system)),
            ("kernel", format!("{} {}", facts.kernel, facts.architecture)),
            ("processors", format!("{} {}", facts.processors, machine.processor).trim_end().to_owned()),
            ("load", format!("{one:.2} {five:.2} {fifteen:.2}")),
            (
                "memory",
                format!("{}, {} available", bytes(facts.memory_bytes), bytes(machine.memory_available_bytes)),
            ),
            ("swap", format!("{}, {} free", bytes(machine.swap_bytes.0), bytes(machine.swap_bytes.1))),
            ("uptime", time(std::time::Duration::from_secs(machine.uptime_secs))),
            ("clock", format!("{moment}, zone {}, {sync}", or_unknown(&machine.zone))),
            ("systemd", systemd),
            ("addresses", or_unknown(&machine.addresses.join(", "))),
        ];
        for Disk { folder, kind, bytes: size, free_bytes } in &machine.disks {
            let words = format!("{folder} ({kind}): {}, {} free", bytes(*size), bytes(*free_bytes));
            lines.push(("disk", words));
        }
        for (home, version) in jdks {
            lines.push(("JDK", format!("{} in {home}", version.as_deref().unwrap_or("?"))));
        }
        for (component, names, current) in releases {
            let shown: Vec<String> =
                names
                    .iter()
                    .map(|name| {
                        if current.as_ref() == Some(name) { format!("{name} (in use)") } else { name.clone() }
                    })
                    .collect();
            let shown = if shown.is_empty() { "nothing installed".to_owned() } else { shown.join(", ") };
            lines.push(("release", format!("{component}: {shown}")));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        let facts = apim_protocol::facts::Facts {
            hostname: "gw1".into(),
            architecture: "x86_64".into(),
            kernel: "6.1.0".into(),
            processors: 4,
            memory_bytes: 8 << 30,
            systemd: true,
            ..apim_protocol::facts::Facts::default()
        };
        let machine = Machine {
            system: "Debian GNU/Linux 12".into(),
            processor: "Some CPU".into(),
            uptime_secs: 7260,
            load_hundredths: [5, 110, 200],
            memory_available_bytes: 6 << 30,
            swap_bytes: (0, 0),
            addresses: vec!["10.0.0.5".into()],
            disks: vec![Disk {
                folder: "/".into(),
                kind: "ext4".into(),
                bytes: 40 << 30,
                free_bytes: 10 << 30,
            }],
            zone: "+0000".into(),
        };
        Known {
            facts,
            machine,
            systemd: Some(252),
            clock: (1_000_000_000_000, Some("chronyd".into())),
            jdks: vec![("/opt/java".into(), Some("21.0.2".into()))],
            releases: vec![("gateway".into(), vec!["4.5.0".into(), "4.6.0".into()], Some("4.6.0".into()))],
        }
    }

    #[test]
    fn facts_of_a_host() {
        let row = Row { host: HostName("gw1".into()), known: Ok(known()) };
        insta::assert_snapshot!(row.text(Style::plain()));
    }

    #[test]
    fn unreachable_host_is_reported() {
        let away = HostUnavailable::new("no route");
        let row = Row { host: HostName("gw1".into()), known: Err(away) };
        assert_eq!(row.text(Style::plain()), "gw1\n  unreachable\n");
        assert_eq!(row.json()["problem"], "no route");
    }
}
