//! The user's keystores: read, opened, looked into; PEM files made into keystores. What peers think of them is `trust`'s.

use std::collections::HashMap;
use std::sync::Arc;

use apim_protocol::value::{Secret, Sha256};

use super::FileReader;
use crate::apim::home::Home;
use crate::apim::settings::At;
use crate::apim::settings::keystores::{Keystore, KeystoreMode, Keystores, Purpose};
use crate::apim::topology::KeystoreFile;
use crate::keystore::{self, Content, Format, KeystoreError, Opened};
use crate::yaml::{Mistakes, Span};

#[cfg(test)]
mod tests;

/// A keystore larger than this is a mix-up of files.
const LARGEST: usize = 8 * 1024 * 1024;

/// What was opened so far: hosts share files, and opening one takes time on purpose.
pub(super) type Known = HashMap<(Sha256, Sha256), Result<Arc<Opened>, KeystoreError>>;

/// Returns the keystores of the user for a node whose paths are `home`; what is wrong with them is noted.
pub(super) fn provided(
    settings: &Keystores,
    home: &Home,
    files: &dyn FileReader,
    known: &mut Known,
    mistakes: &mut Mistakes,
) -> Vec<KeystoreFile> {
    let mut read: Vec<KeystoreFile> = Vec::new();
    if settings.mode != KeystoreMode::Provided {
        return read;
    }
    let mut reading = Reading { files, known, mistakes };
    for store in &settings.stores {
        let Some(file) = &store.file else { continue };
        let Some((bytes, opened)) = reading.store(store, file) else { continue };
        match home.security.join(&store.file_name) {
            Ok(path) if read.iter().any(|known| known.path == path) => {}
            Ok(path) => read.push(KeystoreFile { path, bytes, opened: Some(opened) }),
            Err(error) => reading.mistakes.add(&file.span, format!("{}: {error}", what(store, "file"))),
        }
    }
    read
}

struct Reading<'a> {
    files: &'a dyn FileReader,
    known: &'a mut Known,
    mistakes: &'a mut Mistakes,
}

