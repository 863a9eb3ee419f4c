//! Servers that take encrypted connections only: what is told without encryption, who is trusted, and under which name.

use apim_tests::servers::{DatabaseServer, Kind};
use serde_json::json;

use super::{Site, nothing_leaked};
use crate::changed;

/// The server's address in the inventory.
const ADDRESS: &str = "127.0.0.1";

/// Applies and expects to be refused, with a text that holds all of `told`.
fn refused(site: &Site, told: &[&str]) {
    let run = site.apply().ended_with(1);
    for word in told {
        assert!(run.text().contains(word), "nothing of {word} in\n{}", run.text());
    }
    nothing_leaked(&run);
    assert!(site.server.ask(Some("apim_db"), "SELECT 1").is_err(), "a database was made");
}

fn encrypted(kind: Kind) {
    let Some(mut site) = Site::up_on(DatabaseServer::start_encrypted(kind, ADDRESS)) else { return };
    refused(&site, &["wants an encrypted connection", "`apim.databases.tls: required`"]);

    // Somebody else's authority is trusted, not the server's.
    let Some(other) = Site::up_on(DatabaseServer::start_encrypted(kind, ADDRESS)) else { return };
    site.rehearsal.inventory.set("databases.tls", json!("verified"));
    site.rehearsal.inventory.set("databases.tls_ca", json!(other.server.authority()));
    drop(other.rehearsal);
    refused(&site, &["no encrypted connection can be made", "`apim.databases.tls_ca`"]);

    site.rehearsal.inventory.set("databases.tls_ca", json!(site.server.authority()));
    let first = site.apply().ended_with(0);
    assert!(changed(&first) >= 1, "{}", first.text());
    nothing_leaked(&first);
    assert_eq!(site.loaded("apim_db").replace('|', "\t"), "loaded\t0");
    assert_eq!(changed(&site.apply().ended_with(0)), 0);
}

#[test]
fn an_encrypted_mariadb_is_verified_and_filled() {
    encrypted(Kind::Mariadb);
}

#[test]
fn an_encrypted_postgresql_is_verified_and_filled() {
    encrypted(Kind::Postgresql);
}

/// A certificate of another name is no good for `verified`, and good enough for `required`, which trusts anybody.
#[test]
fn a_certificate_of_another_name_is_refused_where_names_are_verified() {
    for kind in [Kind::Mariadb, Kind::Postgresql] {
        let Some(mut site) = Site::up_on(DatabaseServer::start_encrypted(kind, "db.example.com")) else {
            return;
        };
        site.rehearsal.inventory.set("databases.tls", json!("verified"));
        site.rehearsal.inventory.set("databases.tls_ca", json!(site.server.authority()));
        refused(&site, &["no encrypted connection can be made", "a certificate that names it"]);

        site.rehearsal.inventory.set("databases.tls", json!("required"));
        site.apply().ended_with(0);
        assert_eq!(site.loaded("apim_db").replace('|', "\t"), "loaded\t0");
    }
}
