//! The folder of issued certificates, next to the inventory: the authority, certificates, and all
//! private keys in one vault-encrypted file. `apim_product::pki` decides what is issued and when.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::PathBuf;

use apim_protocol::value::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::app::exit::{Exit, Kind};
use apim_documents::vault::{Password, VaultError, decrypt, encrypt};
use apim_product::keystore::{Authority, Certificate, Content, Format, Opened, PrivateKey, write};
use apim_product::pki::{DueCertificate, Material};
use apim_product::yaml::{Mistake, Mistakes, Span};

/// Name of the authority among keys and certificates.
const AUTHORITY: &str = "ca";
/// File of all private keys, vault-encrypted.
const KEYS: &str = "keys.vault";
/// Lock file, locked while writing.
const LOCK: &str = ".lock";

/// The folder of issued certificates.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    passphrase: Secret,
    /// Where the inventory sets the passphrase.
    span: Span,
}

impl Folder {
    pub(crate) fn new(path: PathBuf, passphrase: Secret, span: Span) -> Self {
        Self { path, passphrase, span }
    }

    /// Reads all keys and certificates; a missing folder is empty.
    pub(crate) fn read(&self) -> Result<Material, Exit> {
        let mut material = Material::default();
        let Some(mut keys) = self.keys()? else {
            return match self.certificate(AUTHORITY)? {
                None => Ok(material),
                Some(_) => Err(self.lost(&format!("it contains `{AUTHORITY}.crt`, but no `{KEYS}`"))),
            };
        };
        let Some(certificate) = self.certificate(AUTHORITY)? else {
            return Err(self.lost(&format!("it contains `{KEYS}`, but no `{AUTHORITY}.crt`")));
        };
        let Some(key) = keys.remove(AUTHORITY).filter(|key| key.is_of(&certificate)) else {
            return Err(self.lost(&format!("`{KEYS}` does not contain the key of `{AUTHORITY}.crt`")));
        };
        material.authority = Some(Authority { certificate, key });
        for name in keys.keys() {
            if let Some(certificate) = self.certificate(name)? {
                material.certificates.insert(name.clone(), certificate);
            }
        }
        material.keys = keys;
        Ok(material)
    }

    /// Returns the authority's certificate, if there is one.
    pub(crate) fn authority(&self) -> Result<Option<Certificate>, Exit> {
        self.certificate(AUTHORITY)
    }

