//! The secure vault: decrypts `[secrets]` with the key of the keystore. And the tool that encrypts them.
//!
//! Source: wso2/carbon-kernel `DefaultSecretCallbackHandler`, wso2/cipher-tool `CipherTool` and `Utils`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, Pkcs1PrivateDecryptingKey, Pkcs1PublicEncryptingKey,
    PrivateDecryptingKey,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::config::Config;
use crate::keystore::{Keystore, KeystoreError};
use crate::launch::Launch;
use crate::log::console;

/// Why secrets cannot be decrypted.
#[derive(Debug)]
pub(crate) enum VaultError {
    /// The password of the keystore is missing.
    NoPassword,
    /// The keystore is unusable, or its password is wrong.
    Keystore(KeystoreError),
    /// The key does not decrypt the value of this alias.
    Value(String),
}

/// Decrypts the secrets of the configuration. Deletes `password-tmp`.
pub(crate) fn open(
    config: &Config,
    home: &Path,
    launch: &Launch,
) -> Result<BTreeMap<String, String>, VaultError> {
    let encrypted = config.encrypted();
    if encrypted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let text = password_text(home).ok_or(VaultError::NoPassword)?;
    let mut lines = text.lines().map(str::trim);
    let store = lines.next().unwrap_or_default().to_owned();
    let two = launch.properties.get("key.password").is_some_and(|value| value == "true");
    let key = if two { lines.next().unwrap_or_default().to_owned() } else { store.clone() };
    let keystore = vault_keystore(config, home).with_password(&store, &key);
    let identity = keystore.identity().map_err(VaultError::Keystore)?;
    encrypted
        .into_iter()
        .map(|(alias, value)| {
            let plain = decrypt(&identity.key, &value).ok_or_else(|| VaultError::Value(alias.clone()))?;
            Ok((alias, plain))
        })
        .collect()
}

fn vault_keystore(config: &Config, home: &Path) -> Keystore {
    Keystore::of(config, home, "keystore.internal")
}

/// `password-tmp` is overwritten and deleted, `password-persist` is kept, `password` becomes `password-tmp`.
fn password_text(home: &Path) -> Option<String> {
    let once = home.join("password-tmp");
    if let Ok(text) = fs::read_to_string(&once) {
        drop(fs::write(&once, "0".repeat(text.len())));
        drop(fs::remove_file(&once));
        return Some(text);
    }
    if let Ok(text) = fs::read_to_string(home.join("password-persist")) {
        return Some(text);
    }
    let text = fs::read_to_string(home.join("password")).ok()?;
    drop(fs::rename(home.join("password"), &once));
    Some(text)
}

fn decrypt(key: &[u8], value: &str) -> Option<String> {
    let bytes = STANDARD.decode(value).ok()?;
    let private = || PrivateDecryptingKey::from_pkcs8(key).ok();
    let mut out = vec![0; bytes.len().max(512)];
    let plain = match Pkcs1PrivateDecryptingKey::new(private()?).ok()?.decrypt(&bytes, &mut out) {
        Ok(plain) => plain.to_vec(),
        Err(_) => {
            let oaep = OaepPrivateDecryptingKey::new(private()?).ok()?;
            oaep.decrypt(&OAEP_SHA1_MGF1SHA1, &bytes, &mut out, None).ok()?.to_vec()
        }
    };
    String::from_utf8(plain).ok()
}

fn encrypt(key: &[u8], plain: &str) -> Option<String> {
    let public = PrivateDecryptingKey::from_pkcs8(key).ok()?.public_key();
    let public = Pkcs1PublicEncryptingKey::new(public).ok()?;
    let mut out = vec![0; public.ciphertext_size()];
    Some(STANDARD.encode(public.encrypt(plain.as_bytes(), &mut out).ok()?))
}

