//! Databases created and loaded on real servers, through the SSH servers of process hosts. Skipped if no
//! server is installed.

mod full_cluster;
mod refused;
mod tls;

use std::path::PathBuf;
use std::time::Duration;

use apim_tests::cli::{Operator, Run};
use apim_tests::distributions::Distributions;
use apim_tests::poll::until;
use apim_tests::rehearsal::Rehearsal;
use apim_tests::servers::{ADMIN, ADMIN_PASSWORD, DatabaseServer, Kind};
use apim_tests::skip::skip;
use rustix::process::Signal;
use serde_json::json;

use crate::{JSON, assert_nothing_changed, changed};

const APIM_PASSWORD: &str = "the apim 'user' \\ password";
const SHARED_PASSWORD: &str = "the shared \"user\" password";

/// Two control planes, a gateway, a database server, and an operator.
struct Site {
    server: DatabaseServer,
    rehearsal: Rehearsal,
    operator: Operator,
}

impl Site {
    /// Returns a site with an empty server, or skips the test.
    fn up(kind: Kind) -> Option<Self> {
        Self::up_on(DatabaseServer::start(kind))
    }

    /// Returns a site with this server, or skips the test.
    fn up_on(server: Result<DatabaseServer, String>) -> Option<Self> {
        let server = match server {
            Ok(server) => server,
            Err(why) => {
                skip(&why);
                return None;
            }
        };
        let nodes = [
            ("cp1", "control_plane", "control-plane"),
            ("cp2", "control_plane", "control-plane"),
            ("gw1", "gateway", "gateway"),
        ];
        let mut rehearsal = Rehearsal::up(&nodes, &Distributions::ready()).expect("the process lab comes up");
        settings(&mut rehearsal, &server);
        Some(Self { server, rehearsal, operator: Operator::new() })
    }

    fn inventory(&self) -> PathBuf {
        self.rehearsal.write()
    }

    /// Applies the playbook `databases`.
    fn apply(&self) -> Run {
        self.operator.run(self.arguments("apply"))
    }

    /// Applies and prints JSON, for tests that read counts.
    fn apply_json(&self) -> Run {
        self.operator.run(self.arguments("apply").into_iter().chain(JSON.map(str::to_owned)))
    }

    /// Applies and asserts that nothing changed.
    #[track_caller]
    fn assert_up_to_date(&self) {
        assert_nothing_changed(self.apply_json());
    }

    fn arguments(&self, verb: &str) -> Vec<String> {
        let inventory = self.inventory().display().to_string();
        vec![verb.to_owned(), inventory, "--playbook".to_owned(), "databases".to_owned()]
    }

    fn loaded(&self, database: &str) -> String {
        self.server.must(Some(database), "SELECT state, statements - done FROM apim_deploy_schema")
    }

    /// The structure of a database, and the number of rows in one of its tables.
    fn structure(&self, database: &str) -> String {
        let queries: &[&str] = match self.server.kind {
            Kind::Mariadb => &[
                "SELECT table_name, column_name, column_type, column_default FROM information_schema.columns WHERE table_schema = DATABASE() ORDER BY 1, 2",
                "SELECT table_name, index_name, column_name, seq_in_index FROM information_schema.statistics WHERE table_schema = DATABASE() ORDER BY 1, 2, 4",
                "SELECT routine_name, routine_definition FROM information_schema.routines WHERE routine_schema = DATABASE()",
                "SELECT COUNT(*), MAX(ID) FROM UM_ROLE_PROBE",
            ],
            Kind::Postgresql => &[
                "SELECT table_name, column_name, data_type, column_default FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2",
                "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
                "SELECT proname, prosrc FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE nspname = 'public'",
                "SELECT COUNT(*), MAX(ID) FROM UM_ROLE_PROBE",
            ],
        };
        let probe = if database == "shared_db" { "UM_ROLE" } else { "AM_COMMENT" };
        let answers = queries
            .iter()
            .map(|query| self.server.must(Some(database), &query.replace("UM_ROLE_PROBE", probe)));
        answers.collect::<Vec<_>>().join("\n\n")
    }

    fn tables(&self, database: &str) -> usize {
        let schema = match self.server.kind {
            Kind::Mariadb => "DATABASE()",
            Kind::Postgresql => "'public'",
        };
        let query = format!("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = {schema}");
        self.server.must(Some(database), &query).parse().expect("a number")
    }
}

/// Tells the inventory of the server, and that databases are to be made there.
fn settings(rehearsal: &mut Rehearsal, server: &DatabaseServer) {
    let kind = match server.kind {
        Kind::Mariadb => "mariadb",
        Kind::Postgresql => "postgresql",
    };
    rehearsal
        .inventory
        .set("databases.type", json!(kind))
        .set("databases.port", json!(server.port))
        .set("databases.create", json!(true))
        .set("databases.login_check", json!(true))
        .set("databases.admin", json!({"username": ADMIN, "password": ADMIN_PASSWORD}))
        .set("databases.apim_db.password", json!(APIM_PASSWORD))
        .set("databases.shared_db.password", json!(SHARED_PASSWORD));
}

fn assert_no_leak(run: &Run) {
    for secret in [APIM_PASSWORD, SHARED_PASSWORD, ADMIN_PASSWORD] {
        assert!(!run.text().contains(secret), "a password was printed:\n{}", run.text());
    }
}

