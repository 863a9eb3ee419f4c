//! Evaluation of host answers.

use std::collections::BTreeMap;

use apim_protocol::facts::Facts;
use apim_protocol::observation::{Answer, Entry, Listener, Reached, Resolved};
use apim_protocol::outcome::Failure;
use apim_protocol::query::examine::Question;

use super::{Check, Row, Seen, Status, examine, judge};
use crate::Cluster;
use crate::testing::{HA, cluster};

const NOW: u64 = 1_800_000_000_000;

/// Hosts that pass all checks, with changes by the tests.
struct World {
    cluster: Cluster,
    answers: BTreeMap<String, Vec<Answer>>,
    facts: Facts,
}

impl World {
    fn new(text: &str) -> Self {
        let cluster = cluster(text);
        let mut answers = BTreeMap::new();
        for host in cluster.hosts() {
            if cluster.nodes_on(&host.name).next().is_some() || crate::load_balancer::is_managed(host) {
                let questions = examine(&cluster, &host.name).questions;
                answers.insert(host.name.clone(), questions.iter().map(good).collect());
            }
        }
        let facts = Facts {
            os: "debian".into(),
            os_version: "12".into(),
            processors: 4,
            memory_bytes: 8 << 30,
            ..Facts::default()
        };
        Self { cluster, answers, facts }
    }

    /// Calls `change` with each question of `host` and its answer.
    fn change(&mut self, host: &str, change: impl Fn(&Question, &mut Answer)) -> &mut Self {
        let questions = examine(&self.cluster, host).questions;
        for (question, answer) in questions.iter().zip(self.answers.get_mut(host).expect("a host")) {
            change(question, answer);
        }
        self
    }

    fn text(&mut self, host: &str, path: &str, text: &str) -> &mut Self {
        self.change(host, |question, answer| {
            if matches!(question, Question::Text(asked) if asked.as_str() == path) {
                *answer = Answer::Text(Some(text.to_owned()));
            }
        })
    }

    fn rows(&self) -> Vec<Row> {
        let seen: Vec<Seen<'_>> = self
            .answers
            .iter()
            .map(|(host, answers)| Seen {
                host,
                facts: Some(&self.facts),
                answers: Ok(answers),
                heard_millis: Some(NOW + 40),
            })
            .collect();
        judge(&self.cluster, &seen, &BTreeMap::new())
    }

    #[track_caller]
    fn row(&self, host: &str, check: Check) -> Row {
        let row = self.rows().into_iter().find(|row| row.host == host && row.check == check);
        row.expect("a row")
    }
}

fn good(question: &Question) -> Answer {
    match question {
        Question::Agent => Answer::Agent { uid: 0, rooted: false, open_files: 1 << 20, systemd: Some(252) },
        Question::Clock => Answer::Clock { unix_millis: NOW, keeper: Some("chronyd".into()) },
        Question::Space(path) => Answer::Space { device: 7, folder: path.to_string(), free_bytes: 50 << 30 },
        Question::Listeners { .. } => Answer::Listeners(Vec::new()),
        Question::Names { names, .. } => Answer::Names(
            names
                .iter()
                .map(|name| Resolved {
                    name: name.clone(),
                    addresses: vec!["10.0.0.200".into()],
                    ..Resolved::default()
                })
                .collect(),
        ),
        Question::Reach(peers) => Answer::Reach(
            peers
                .iter()
                .map(|(host, port)| Reached {
                    host: host.clone(),
                    port: *port,
                    problem: (*port != 3306).then(|| "connection refused".to_owned()),
                })
                .collect(),
        ),
        Question::Text(path) => Answer::Text(match path.as_str() {
            "/proc/sys/fs/nr_open" => Some("1048576\n".into()),
            "/proc/sys/net/ipv4/ip_local_port_range" => Some("32768\t60999\n".into()),
            _ => None,
        }),
        Question::Version(_) => Answer::Version { found: Some("21.0.2".into()), whence: "release".into() },
        Question::Machine | Question::Within(_) | Question::Link(_) => panic!("not a preflight question"),
        Question::Entry { .. } => Answer::Entry(None),
        Question::Account(_) => Answer::Account(None),
        Question::Unit { .. } => Answer::Unit(BTreeMap::new()),
        Question::Holds { .. } => Answer::Holds(Vec::new()),
    }
}