impl Reading<'_> {
    fn store(&mut self, store: &Keystore, file: &At<String>) -> Option<(Arc<[u8]>, Arc<Opened>)> {
        let bytes = self.bytes(store, "file", file)?;
        let format = Format::of(&bytes);
        let wished = if store.is_pem { "PEM" } else { store.kind };
        if format.is_none_or(|format| format.word() != wished) {
            let hint = match format {
                Some(format) => format!("it is {0}: say `type: {0}`", format.word()),
                None => "`file FILE` tells what it is; `type` may be JKS, PKCS12 or PEM".to_owned(),
            };
            let text = format!("{}: `{}` is no {wished} keystore", what(store, "file"), file.value);
            self.mistakes.add_hint(&file.span, text, hint);
            return None;
        }
        if store.is_pem {
            return self.pem(store, file, bytes);
        }
        let opened = self.open(&bytes, &store.password);
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.refuse(store, file, &error);
                return None;
            }
        };
        match (&store.alias, &store.key_password) {
            (Some(alias), Some(key_password)) => {
                if let Err(error) = opened.identity(alias, key_password) {
                    self.refuse(store, file, &error);
                    return None;
                }
            }
            _ => self.holds_certificates(store, file, &opened),
        }
        Some((bytes, opened))
    }

    /// Makes a keystore of certificates and a key.
    fn pem(
        &mut self,
        store: &Keystore,
        file: &At<String>,
        mut bytes: Arc<[u8]>,
    ) -> Option<(Arc<[u8]>, Arc<Opened>)> {
        if let Some(key_file) = &store.key_file {
            let key = self.bytes(store, "key_file", key_file)?;
            bytes = [bytes.as_ref(), b"\n", key.as_ref()].concat().into();
        }
        let made = self.open(&bytes, &store.password).and_then(|opened| {
            let content = match (&store.alias, &store.key_password) {
                (Some(alias), Some(key_password)) => {
                    Content::default().identity(alias, opened.identity(alias, key_password)?)
                }
                _ => opened
                    .trusted()
                    .fold(Content::default(), |content, (alias, one)| content.trusted(alias, one.clone())),
            };
            keystore::write(Format::Jks, None, &content, &store.password)
        });
        let made: Arc<[u8]> = match made {
            Ok(made) => made.into(),
            Err(error) => {
                self.refuse(store, file, &error);
                return None;
            }
        };
        let opened = self.open(&made, &store.password).ok()?;
        if store.alias.is_none() {
            self.holds_certificates(store, file, &opened);
        }
        Some((made, opened))
    }

    fn bytes(&mut self, store: &Keystore, key: &str, file: &At<String>) -> Option<Arc<[u8]>> {
        match self.files.read(&file.value, &file.span) {
            Ok(bytes) if (1..=LARGEST).contains(&bytes.len()) => Some(bytes.into()),
            Ok(bytes) => {
                let text =
                    format!("{}: `{}` has {} bytes: no keystore", what(store, key), file.value, bytes.len());
                self.mistakes.add(&file.span, text);
                None
            }
            Err(why) => {
                let text = format!("{}: cannot read `{}`: {why}", what(store, key), file.value);
                self.mistakes.add(&file.span, text);
                None
            }
        }
    }

    fn open(&mut self, bytes: &Arc<[u8]>, password: &Secret) -> Result<Arc<Opened>, KeystoreError> {
        let key = (Sha256::of(bytes), Sha256::of(password.expose().as_bytes()));
        let opened = self.known.entry(key).or_insert_with(|| Opened::open(bytes, password).map(Arc::new));
        opened.clone()
    }

    fn holds_certificates(&mut self, store: &Keystore, file: &At<String>, opened: &Opened) {
        if opened.trusted().next().is_none() {
            let text = format!("{}: `{}` holds no trusted certificate", what(store, "file"), file.value);
            let hint = "`keytool -importcert -alias NAME -file CERTIFICATE -keystore FILE` adds one; OpenSSL's PKCS12 files lack the mark that Java looks for";
            self.mistakes.add_hint(&file.span, text, hint);
        }
    }

    fn refuse(&mut self, store: &Keystore, file: &At<String>, error: &KeystoreError) {
        let (key, span, hint) = place(store, file, error);
        let text = match error {
            KeystoreError::WrongPassword
            | KeystoreError::WrongKeyPassword(_)
            | KeystoreError::UnfitPassword(_) => {
                format!("{}: {error}: `{}`", what(store, key), file.value)
            }
            _ => format!("{}: `{}`: {error}", what(store, key), file.value),
        };
        self.mistakes.add_hint(span, text, hint);
    }
}

/// Returns the setting that an error is about, its place, and what to do.
fn place<'a>(
    store: &'a Keystore,
    file: &'a At<String>,
    error: &KeystoreError,
) -> (&'static str, &'a Span, &'static str) {
    const LIST: &str = "`keytool -list -keystore FILE` shows what is in it";
    let places = &store.places;
    match error {
        KeystoreError::WrongPassword => {
            ("password", &places.password, "`keytool -list -keystore FILE` asks for it, too")
        }
        KeystoreError::UnfitPassword(_) => {
            ("password", &places.password, "change it with keytool -storepasswd")
        }
        KeystoreError::WrongKeyPassword(_) => (
            "key_password",
            &places.key_password,
            "API Manager needs it to be that of the keystore: `keytool -keypasswd` changes it",
        ),
        KeystoreError::NoAlias { .. } | KeystoreError::NotAKey(_) => ("alias", &places.alias, LIST),
        KeystoreError::NoCertificate(_) | KeystoreError::NotAPair(_) if store.is_pem => (
            "file",
            &file.span,
            "certificates first, the key's own before its issuers; the key behind them or in `key_file`",
        ),
        KeystoreError::UnreadableKey(_) => (
            "file",
            store.key_file.as_ref().map_or(&file.span, |at| &at.span),
            "RSA is what API Manager signs with",
        ),
        KeystoreError::UnknownFormat
        | KeystoreError::Damaged(_)
        | KeystoreError::NoCertificate(_)
        | KeystoreError::NotAPair(_)
        | KeystoreError::UnreadableCertificate(_)
        | KeystoreError::NotIssued(_)
        | KeystoreError::NotWritten(_) => ("file", &file.span, LIST),
    }
}

fn what(store: &Keystore, key: &str) -> String {
    let purpose: Purpose = store.purpose;
    format!("`apim.keystores.{}.{key}`", purpose.key())
}
