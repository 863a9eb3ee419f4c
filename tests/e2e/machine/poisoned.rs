//! Secrets of every kind in one inventory, and the search for them afterwards, everywhere that they must not be.

use std::fs;

use apim_deploy::vault::{Password, encrypt};
use apim_protocol::value::Secret;
use apim_tests::machine::{DEPLOY_WITH_PASSWORD, SUDO_PASSWORD};
use apim_tests::poison::{Poison, Which};
use serde_json::json;

use super::Site;

/// Keystores that every test cluster may use: their keys are known to everybody.
const KEYSTORE: &[u8] = include_bytes!("../../standin/keystores/wso2carbon-4.6.jks");
const TRUSTSTORE: &[u8] = include_bytes!("../../standin/keystores/client-truststore-4.6.jks");
const SHIPPED: &[u8] = b"wso2carbon";

/// Gives the cluster secrets that can be recognized: written plainly, in a vault, in the environment, in a file; in the settings, in the
/// database, in keystores, for sudo on one host.
pub(super) fn poison(site: &mut Site) -> Poison {
    let mut poison = Poison::default();
    site.inventory.set("admin.password", json!(poison.brew("the administrator's password")));

    let vault_password = poison.brew("the vault's password");
    let password = Password { label: None, secret: Secret::new(vault_password.clone()) };
    let in_vault = poison.brew("the password of apim_db, from a vault");
    let vault = encrypt(in_vault.as_bytes(), &password).expect("a vault");
    site.inventory.set_tagged("databases.apim_db.password", &format!("!vault |\n{vault}"));
    let file = site.operator.file("home/vault-password", &vault_password);
    site.operator.set_variable("ANSIBLE_VAULT_PASSWORD_FILE", &file.to_string_lossy());

    let in_environment = poison.brew("the password of shared_db, from the environment");
    site.inventory.set_tagged("databases.shared_db.password", "!env SHARED_DB_PASSWORD");
    site.operator.set_variable("SHARED_DB_PASSWORD", &in_environment);
    for (user, password) in [("apimadmin", &in_vault), ("sharedadmin", &in_environment)] {
        site.sh("db", &format!("mariadb -e \"ALTER USER '{user}'@'%' IDENTIFIED BY '{password}'\""));
    }

    let in_file = poison.brew("the keystore's password, from a file");
    site.operator.file("secrets/keystore", &in_file);
    fs::write(site.operator.folder().join("tls.jks"), with_password(KEYSTORE, &in_file)).expect("a keystore");
    let of_truststore = poison.brew("the truststore's password");
    let truststore = with_password(TRUSTSTORE, &of_truststore);
    fs::write(site.operator.folder().join("truststore.jks"), truststore).expect("a truststore");
    site.inventory.set("keystores.mode", json!("provided"));
    // Its certificate names localhost only, which is said, and no matter here.
    site.inventory.set("keystores.on_mismatch", json!("warn"));
    site.inventory.set("keystores.tls", json!({"file": "tls.jks", "alias": "wso2carbon"}));
    site.inventory.set_tagged("keystores.tls.password", "!file secrets/keystore");
    site.inventory.set("keystores.truststore", json!({"file": "truststore.jks", "password": of_truststore}));

    // On two hosts in other forms: as variables of the service, and encrypted by the cipher tool.
    site.inventory.host("gw2", "apim", json!({"secrets": "environment"}));
    site.inventory.host("km2", "apim", json!({"secrets": "cipher"}));

    poison.add("the sudo password", SUDO_PASSWORD);
    site.inventory.host("tm1", "ansible_user", json!(DEPLOY_WITH_PASSWORD));
    site.inventory.host("tm1", "ansible_become_password", json!(SUDO_PASSWORD));
    poison
}

/// Returns a shipped JKS keystore with another password for itself and its keys.
fn with_password(keystore: &[u8], password: &str) -> Vec<u8> {
    let mut store = jks::KeyStore::new();
    store.load(keystore, SHIPPED).expect("a shipped keystore");
    for alias in store.aliases() {
        if store.is_private_key_entry(&alias) {
            let entry = store.get_private_key_entry(&alias, SHIPPED).expect("its key");
            store.set_private_key_entry(&alias, entry, password.as_bytes()).expect("its key again");
        }
    }
    let mut bytes = Vec::new();
    store.store(&mut bytes, password.as_bytes()).expect("a keystore");
    bytes
}

/// No secret is in what was printed, in journals and logs, or in a file that everybody can read; and the search would have found one.
pub(super) fn nothing_leaked(site: &Site, poison: &Poison, outputs: &str) {
    assert_eq!(poison.in_bytes(outputs.as_bytes()), Vec::<String>::new(), "secrets in the output");
    let own = poison.in_files(site.operator.folder(), Which::Everyone);
    // Where the operator put them.
    let put = ["/inventory.yaml:", "/secrets/keystore:", "/home/vault-password:"];
    let own: Vec<_> = own.into_iter().filter(|found| !put.iter().any(|file| found.contains(file))).collect();
    assert_eq!(own, Vec::<String>::new(), "secrets in the operator's files, besides those that hold them");

    let mut deployed = 0;
    for host in site.lab.hosts().iter().filter(|host| host.name != "db") {
        let journal = site.sh(&host.name, "journalctl --no-pager --output=export");
        assert!(journal.contains("sshd"), "{}: the journal was not read", host.name);
        assert_eq!(
            poison.in_bytes(journal.as_bytes()),
            Vec::<String>::new(),
            "{}: secrets in the journal",
            host.name
        );
        let disk = site.lab.layer(&host.name);
        assert_eq!(
            poison.in_files(&disk, Which::World),
            Vec::<String>::new(),
            "secrets that everybody can read"
        );
        for folder in ["var/lib/apim-deploy", "var/log", "tmp", "home", "root"] {
            let found = poison.in_files(&disk.join(folder), Which::Everyone);
            assert_eq!(found, Vec::<String>::new(), "secrets where none belong");
        }
        let logs = disk.join("opt/wso2");
        let found = poison.in_files(&logs, Which::Everyone);
        assert!(!found.iter().any(|path| path.contains("/logs/")), "secrets in logs: {found:?}");
        let holds = |path: &&String| path.contains("deployment.toml") || path.contains("secrets.env");
        deployed += found.iter().filter(holds).count();
        for (only, names) in [("gw2", "deployment.toml"), ("km2", "administrator")] {
            let leaked = found.iter().any(|path| path.contains(names));
            assert!(host.name != only || !leaked, "{only}: secrets in a form that was not wished: {found:?}");
        }
    }
    assert!(
        deployed >= 8,
        "the search sees only {deployed} configurations, so it would not see a leak either"
    );
    site.sh(
        "gw1",
        "cp /opt/wso2/gateway/current/repository/conf/deployment.toml /var/tmp/leak; chmod 644 /var/tmp/leak",
    );
    assert!(!poison.in_files(&site.lab.layer("gw1"), Which::World).is_empty(), "a planted leak is not found");
    site.sh("gw1", "rm /var/tmp/leak");
}