fn listener(port: u16, own: Option<usize>) -> Listener {
    Listener {
        port,
        address: "0.0.0.0".into(),
        pid: Some(42),
        name: "nginx".into(),
        account: "www-data".into(),
        own,
    }
}

#[test]
fn suitable_hosts_pass_all_checks() {
    let world = World::new(HA);
    let rows = world.rows();
    let bad: Vec<&Row> = rows
        .iter()
        // The load balancer does not exist yet.
        .filter(|row| row.check != Check::Reach && row.status != Status::Ok)
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
    assert_eq!(rows.len(), 8 * Check::ALL.len());
    assert!(rows.iter().all(|row| row.status != Status::Fail && !row.found.is_empty()), "{rows:#?}");
}

#[test]
fn ports_of_other_processes_fail_and_own_ports_pass() {
    let mut world = World::new(HA);
    world.change("gw-1", |question, answer| {
        if let Question::Listeners { .. } = question {
            *answer = Answer::Listeners(vec![listener(9443, Some(0)), listener(8243, None)]);
        }
    });
    let row = world.row("gw-1", Check::Ports);
    assert_eq!(row.status, Status::Fail);
    assert!(row.found.contains("8243") && row.found.contains("pid 42 (nginx, www-data)"), "{}", row.found);
    assert!(!row.found.contains("9443"), "{}", row.found);
    world.change("gw-1", |question, answer| {
        if let Question::Listeners { .. } = question {
            *answer = Answer::Listeners(vec![listener(9443, Some(0)), listener(9999, None)]);
        }
    });
    assert_eq!(world.row("gw-1", Check::Ports).status, Status::Warn, "the product starts without JMX");
}

#[test]
fn load_balancer_ports_must_be_free_or_used_by_nginx() {
    let nginx = "  keystores: {mode: issued, passphrase: long-enough-passphrase, password: secret-of-keystores}\n  load_balancer: {kind: nginx}\n  endpoints:\n";
    let mut world = World::new(&HA.replacen("  endpoints:\n", nginx, 1));
    let rows = world.rows();
    let own: Vec<&Row> = rows.iter().filter(|row| row.host == "lb").collect();
    assert_eq!(own.len(), 6, "{own:#?}");
    assert!(own.iter().all(|row| row.status == Status::Ok && !row.found.is_empty()), "{own:#?}");
    let listens = |own: Option<usize>| {
        move |question: &Question, answer: &mut Answer| {
            if let Question::Listeners { ports, .. } = question {
                assert!(ports.contains(&443) && ports.contains(&80), "{ports:?}");
                *answer = Answer::Listeners(vec![listener(443, own)]);
            }
        }
    };
    world.change("lb", listens(Some(0)));
    let row = world.row("lb", Check::Ports);
    assert!(row.status == Status::Ok && row.found.contains("1 in use by nginx"), "{row:?}");
    world.change("lb", listens(None));
    let row = world.row("lb", Check::Ports);
    assert_eq!(row.status, Status::Fail);
    assert_eq!(row.found, "port 443 of the load balancer is in use by pid 42 (nginx, www-data)");

    world.text("lb", "/sys/fs/selinux/enforce", "1");
    assert_eq!(world.row("lb", Check::SecurityModule).status, Status::Ok);
    world.text("lb", "/sys/fs/selinux/booleans/httpd_can_network_connect", "0 0");
    let row = world.row("lb", Check::SecurityModule);
    assert!(
        row.status == Status::Warn && row.remedy.is_some_and(|it| it.contains("setsebool")),
        "{}",
        row.found
    );
}

#[test]
fn clocks_are_compared_with_each_other() {
    for (millis, status) in [
        (0, Status::Ok),
        (1_500, Status::Ok),
        (5_000, Status::Warn),
        (-5_000, Status::Warn),
        (90_000, Status::Fail),
        (-90_000, Status::Fail),
    ] {
        let mut world = World::new(HA);
        world.change("km-1", |question, answer| {
            if *question == Question::Clock {
                let unix_millis = NOW.saturating_add_signed(millis);
                *answer = Answer::Clock { unix_millis, keeper: Some("chronyd".into()) };
            }
        });
        let row = world.row("km-1", Check::Clock);
        assert_eq!(row.status, status, "{millis}: {}", row.found);
        assert_eq!(world.row("km-2", Check::Clock).status, Status::Ok, "only the wrong clock is reported");
    }
}

