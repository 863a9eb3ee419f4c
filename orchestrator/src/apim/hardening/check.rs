//! What is not fit for production, as far as the inventory tells: a mistake under `hardening: production`, a line of the audit always.

use crate::apim::settings::hardening::Verifier;
use crate::apim::settings::keystores::KeystoreMode;
use crate::apim::topology::Node;
use crate::yaml::{Mistakes, Span};

/// Passwords that are in the product's documentation and samples, or that everybody tries first.
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
/// The shortest password of the administrator that production takes; the product itself takes 5.
const SHORTEST: usize = 8;

/// One thing that is not fit for production.
#[derive(Debug, Clone, PartialEq)]
pub struct Unfit {
    /// Which rule, as the audit calls it.
    pub rule: Rule,
    /// Where it was written.
    pub span: Span,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub hint: &'static str,
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Passwords are not those of the documentation.
    Passwords,
    /// Keystores are the user's own.
    Keystores,
    /// Data is on a database server.
    Database,
    /// Names in certificates are looked at.
    Verifier,
}

/// Returns what of `node` is not fit for production.
#[must_use]
pub fn unfit(node: &Node) -> Vec<Unfit> {
    let settings = &node.settings;
    let mut found = Vec::new();
    let mut say = |rule, span: Option<&Span>, what: String, hint| {
        let span = span.or(settings.hardening.span.as_ref()).unwrap_or(&settings.span).clone();
        found.push(Unfit { rule, span, what, hint });
    };
    let better = "choose a long random one, and keep it in `!vault`, `!env` or `!file`";
    if let Some(admin) = &settings.admin {
        let place = settings.place_of("admin");
        match admin.password.expose() {
            password if is_common(password, &admin.username) => {
                say(
                    Rule::Passwords,
                    place,
                    "`apim.admin.password` is one that everybody knows".to_owned(),
                    better,
                );
            }
            password if password.chars().count() < SHORTEST => {
                let what = format!("`apim.admin.password` has fewer than {SHORTEST} characters");
                say(Rule::Passwords, place, what, better);
            }
            _ => {}
        }
    }
    if let Some(databases) = &settings.databases {
        for (name, database) in [("apim_db", &databases.apim_db), ("shared_db", &databases.shared_db)] {
            if is_common(database.password.expose(), &database.username) {
                let what = format!("`apim.databases.{name}.password` is one that everybody knows");
                say(Rule::Passwords, Some(&databases.span), what, better);
            }
        }
    } else {
        say(
            Rule::Database,
            None,
            "`apim` has no `databases`: data would lie in H2 files of the node".to_owned(),
            "give a database server: H2 is for trying out",
        );
    }
    if settings.keystores.mode == KeystoreMode::Shipped {
        let place = settings.place_of("keystores");
        say(
            Rule::Keystores,
            place,
            "the shipped keystores are used, whose private key everybody has".to_owned(),
            "`apim: {keystores: …}` with keystores of your own",
        );
    } else {
        for store in &settings.keystores.stores {
            if is_common(store.password.expose(), "") {
                let what =
                    format!("`apim.keystores.{}.password` is one that everybody knows", store.purpose.key());
                let place = store.file.as_ref().map_or(&settings.keystores.span, |file| &file.span);
                say(Rule::Keystores, Some(place), what, "change it with `keytool -storepasswd`");
            }
        }
    }
    found
}

fn is_common(password: &str, username: &str) -> bool {
    COMMON.iter().any(|common| common.eq_ignore_ascii_case(password)) || password == username
}

/// Notes as mistakes what is not fit for production, on nodes that are to be fit, and switches that contradict the rest.
pub(in crate::apim) fn nodes(nodes: &[Node], mistakes: &mut Mistakes) {
    for node in nodes {
        let hardening = &node.settings.hardening;
        if hardening.production {
            for Unfit { span, what, hint, .. } in unfit(node) {
                mistakes.add_hint(&span, format!("{what}, and `apim.hardening` is `production`"), hint);
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
                "`apim.hardening.hostname_verifier` is `strict`, and the certificate of the shipped keystores names only localhost",
                "give keystores of your own, or leave the verifier as it is",
            );
        }
    }
}
