//! `[keystore.*]`, `[truststore]`, `[encryption]`.

use super::context::RenderContext;
use super::tree::Table;
use crate::release::Series;
use crate::settings::keystores::{KeystoreMode, Purpose};

pub(super) fn section(context: &RenderContext<'_>, root: &mut Table) {
    let settings = &context.node.settings;
    for store in &settings.keystores.stores {
        let what = match store.purpose {
            Purpose::Tls => "the certificate of every TLS port",
            Purpose::Primary => "signs tokens; the same on all nodes",
            Purpose::Internal => "encrypts stored secrets; the same on all nodes, never changed",
            Purpose::Truststore => "authorities that this node trusts",
        };
        let about = match settings.keystores.mode {
            KeystoreMode::Shipped => "as shipped: its private key is public".to_owned(),
            KeystoreMode::Provided => {
                format!("{what}; from the inventory: apim.keystores.{}", store.purpose.key())
            }
            KeystoreMode::Issued => format!("{what}; issued by the cluster's authority"),
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
    if context.node.version.series() >= Series::V4_7
        && let Some(key) = &settings.encryption_key
    {
        // Must be a table: the start script does not detect the dotted form, and would append its
        // own key.
        root.put(
            "encryption",
            Table::about("from the inventory: apim.encryption_key; the same on all nodes").set("key", key),
        );
    }
}