/// Runs the cipher tool. Returns the exit code.
pub(crate) fn tool(launch: &Launch) -> u8 {
    const KNOWN: [&str; 8] = [
        "configure",
        "change",
        "rotate",
        "old.alias",
        "symmetric",
        "password",
        "org.wso2.CipherTransformation",
        "carbon.home",
    ];
    if launch.properties.keys().any(|name| !KNOWN.contains(&name.as_str())) {
        console("This option is not defined!");
        return 255;
    }
    match configure(launch) {
        Ok(()) => 0,
        Err(text) => {
            console(&text);
            1
        }
    }
}

fn configure(launch: &Launch) -> Result<(), String> {
    let home = launch.home().ok_or("carbon.home is not set")?;
    if !home.join("repository/conf/carbon.xml").is_file() {
        return Err(format!("Error: {}/repository/conf/carbon.xml does not exist", home.display()));
    }
    let path = home.join("repository/conf/deployment.toml");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let document: toml_edit::DocumentMut =
        text.parse().map_err(|error| format!("{}: {error}", path.display()))?;
    let config = Config::of_document(&document);
    let password = match launch.properties.get("password") {
        Some(password) => password.clone(),
        None => read_password()?,
    };
    let identity = vault_keystore(&config, &home)
        .with_password(&password, &password)
        .identity()
        .map_err(|_| "Keystore was tampered with, or password was incorrect".to_owned())?;
    console("Primary KeyStore of Carbon Server is initialized Successfully");
    let mut file = fs::File::create(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let written = rewritten(&text, &identity.key)?;
    file.write_all(written.as_bytes()).map_err(|error| error.to_string())?;
    console("Encryption is done Successfully");
    let folder = home.join("repository/conf/security");
    let properties = "keystore.identity.location=repository/resources/security/wso2carbon.jks\nsecretRepositories.file.algorithm=RSA\n";
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(folder.join("secret-conf.properties"), properties))
        .map_err(|error| error.to_string())?;
    console("Secret Configurations are written to the property file successfully");
    Ok(())
}

/// Every line after `[secrets]` must be `key = "value"`; other lines end the tool after the file was emptied.
fn rewritten(text: &str, key: &[u8]) -> Result<String, String> {
    let mut out = String::new();
    let mut in_secrets = false;
    for line in text.lines() {
        if in_secrets && !line.trim().is_empty() {
            let (alias, value) =
                line.split_once('=').ok_or_else(|| format!("Error while reading the line: {line}"))?;
            let value = value.trim().trim_matches('"');
            let plain = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            let value = match plain {
                Some(plain) => encrypt(key, plain).ok_or("Error while encrypting a value")?,
                None => value.to_owned(),
            };
            out.push_str(&format!("{} = \"{value}\"\n", alias.trim()));
        } else {
            in_secrets = in_secrets || line.trim() == "[secrets]";
            out.push_str(line);
            out.push('\n');
        }
    }
    Ok(out)
}

fn read_password() -> Result<String, String> {
    console("[Please Enter Primary KeyStore Password of Carbon Server : ]");
    let mut line = String::new();
    match io::stdin().read_line(&mut line) {
        Ok(length) if length > 0 => Ok(line.trim().to_owned()),
        _ => Err("no console to read from".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decrypted_and_text_after_secrets_fails() {
        let mut store = jks::KeyStore::new();
        store
            .load(&include_bytes!("../keystores/wso2carbon-4.6.jks")[..], b"wso2carbon")
            .expect("the keystore of the fixture");
        let key = store.get_private_key_entry("wso2carbon", b"wso2carbon").expect("the key").private_key;
        let out = rewritten("[a]\nb = \"$secret{x}\"\n[secrets]\nx = \"[plain text]\"\n", &key)
            .expect("it is encrypted");
        let value = out
            .lines()
            .last()
            .and_then(|line| line.strip_prefix("x = \"")?.strip_suffix('"'))
            .expect("a value");
        assert_eq!(value.len(), 344);
        assert_eq!(decrypt(&key, value).as_deref(), Some("plain text"));
        assert!(rewritten("[secrets]\nx = \"[a]\"\n# a comment\n", &key).is_err());
    }
}