#[test]
fn jdk_must_be_supported_by_the_release() {
    for (version, status) in [
        (Some("21.0.2"), Status::Ok),
        (Some("11.0.20"), Status::Ok),
        (Some("1.8.0_392"), Status::Fail),
        (Some("25"), Status::Fail),
        (None, Status::Fail),
    ] {
        let mut world = World::new(HA);
        world.change("traffic-manager-1", |question, answer| {
            if let Question::Version(_) = question {
                let found = version.map(str::to_owned);
                *answer = Answer::Version { found, whence: "/opt/java/bin/java does not exist".into() };
            }
        });
        let row = world.row("traffic-manager-1", Check::Jdk);
        assert_eq!(row.status, status, "{version:?}");
        if status == Status::Fail {
            assert!(row.remedy.expect("a remedy").contains("needs a JDK 11 to 21"));
            assert!(row.found.contains("/opt/java"), "{}", row.found);
        }
    }
}

#[test]
fn disk_space_is_needed_only_for_missing_releases() {
    let mut world = World::new(HA);
    let small = |question: &Question, answer: &mut Answer| {
        if let Question::Space(_) = question {
            *answer = Answer::Space { device: 1, folder: "/opt".into(), free_bytes: 1 << 30 };
        }
    };
    world.change("apim-cp-1", small);
    let row = world.row("apim-cp-1", Check::Disk);
    assert_eq!(row.status, Status::Fail);
    assert!(row.found.contains("1.0 GiB free at /opt") && row.found.contains("1.5 GiB"), "{}", row.found);
    world.change("apim-cp-1", |question, answer| {
        if let Question::Entry { .. } = question {
            *answer = Answer::Entry(Some(Entry {
                kind: "folder".into(),
                mode: 0o750,
                owner: "wso2carbon".into(),
                group: "wso2".into(),
                sha256: None,
            }));
        }
    });
    assert_eq!(world.row("apim-cp-1", Check::Disk).status, Status::Ok);
}

#[test]
fn first_hosts_file_line_decides() {
    let address = |line: Option<(u32, &str)>| {
        let line = line.map(|(number, address)| (number, address.to_owned()));
        move |question: &Question, answer: &mut Answer| {
            if let (Question::Names { .. }, Answer::Names(found)) = (question, answer) {
                for one in found.iter_mut().filter(|one| one.name == "gw-1") {
                    one.line.clone_from(&line);
                }
            }
        }
    };
    let mut world = World::new(HA);
    world.change("apim-cp-1", address(Some((3, "10.9.9.9"))));
    let row = world.row("apim-cp-1", Check::Names);
    assert_eq!(row.status, Status::Fail);
    assert!(row.found.contains("`gw-1` resolves to 10.9.9.9 by line 3 of /etc/hosts"), "{}", row.found);
    world.change("gw-1", address(Some((2, "127.0.1.1"))));
    assert_eq!(world.row("gw-1", Check::Names).status, Status::Ok, "own name on loopback");
    world.change("apim-cp-1", address(Some((2, "127.0.1.1"))));
    assert_eq!(world.row("apim-cp-1", Check::Names).status, Status::Fail, "name of another host on loopback");
}

#[test]
fn dns_names_must_have_an_ipv4_address() {
    let text = HA.replace("  java:", "  hosts_file: {enabled: false}\n  java:");
    let with = |addresses: &[&str], problem: Option<&str>| {
        let mut world = World::new(&text);
        for host in ["apim-cp-1", "gw-1"] {
            world.change(host, |question, answer| {
                let (Question::Names { .. }, Answer::Names(found)) = (question, answer) else { return };
                found.iter_mut().for_each(|one| one.addresses = vec!["10.0.0.200".into()]);
                for one in found.iter_mut().filter(|one| one.name == "api.am.wso2.com") {
                    one.addresses = addresses.iter().map(|one| (*one).to_owned()).collect();
                    one.problem = problem.map(str::to_owned);
                }
            });
        }
        world.row("apim-cp-1", Check::Names)
    };
    for (addresses, problem, words) in [
        (&[][..], Some("the name api.am.wso2.com is not known on this host"), "does not resolve"),
        (&["fe80::1"][..], None, "only IPv6"),
    ] {
        let row = with(addresses, problem);
        assert_eq!(row.status, Status::Fail, "{row:?}");
        assert!(row.found.contains("api.am.wso2.com") && row.found.contains(words), "{}", row.found);
    }
}