    /// Waits for the write lock and holds it until the result is dropped.
    pub(crate) fn lock(&self) -> Result<fs::File, Exit> {
        let locked = (|| {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.path)?;
            fs::set_permissions(&self.path, fs::Permissions::from_mode(0o700))?;
            let file = fs::OpenOptions::new().create(true).append(true).open(self.path.join(LOCK))?;
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
            file.lock()?;
            Ok(file)
        })();
        locked.map_err(|error: io::Error| self.unwritable(&error))
    }

    /// Writes new certificates. Keys are written first, so that no certificate lacks its key.
    pub(crate) fn save(&self, material: &Material, made: &[DueCertificate]) -> Result<(), Exit> {
        let mut keys: BTreeMap<&str, String> = BTreeMap::new();
        for (name, key) in &material.keys {
            keys.insert(name, STANDARD.encode(key.as_pkcs8()));
        }
        if let Some(authority) = &material.authority {
            keys.insert(AUTHORITY, STANDARD.encode(authority.key.as_pkcs8()));
        }
        let text = serde_json::to_string(&keys)
            .map_err(|error| Exit::new(Kind::Bug, format!("cannot encode the private keys: {error}")))?;
        let text = Zeroizing::new(text);
        let password = Password { label: None, secret: self.passphrase.clone() };
        let sealed = encrypt(text.as_bytes(), &password)
            .map_err(|error| Exit::new(Kind::Failed, format!("cannot encrypt the private keys: {error}")))?;
        self.put(KEYS, sealed.as_bytes())?;
        for due in made {
            let certificate = if due.required.name == AUTHORITY {
                material.authority.as_ref().map(|authority| &authority.certificate)
            } else {
                material.certificates.get(&due.required.name)
            };
            if let Some(certificate) = certificate {
                let content = Content::default().trusted(&due.required.name, certificate.clone());
                let text = write(Format::Pem, None, &content, &self.passphrase)
                    .map_err(|error| Exit::from_error(Kind::Failed, &error))?;
                self.put(&format!("{}.crt", due.required.name), &text)?;
            }
        }
        Ok(())
    }

    /// Reads a file; `None` if it does not exist.
    pub(crate) fn get(&self, name: &str) -> Result<Option<Vec<u8>>, Exit> {
        let path = self.path.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Exit::new(Kind::Usage, format!("cannot read `{}`: {error}", path.display()))),
        }
    }

    /// Writes a file atomically.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) -> Result<(), Exit> {
        let written = (|| {
            let mut file = tempfile::NamedTempFile::new_in(&self.path)?;
            file.as_file().set_permissions(fs::Permissions::from_mode(0o600))?;
            file.write_all(bytes)?;
            file.as_file().sync_all()?;
            file.persist(self.path.join(name))?;
            Ok(())
        })();
        written.map_err(|error: io::Error| self.unwritable(&error))
    }

    fn certificate(&self, name: &str) -> Result<Option<Certificate>, Exit> {
        let Some(bytes) = self.get(&format!("{name}.crt"))? else { return Ok(None) };
        let opened = Opened::open(&bytes, &Secret::default());
        let found = opened.map(|opened| opened.trusted().next().map(|(_, one)| one.clone()));
        match found {
            Ok(Some(certificate)) => Ok(Some(certificate)),
            Ok(None) => Err(self.lost(&format!("`{name}.crt` contains no certificate"))),
            Err(error) => Err(self.lost(&format!("`{name}.crt`: {error}"))),
        }
    }

    fn keys(&self) -> Result<Option<BTreeMap<String, PrivateKey>>, Exit> {
        let Some(sealed) = self.get(KEYS)? else { return Ok(None) };
        let password = Password { label: None, secret: self.passphrase.clone() };
        let plain = decrypt(&String::from_utf8_lossy(&sealed), &[password]).map_err(|error| match error {
            VaultError::WrongPassword { .. } => Exit::from(Mistakes(vec![Mistake {
                span: self.span.clone(),
                what: format!(
                    "`apim.keystores.passphrase` does not decrypt `{}`",
                    self.path.join(KEYS).display()
                ),
                hint: Some(
                    "set the passphrase that the file was created with; `ansible-vault rekey` changes it"
                        .to_owned(),
                ),
            }])),
            error => self.lost(&format!("`{KEYS}`: {error}")),
        })?;
        let read: Option<BTreeMap<String, String>> = serde_json::from_slice(&plain).ok();
        let decoded = read.and_then(|keys| {
            keys.into_iter()
                .map(|(name, key)| Some((name, PrivateKey::from_pkcs8(STANDARD.decode(key).ok()?))))
                .collect()
        });
        match decoded {
            Some(keys) => Ok(Some(keys)),
            None => Err(self.lost(&format!("invalid content in `{KEYS}`"))),
        }
    }

    fn lost(&self, why: &str) -> Exit {
        let text =
            format!("the folder of issued certificates `{}` is incomplete: {why}", self.path.display());
        Exit::new(Kind::Usage, text).hint(
            "restore it from a backup; deleting the folder creates a new authority and a new shared key, and data encrypted with the old key is lost",
        )
    }

    fn unwritable(&self, error: &io::Error) -> Exit {
        let text = format!("cannot write the issued certificates to `{}`: {error}", self.path.display());
        Exit::new(Kind::Failed, text).hint("set another folder with `apim: {keystores: {folder: …}}`")
    }
}