fn from_empty_to_loaded(kind: Kind) {
    let Some(site) = Site::up(kind) else { return };
    let plan = [site.arguments("plan"), vec!["--exit-code".to_owned()]].concat();
    let planned = site.operator.run(&plan).ended_with(3);
    assert!(
        planned.text().contains("database `apim_db`") && planned.text().contains("user `sharedadmin`"),
        "{}",
        planned.text()
    );
    assert!(site.server.ask(Some("apim_db"), "SELECT 1").is_err(), "a plan created the database");

    let first = site.apply_json().ended_with(0);
    assert!(changed(&first) >= 1, "{}", first.text());
    assert_no_leak(&first);
    for (database, least) in [("apim_db", 200), ("shared_db", 70)] {
        assert!(site.tables(database) > least, "{database}: {} tables", site.tables(database));
        let state = site.loaded(database).replace('|', "\t");
        assert_eq!(state, "loaded\t0", "{database}");
    }
    let count =
        site.server.ask_as("apimadmin", APIM_PASSWORD, Some("apim_db"), "SELECT COUNT(*) FROM AM_COMMENT");
    assert_eq!(count, Ok("1".to_owned()), "the user cannot read its tables");
    if kind == Kind::Mariadb {
        let charset =
            "SELECT default_collation_name FROM information_schema.schemata WHERE schema_name = 'apim_db'";
        assert_eq!(site.server.must(None, charset), "latin1_bin");
    } else {
        let owner = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'";
        assert_eq!(site.server.must(Some("apim_db"), owner), "apimadmin");
        let log = site.server.log();
        assert!(log.contains("CREATE ROLE"), "the statements are not in the log");
        assert!(!log.contains(APIM_PASSWORD), "a password is in the server's log");
    }

    let before = site.structure("apim_db");
    site.assert_up_to_date();
    assert_eq!(before, site.structure("apim_db"));
    site.operator.run(&plan).ended_with(0);
    let inventory = site.inventory();
    site.operator.run(["databases".as_ref(), inventory.as_os_str()]).ended_with(0);
}

#[test]
fn empty_mariadb_is_loaded_once() {
    from_empty_to_loaded(Kind::Mariadb);
}

#[test]
fn empty_postgresql_is_loaded_once() {
    from_empty_to_loaded(Kind::Postgresql);
}

/// Kills the program while it is loading; the next run ends with the same result as an undisturbed one.
fn killed_while_loading(kind: Kind) {
    let Some(site) = Site::up(kind) else { return };
    site.apply().ended_with(0);
    let straight = site.structure("apim_db");
    let drop = match kind {
        Kind::Mariadb => "DROP DATABASE apim_db",
        Kind::Postgresql => "DROP DATABASE apim_db WITH (FORCE)",
    };
    for round in 0..3 {
        site.server.must(None, drop);
        let running = site.operator.start(site.arguments("apply"));
        let is_loading = || match kind {
            Kind::Mariadb => {
                let done = site
                    .server
                    .ask(Some("apim_db"), "SELECT done FROM apim_deploy_schema WHERE state = 'loading'");
                done.ok().and_then(|done| done.parse::<u32>().ok()).is_some_and(|done| done > 20 + 60 * round)
            }
            Kind::Postgresql => {
                let busy = "SELECT COUNT(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE d.datname = 'apim_db' \
                            AND l.mode = 'AccessExclusiveLock'";
                let locks = site.server.ask(None, busy);
                locks
                    .ok()
                    .and_then(|locks| locks.parse::<u32>().ok())
                    .is_some_and(|locks| locks > 20 + 40 * round)
            }
        };
        assert!(until(Duration::from_secs(60), is_loading), "it did not load:\n{}", running.output());
        running.signal(Signal::KILL);
        assert_eq!(running.wait(Duration::from_secs(10)).code, 137, "it ended before it was killed");
        match kind {
            Kind::Mariadb => {
                assert!(site.loaded("apim_db").starts_with("loading"), "{}", site.loaded("apim_db"))
            }
            Kind::Postgresql => assert!(
                until(Duration::from_secs(20), || site.tables("apim_db") == 0),
                "a part of the transaction remains: {} tables",
                site.tables("apim_db")
            ),
        }
        let again = site.apply_json().ended_with(0);
        assert!(changed(&again) >= 1, "{}", again.text());
        assert_eq!(straight, site.structure("apim_db"), "round {round}");
        site.assert_up_to_date();
    }
}

#[test]
fn recovers_from_kill_while_loading_mariadb() {
    killed_while_loading(Kind::Mariadb);
}

#[test]
fn recovers_from_kill_while_loading_postgresql() {
    killed_while_loading(Kind::Postgresql);
}

/// Two operators at once. Hosts are locked, so they use different control planes.
fn two_at_once(kind: Kind) {
    let Some(mut site) = Site::up(kind) else { return };
    let only = |site: &Site, host: &str| {
        let text = site.rehearsal.inventory.text();
        let path = site.operator.file(&format!("{host}.yaml"), &text);
        let path = path.display().to_string();
        ["apply", &path, "--playbook", "databases", "--limit", host].map(str::to_owned)
    };
    let first = only(&site, "cp1");
    site.rehearsal.inventory.without("cp1");
    let second = only(&site, "cp2");
    let (one, two) = (site.operator.start(first), site.operator.start(second));
    let runs = [one.wait(Duration::from_secs(120)), two.wait(Duration::from_secs(120))];
    for run in runs {
        run.ended_with(0);
    }
    assert_eq!(site.loaded("apim_db").replace('|', "\t"), "loaded\t0");
    let count =
        site.server.ask_as("apimadmin", APIM_PASSWORD, Some("apim_db"), "SELECT COUNT(*) FROM AM_COMMENT");
    assert_eq!(count, Ok("1".to_owned()), "rows were written twice");
}

#[test]
fn two_runs_at_once_load_mariadb_once() {
    two_at_once(Kind::Mariadb);
}

#[test]
fn two_runs_at_once_load_postgresql_once() {
    two_at_once(Kind::Postgresql);
}