#[test]
fn connection_fails_only_if_the_target_listens() {
    let mut world = World::new(HA);
    assert!(world.row("gw-1", Check::Reach).status < Status::Fail, "no listener yet");
    world.change("apim-cp-1", |question, answer| {
        if let Question::Listeners { .. } = question {
            *answer = Answer::Listeners(vec![listener(5672, Some(0))]);
        }
    });
    let row = world.row("gw-1", Check::Reach);
    assert_eq!(row.status, Status::Fail);
    assert!(row.found.contains("5672") && row.found.contains("although the node is listening"), "{row:?}");
    assert!(!row.found.contains("9611"), "{}", row.found);
    let mut world = World::new(HA);
    world.change("km-1", |question, answer| {
        if let (Question::Reach(_), Answer::Reach(found)) = (question, answer) {
            found.iter_mut().for_each(|one| one.problem = Some("timed out".into()));
        }
    });
    let row = world.row("km-1", Check::Reach);
    assert!(row.status == Status::Fail && row.found.contains("database server"), "{row:?}");
}

#[test]
fn inventory_sets_the_level_of_a_check() {
    let with = |levels: &str| {
        let mut world = World::new(&HA.replace("  java:", &format!("  preflight: {levels}\n  java:")));
        world.facts.processors = 1;
        world.facts.memory_bytes = 256 << 20;
        world
    };
    assert_eq!(with("{}").row("gw-1", Check::Cpu).status, Status::Warn);
    assert_eq!(with("{}").row("gw-1", Check::Memory).status, Status::Fail);
    assert_eq!(with("{cpu: fail}").row("gw-1", Check::Cpu).status, Status::Fail);
    assert_eq!(with("{memory: warn}").row("gw-1", Check::Memory).status, Status::Warn);
    assert!(with("{cpu: off}").rows().iter().all(|row| row.check != Check::Cpu));
    let wrong = crate::testing::mistakes(&HA.replace("  java:", "  preflight: {dsik: warn}\n  java:"));
    assert!(wrong.iter().any(|text| text.contains("dsik") && text.contains("disk")), "{wrong:?}");
}

#[test]
fn kernel_limits_and_privileges_are_checked() {
    let mut world = World::new(HA);
    world.text("gw-1", "/proc/sys/net/ipv4/ip_local_port_range", "1024 65535");
    world.text("gw-1", "/proc/sys/net/ipv4/ip_local_reserved_ports", "8000-8300,9443\n");
    let row = world.row("gw-1", Check::Kernel);
    assert_eq!(row.status, Status::Warn);
    assert!(row.found.contains("9763") && !row.found.contains("8243"), "{}", row.found);
    world.text("gw-1", "/proc/sys/fs/nr_open", "4096");
    assert_eq!(world.row("gw-1", Check::Limits).status, Status::Warn);
    world.text("gw-1", "/sys/fs/selinux/enforce", "1");
    assert!(world.row("gw-1", Check::SecurityModule).found.contains("enforcing"));
    world.change("gw-1", |question, answer| {
        if *question == Question::Agent {
            *answer = Answer::Agent { uid: 1000, rooted: false, open_files: 1024, systemd: None };
        }
    });
    assert_eq!(world.row("gw-1", Check::Privilege).status, Status::Fail);
    assert_eq!(world.row("gw-1", Check::Systemd).status, Status::Warn);
}

#[test]
fn invalid_or_missing_answers_are_unknown() {
    let mut world = World::new(HA);
    world.answers.insert("gw-1".into(), vec![Answer::Unknown("?".into())]);
    let rows = world.rows();
    let of = |host: &'static str| rows.iter().filter(move |row| row.host == host);
    let ports: Vec<_> = of("gw-1").filter(|row| row.check == Check::Ports).collect();
    assert!(!ports.is_empty() && ports.iter().all(|row| row.status == Status::Unknown), "{ports:?}");
    let answers = Err(Failure::new("unreachable"));
    let seen = Seen { host: "gw-1", facts: None, answers, heard_millis: None };
    let rows = judge(&world.cluster, &[seen], &BTreeMap::new());
    assert!(!rows.is_empty(), "no rows");
    assert!(rows.iter().all(|row| row.status == Status::Unknown && row.found == "unreachable"));
}
