//! `apim.keystores.{primary,internal,tls,truststore}`: files provided by the user.

use apim_protocol::value::Secret;

use super::model::{Keystore, Places, Purpose, check_password};
use crate::settings::read::{Section, Spanned};
use crate::yaml::Mistakes;

/// The default alias of a key created from PEM files: that of the shipped keystore.
const ALIAS: &str = "wso2carbon";

/// Returns the valid keystores, and whether any keystore is set.
pub(super) fn read_all(section: &mut Section<'_, '_>) -> (Vec<Keystore>, bool) {
    let (mut stores, mut given) = (Vec::new(), false);
    for purpose in Purpose::ALL {
        if let Some(part) = section.section(purpose.key()) {
            given = true;
            stores.extend(keystore(purpose, part));
        }
    }
    (stores, given)
}

/// Adds errors for keystores that would overwrite each other on the host.
pub(super) fn reject_name_clashes(stores: &[Keystore], mistakes: &mut Mistakes) {
    let content = |store: &Keystore| {
        let text = |at: &Option<Spanned<String>>| at.as_ref().map(|at| at.value.clone());
        (
            text(&store.file),
            text(&store.key_file),
            store.is_pem.then(|| (store.alias.clone(), store.password.clone())),
        )
    };
    for (at, store) in stores.iter().enumerate() {
        let clash = stores
            .iter()
            .take(at)
            .find(|other| other.file_name == store.file_name && content(other) != content(store));
        if let (Some(_), Some(file)) = (clash, &store.file) {
            let what = format!("two keystores have the same file name `{}` on the host", store.file_name);
            mistakes.add_hint(&file.span, what, "rename one of the files");
        }
    }
}

/// The values of one section.
struct Values {
    file: Option<Spanned<String>>,
    key_file: Option<Spanned<String>>,
    kind: &'static str,
    password: Option<Spanned<Secret>>,
    alias: Option<Spanned<String>>,
    key_password: Option<Spanned<Secret>>,
}

impl Values {
    fn read(part: &mut Section<'_, '_>) -> Self {
        let file = part.text("file");
        let key_file = part.text("key_file");
        let kind = part.word("type", &[("JKS", "JKS"), ("PKCS12", "PKCS12"), ("PEM", "PEM")]);
        let kind = kind.unwrap_or_else(|| kind_of(file.as_ref()));
        Self {
            file,
            key_file,
            kind,
            password: part.secret("password"),
            alias: part.text("alias"),
            key_password: part.secret("key_password"),
        }
    }

    fn is_pem(&self) -> bool {
        self.kind == "PEM"
    }

    /// Adds errors for missing values and for values that do not fit the purpose or the type.
    fn check(&self, purpose: Purpose, part: &mut Section<'_, '_>) {
        if self.file.is_none() {
            part.missing("file", "a path on this machine, relative to the inventory's folder");
        }
        if self.password.is_none() {
            part.missing("password", "a text, preferably `!vault`, `!env` or `!file`");
        }
        for (key, secret) in [("password", &self.password), ("key_password", &self.key_password)] {
            if let Some(secret) = secret {
                check_password(secret, &part.path(key), part.mistakes);
            }
        }
        if purpose == Purpose::Truststore {
            self.check_truststore(part);
        } else {
            self.check_key(part);
        }
        self.check_key_password(part);
    }

    fn check_truststore(&self, part: &mut Section<'_, '_>) {
        if self.alias.is_some() || self.key_password.is_some() || self.key_file.is_some() {
            let span = part.span().clone();
            part.mistakes
                .add(&span, "`alias`, `key_file` and `key_password` are not supported for a truststore");
        }
    }

    fn check_key(&self, part: &mut Section<'_, '_>) {
        if self.is_pem() {
            return;
        }
        if let Some(key_file) = &self.key_file {
            let what = format!("`{}` is only supported for PEM files", part.path("key_file"));
            let hint = "a JKS or PKCS12 file contains its key; for PEM files set `type: PEM`";
            part.mistakes.add_hint(&key_file.span, what, hint);
        }
        if self.alias.is_none() {
            part.missing("alias", "get it with `keytool -list -keystore FILE`");
        }
    }

    /// The product opens store and key with one password (documentation, "creating new keystores").
    fn check_key_password(&self, part: &mut Section<'_, '_>) {
        if let (Some(store), Some(key)) = (&self.password, &self.key_password)
            && store.value != key.value
        {
            part.mistakes.add_hint(
                &key.span,
                format!("`{}` differs from `password`", part.path("key_password")),
                "API Manager requires the same password for both: change one with keytool",
            );
        }
    }
}

/// Returns the type that the ending of the file's name suggests.
fn kind_of(file: Option<&Spanned<String>>) -> &'static str {
    let name = file.map(|file| file.value.to_ascii_lowercase()).unwrap_or_default();
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    if ends(&[".p12", ".pfx"]) {
        "PKCS12"
    } else if ends(&[".pem", ".crt", ".cer"]) {
        "PEM"
    } else {
        "JKS"
    }
}

/// Returns the name of the user's file; one that is not allowed on a host is an error.
fn file_name(file: &Spanned<String>, part: &mut Section<'_, '_>) -> String {
    let name = file.value.rsplit('/').next().unwrap_or_default();
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
        let what = format!(
            "`{}`: invalid file name `{name}` (allowed: letters, digits, `-`, `_`, `.`)",
            part.path("file")
        );
        part.mistakes.add(&file.span, what);
    }
    name.to_owned()
}

fn keystore(purpose: Purpose, mut part: Section<'_, '_>) -> Option<Keystore> {
    let values = Values::read(&mut part);
    values.check(purpose, &mut part);
    let own_name = values.file.as_ref().map(|file| file_name(file, &mut part));
    let whole = part.span().clone();
    part.finish();
    let (is_pem, is_truststore) = (values.is_pem(), purpose == Purpose::Truststore);
    let Values { file, key_file, kind, password, alias, key_password } = values;
    let (file, password, own_name) = (file?, password?, own_name?);
    let places = Places {
        password: password.span.clone(),
        key_password: key_password.as_ref().map_or_else(|| password.span.clone(), |at| at.span.clone()),
        alias: alias.as_ref().map_or_else(|| whole.clone(), |at| at.span.clone()),
        whole,
    };
    let password = password.value;
    let stem = own_name.rsplit_once('.').map_or(own_name.as_str(), |(stem, _)| stem);
    Some(Keystore {
        purpose,
        file_name: if is_pem { format!("{stem}.jks") } else { own_name.clone() },
        kind: if is_pem { "JKS" } else { kind },
        is_pem,
        alias: alias.map(|at| at.value).or_else(|| (is_pem && !is_truststore).then(|| ALIAS.to_owned())),
        key_password: (!is_truststore).then(|| key_password.map_or_else(|| password.clone(), |at| at.value)),
        file: Some(file),
        key_file,
        password,
        places,
    })
}
