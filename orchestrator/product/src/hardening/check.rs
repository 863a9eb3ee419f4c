//! Finds settings in the inventory that are unsuitable for production: an error with `hardening:
//! production`, and always an audit item.

use crate::settings::hardening::Verifier;
use crate::settings::keystores::KeystoreMode;
use crate::topology::Node;
use crate::yaml::{Mistakes, Span};

/// Passwords from the product's documentation and samples, and other common passwords.
const COMMON: [&str; 14] = [
    "admin",
    "wso2carbon",
    "wso2",
    "password",
    "changeit",
    "changeme",
    "secret",
    "root",
    "apimadmin",
    "sharedadmin",
    "apim",
    "12345678",
    "admin123",
    "wso2admin",
];
/// The shortest administrator password for production; the product itself accepts 5 characters.
const SHORTEST: usize = 8;

/// A setting that is unsuitable for production.
#[derive(Debug, Clone, PartialEq)]
pub struct Unfit {
    /// The violated rule.
    pub rule: Rule,
    /// The source position.
    pub span: Span,
    /// The message.
    pub what: String,
    /// The hint.
    pub hint: &'static str,
}

/// A rule for production.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// No default or common passwords.
    Passwords,
    /// Custom keystores.
    Keystores,
    /// A database server instead of H2.
    Database,
    /// Host names in certificates are verified.
    Verifier,
}

/// Returns the settings of `node` that are unsuitable for production.
#[must_use]
pub fn unfit(node: &Node) -> Vec<Unfit> {
    let settings = &node.settings;
    let mut found = Vec::new();
    let mut add = |rule, span: Option<&Span>, what: String, hint| {
        let span = span.or(settings.hardening.span.as_ref()).unwrap_or(&settings.span).clone();
        found.push(Unfit { rule, span, what, hint });
    };
    let better = "choose a long random password and store it in `!vault`, `!env` or `!file`";
    if let Some(admin) = &settings.admin {
        let place = settings.place_of("admin");
        match admin.password.expose() {
            password if is_common(password, &admin.username) => {
                add(Rule::Passwords, place, "`apim.admin.password` is a common password".to_owned(), better);
            }
            password if password.chars().count() < SHORTEST => {
                let what = format!("`apim.admin.password` has fewer than {SHORTEST} characters");
                add(Rule::Passwords, place, what, better);
            }
            _ => {}
        }
    }
    if let Some(databases) = &settings.databases {
        for (name, database) in [("apim_db", &databases.apim_db), ("shared_db", &databases.shared_db)] {
            if is_common(database.password.expose(), &database.username) {
                let what = format!("`apim.databases.{name}.password` is a common password");
                add(Rule::Passwords, Some(&databases.span), what, better);
            }
        }
    } else {
        add(
            Rule::Database,
            None,
            "`apim` has no `databases`: data would be stored in H2 files on the node".to_owned(),
            "configure a database server: H2 is for evaluation only",
        );
    }
    if settings.keystores.mode == KeystoreMode::Shipped {
        let place = settings.place_of("keystores");
        add(
            Rule::Keystores,
            place,
            "the shipped keystores are used, but their private key is public".to_owned(),
            "configure custom keystores with `apim: {keystores: …}`",
        );
    } else {
        for store in &settings.keystores.stores {
            if is_common(store.password.expose(), "") {
                let what = format!("`apim.keystores.{}.password` is a common password", store.purpose.key());
                let place = store.file.as_ref().map_or(&settings.keystores.span, |file| &file.span);
                add(Rule::Keystores, Some(place), what, "change it with `keytool -storepasswd`");
            }
        }
    }
    found
}

fn is_common(password: &str, username: &str) -> bool {
    COMMON.iter().any(|common| common.eq_ignore_ascii_case(password)) || password == username
}

/// Adds an error for each unsuitable setting of a production node, and for contradictory settings.
pub(crate) fn nodes(nodes: &[Node], mistakes: &mut Mistakes) {
    for node in nodes {
        let hardening = &node.settings.hardening;
        if hardening.production {
            for Unfit { span, what, hint, .. } in unfit(node) {
                mistakes.add_hint(&span, format!("{what}, but `apim.hardening` is `production`"), hint);
            }
        }
        let strict = hardening.hostname_verifier == Verifier::Strict;
        if strict
            && !hardening.production
            && node.settings.keystores.mode == KeystoreMode::Shipped
            && let Some(span) = &hardening.verifier_span
        {
            mistakes.add_hint(
                span,
                "`apim.hardening.hostname_verifier` is `strict`, but the certificate of the shipped keystores names only localhost",
                "configure custom keystores, or remove `hostname_verifier`",
            );
        }
    }
}
