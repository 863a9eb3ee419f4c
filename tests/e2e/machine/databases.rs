//! Databases created through OpenSSH's port forwarding: an empty server, one apply, a healthy cluster.

use apim_tests::machine::{DATABASE_ADMIN, DATABASE_ADMIN_PASSWORD, Kind, Topology};
use serde_json::json;

use super::Site;
use crate::{assert_nothing_changed, changed};

fn site(kind: Kind) -> Option<Site> {
    let mut site = Site::up(&Topology::single().expect("a topology").on(kind))?;
    site.inventory.set("databases.create", json!(true));
    site.inventory
        .set("databases.admin", json!({"username": DATABASE_ADMIN, "password": DATABASE_ADMIN_PASSWORD}));
    Some(site)
}

#[test]
fn cluster_starts_on_empty_mariadb() {
    let Some(site) = site(Kind::EmptyDatabase) else { return };
    let first = site.run("apply", &[]).ended_with(0);
    assert!(!first.text().contains(DATABASE_ADMIN_PASSWORD), "a password was printed");
    let count =
        "mariadb -N -e \"SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'apim_db'\"";
    let tables: usize = site.sh("db", count).trim().parse().expect("a number");
    assert!(tables > 200, "{tables} tables");
    site.assert_up_to_date();

    // A host that may not log in is reported before any change.
    let refuse = "mariadb -e \"RENAME USER 'sharedadmin'@'%' TO 'sharedadmin'@'203.0.113.1'\"";
    site.sh("db", refuse);
    let text = site.run("apply", &[]).ended_with(1).text();
    assert!(text.contains("`shared_db`") && text.contains("`sharedadmin`") && text.contains("gw1"), "{text}");
}

#[test]
fn empty_postgresql_is_loaded_through_openssh() {
    let Some(mut site) = site(Kind::EmptyPostgresql) else { return };
    site.inventory.set("databases.type", json!("postgresql"));
    let playbook = ["--playbook", "databases"];
    assert!(changed(&site.run_json("apply", &playbook).ended_with(0)) >= 1);
    assert_nothing_changed(site.run_json("apply", &playbook));

    // A server without port forwarding is reported.
    site.sh(
        "cp1",
        "echo 'AllowTcpForwarding no' > /etc/ssh/sshd_config.d/none.conf && systemctl restart ssh",
    );
    let text = site.run("apply", &playbook).ended_with(1).text();
    assert!(text.contains("does not allow forwarding") && text.contains("AllowTcpForwarding"), "{text}");
}
