//! Refused databases and the reported reasons: wrong passwords, foreign tables, schemas of another
//! version.

use apim_tests::servers::{DatabaseServer, Kind};
use serde_json::json;

use super::{APIM_PASSWORD, SHARED_PASSWORD, Site, assert_no_leak};
use crate::changed;

const BOTH: [Kind; 2] = [Kind::Mariadb, Kind::Postgresql];

fn sites() -> impl Iterator<Item = Site> {
    BOTH.into_iter().filter_map(Site::up)
}

/// Creates an empty database for the user of `apim_db`, as an administrator would.
fn create_manually(server: &DatabaseServer, password: &str) {
    let password =
        password.replace('\'', "''").replace('\\', if server.kind == Kind::Mariadb { "\\\\" } else { "\\" });
    match server.kind {
        Kind::Mariadb => {
            server.must(None, "CREATE DATABASE apim_db CHARACTER SET latin1");
            server.must(None, &format!("CREATE USER apimadmin@'%' IDENTIFIED BY '{password}'"));
            server.must(None, "GRANT ALL ON apim_db.* TO apimadmin@'%'");
        }
        Kind::Postgresql => {
            server.must(None, &format!("CREATE ROLE apimadmin LOGIN PASSWORD '{password}'"));
            server.must(None, "CREATE DATABASE apim_db OWNER apimadmin");
        }
    }
}

#[test]
fn wrong_password_is_reported_with_database_user_and_host() {
    for mut site in sites() {
        create_manually(&site.server, "another password");
        let run = site.apply().ended_with(1);
        let text = run.text();
        for word in ["`apim_db`", "`apimadmin`", "cp1", "password"] {
            assert!(text.contains(word), "{word} is not in\n{text}");
        }
        assert_no_leak(&run);

        // Nothing is to be created: the login check on each host fails.
        let wrong = "a wrong password";
        site.rehearsal.inventory.set("databases.create", json!(false));
        site.rehearsal.inventory.set("databases.shared_db.password", json!(wrong));
        let run = site.apply().ended_with(1);
        let text = run.text();
        assert!(!text.contains(wrong), "a password was printed:\n{text}");
        for word in [
            "cannot log in to database `apim_db`",
            "`apimadmin`",
            "from cp1",
            "from cp2",
            "from gw1",
            "`shared_db`",
        ] {
            assert!(text.contains(word), "{word} is not in\n{text}");
        }
        assert_no_leak(&run);
    }
}

#[test]
fn wrong_administrator_password_is_reported() {
    for mut site in sites() {
        site.rehearsal.inventory.set("databases.admin.password", json!("not the one"));
        let text = site.apply().ended_with(1).text();
        assert!(text.contains("`dba`") && text.contains("apim.databases.admin"), "{text}");
        assert!(!text.contains("not the one"), "{text}");
    }
}

#[test]
fn database_with_foreign_tables_is_refused() {
    for site in sites() {
        create_manually(&site.server, APIM_PASSWORD);
        site.server.must(Some("apim_db"), "CREATE TABLE orders (id INT); CREATE TABLE customers (id INT)");
        let run = site.apply().ended_with(1);
        let text = run.text();
        assert!(text.contains("2 tables that are not part of the product: customers, orders"), "{text}");
        assert_eq!(site.tables("apim_db"), 2, "something was loaded");
    }
}

#[test]
fn schema_of_another_version_is_refused() {
    for mut site in sites() {
        site.rehearsal.inventory.release("4.5.0");
        site.apply().ended_with(0);
        let before = site.structure("apim_db");
        site.rehearsal.inventory.release("4.6.0");
        let text = site.apply().ended_with(1).text();
        assert!(text.contains("contains the schema of version 4.5.0; this cluster uses 4.6.0"), "{text}");

        assert_eq!(before, site.structure("apim_db"), "it was changed");

        // Also if it was loaded manually, and only its tables show the version.
        for database in ["shared_db", "apim_db"] {
            site.server.must(Some(database), "DROP TABLE apim_deploy_schema");
        }
        let before = site.structure("apim_db");
        let text = site.apply().ended_with(1).text();
        assert!(
            text.contains("it belongs to another version") && text.contains("governance_ruleset"),
            "{text}"
        );
        assert_eq!(before, site.structure("apim_db"), "it was changed");
    }
}

#[test]
fn manually_loaded_schema_is_recognized_and_unchanged() {
    for mut site in sites() {
        site.apply().ended_with(0);
        for database in ["shared_db", "apim_db"] {
            site.server.must(Some(database), "DROP TABLE apim_deploy_schema");
        }
        site.assert_up_to_date();
        let record = site.server.ask(Some("apim_db"), "SELECT 1 FROM apim_deploy_schema");
        assert!(record.is_err(), "a record of the schema was created");

        // The two databases are swapped.
        site.rehearsal.inventory.set("databases.apim_db.name", json!("shared_db"));
        site.rehearsal.inventory.set("databases.shared_db.name", json!("apim_db"));
        site.rehearsal.inventory.set("databases.apim_db.username", json!("sharedadmin"));
        site.rehearsal.inventory.set("databases.shared_db.username", json!("apimadmin"));
        site.rehearsal.inventory.set("databases.apim_db.password", json!(SHARED_PASSWORD));
        site.rehearsal.inventory.set("databases.shared_db.password", json!(APIM_PASSWORD));
        let text = site.apply().ended_with(1).text();
        assert!(text.contains("tables that are not part of the product"), "{text}");
    }
}

#[test]
fn without_administrator_only_schema_is_loaded() {
    for mut site in sites() {
        site.rehearsal.inventory.set("databases.admin", json!(null));
        let text = site.apply().ended_with(1).text();
        assert!(text.contains("cannot log in to database `shared_db`"), "{text}");
        create_manually(&site.server, APIM_PASSWORD);
        site.rehearsal.inventory.set(
            "databases.shared_db",
            json!({"name": "shared_db", "username": "apimadmin", "password": APIM_PASSWORD}),
        );
        match site.server.kind {
            Kind::Mariadb => {
                site.server.must(None, "CREATE DATABASE shared_db CHARACTER SET latin1");
                site.server.must(None, "GRANT ALL ON shared_db.* TO apimadmin@'%'");
            }
            Kind::Postgresql => drop(site.server.must(None, "CREATE DATABASE shared_db OWNER apimadmin")),
        }
        assert!(changed(&site.apply_json().ended_with(0)) >= 1);
        site.assert_up_to_date();
    }
}
