//! `[keystore.*]`, `[truststore]`, `[encryption]`.

use super::Scene;
use super::tree::Table;
use crate::apim::release::Series;
use crate::apim::settings::keystores::{KeystoreMode, Purpose};

pub(super) fn section(scene: &Scene<'_>, root: &mut Table) {
    let settings = &scene.node.settings;
    for store in &settings.keystores.stores {
        let about = match (settings.keystores.mode, store.purpose) {
            (KeystoreMode::Shipped, _) => "as shipped: everybody has this key",
            (KeystoreMode::Provided, Purpose::Tls) => {
                "what every TLS port shows; from the inventory: apim.keystores.tls"
            }
            (KeystoreMode::Provided, Purpose::Primary) => {
                "signs tokens; the same on all nodes; from the inventory: apim.keystores.primary"
            }
            (KeystoreMode::Provided, Purpose::Internal) => {
                "encrypts stored secrets; the same on all nodes, for ever; from the inventory: apim.keystores.internal"
            }
            (KeystoreMode::Provided, Purpose::Truststore) => {
                "whom this node trusts; from the inventory: apim.keystores.truststore"
            }
        };
        root.put(
            store.purpose.table(),
            Table::about(about)
                .set("file_name", &store.file_name)
                .set("type", store.kind)
                .set("password", &store.password)
                .set_some("alias", store.alias.as_ref())
                .set_some("key_password", store.key_password.as_ref()),
        );
    }
    if scene.node.version.series() >= Series::V4_7
        && let Some(key) = &settings.encryption_key
    {
        // As a table: the start script does not see the dotted form, and would append a key of its own.
        root.put(
            "encryption",
            Table::about("from the inventory: apim.encryption_key; the same on all nodes").set("key", key),
        );
    }
}
