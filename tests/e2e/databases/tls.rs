//! Servers that accept only encrypted connections: errors without encryption, authorities and names.

use apim_tests::servers::{DatabaseServer, Kind};
use serde_json::json;

use super::{Site, assert_no_leak};
use crate::changed;

/// The server's address in the inventory.
const ADDRESS: &str = "127.0.0.1";

/// Applies and expects an error that contains all of `words`.
fn assert_refused(site: &Site, words: &[&str]) {
    let run = site.apply().ended_with(1);
    for word in words {
        assert!(run.text().contains(word), "{word} is not in\n{}", run.text());
    }
    assert_no_leak(&run);
    assert!(site.server.ask(Some("apim_db"), "SELECT 1").is_err(), "a database was created");
}

fn encrypted(kind: Kind) {
    let Some(mut site) = Site::up_on(DatabaseServer::start_encrypted(kind, ADDRESS)) else { return };
    assert_refused(&site, &["requires an encrypted connection", "`apim.databases.tls: required`"]);

    // The trusted authority is not the one of the server.
    let Some(other) = Site::up_on(DatabaseServer::start_encrypted(kind, ADDRESS)) else { return };
    site.rehearsal.inventory.set("databases.tls", json!("verified"));
    site.rehearsal.inventory.set("databases.tls_ca", json!(other.server.authority()));
    drop(other.rehearsal);
    assert_refused(&site, &["the TLS handshake failed", "`apim.databases.tls_ca`"]);

    site.rehearsal.inventory.set("databases.tls_ca", json!(site.server.authority()));
    let first = site.apply_json().ended_with(0);
    assert!(changed(&first) >= 1, "{}", first.text());
    assert_no_leak(&first);
    assert_eq!(site.loaded("apim_db").replace('|', "\t"), "loaded\t0");
    site.assert_up_to_date();
}

#[test]
fn mariadb_over_tls_is_verified_and_loaded() {
    encrypted(Kind::Mariadb);
}

#[test]
fn postgresql_over_tls_is_verified_and_loaded() {
    encrypted(Kind::Postgresql);
}

/// `verified` refuses a certificate with a different name; `required` does not verify certificates.
#[test]
fn certificate_name_is_checked_if_verified() {
    for kind in [Kind::Mariadb, Kind::Postgresql] {
        let Some(mut site) = Site::up_on(DatabaseServer::start_encrypted(kind, "db.example.com")) else {
            return;
        };
        site.rehearsal.inventory.set("databases.tls", json!("verified"));
        site.rehearsal.inventory.set("databases.tls_ca", json!(site.server.authority()));
        assert_refused(&site, &["the TLS handshake failed", "certificate contains its name"]);

        site.rehearsal.inventory.set("databases.tls", json!("required"));
        site.apply().ended_with(0);
        assert_eq!(site.loaded("apim_db").replace('|', "\t"), "loaded\t0");
    }
}
