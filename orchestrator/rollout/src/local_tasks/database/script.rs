//! Reads the distribution's scripts from the verified zip on this machine.

use std::borrow::Cow;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use apim_protocol::outcome::Failure;
use apim_protocol::value::Sha256;

use super::outline::Outline;
use super::split::{Dialect, Statement, split};

/// Maximum size of a script, in bytes; the product's scripts are smaller than 512 KiB.
const LARGEST: u64 = 32 << 20;

/// A script, split into statements.
#[derive(Debug)]
pub(super) struct Script {
    /// Digest of the file.
    pub(super) digest: String,
    pub(super) statements: Vec<Statement>,
    pub(super) outline: Outline,
    /// Path below the zip's top folder, for messages.
    pub(super) name: String,
}

/// A script to load.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load<'a> {
    /// The product's database: `shared_db` or `apim_db`.
    pub(super) key: &'a str,
    /// Product version of the schema.
    pub(super) version: &'a str,
    pub(super) script: &'a Script,
    /// Number of statements that were run earlier.
    pub(super) from: usize,
}

/// Reads `name` (below the zip's top folder) from `zip`.
pub(super) async fn read(zip: PathBuf, name: &str, dialect: Dialect) -> Result<Script, Failure> {
    let wanted = name.to_owned();
    let reading = tokio::task::spawn_blocking(move || from_zip(&zip, &wanted, dialect));
    match reading.await {
        Ok(script) => script,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Failure::new(format!("reading `{name}` was cancelled"))),
        },
    }
}

/// Returns the bytes of `name` (below the zip's top folder).
pub(super) fn bytes(zip: &Path, name: &str) -> Result<Vec<u8>, Failure> {
    let failed = |error: &(dyn std::error::Error + 'static)| {
        Failure::from_error(format!("cannot read `{name}` in `{}`", zip.display()), error)
    };
    let file = std::fs::File::open(zip).map_err(|error| failed(&error))?;
    let mut archive = zip::ZipArchive::new(file).map_err(|error| failed(&error))?;
    let is_it = |path: &str| path.split_once('/').is_some_and(|(_, below)| below == name);
    // Skips entries with invalid names.
    let path = archive.file_names().filter_map(Result::ok).find(|path| is_it(path)).map(Cow::into_owned);
    let Some(path) = path else {
        let hint = "the schema is loaded with the distribution's scripts: check that the zip is an original distribution of the vendor";
        return Err(Failure::new(format!("`{name}` not found in `{}`", zip.display())).hint(hint));
    };
    let entry = archive.by_name(&path).map_err(|error| failed(&error))?;
    let mut bytes = Vec::new();
    entry.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Failure::new(format!("`{name}` in `{}` is larger than {LARGEST} bytes", zip.display())));
    }
    Ok(bytes)
}

fn from_zip(zip: &Path, name: &str, dialect: Dialect) -> Result<Script, Failure> {
    let bytes = bytes(zip, name)?;
    let digest = Sha256::of(&bytes).to_string();
    let text = String::from_utf8_lossy(&bytes);
    let statements = split(&text, dialect).map_err(|error| {
        Failure::from_error(format!("cannot read `{name}` in `{}`", zip.display()), &error)
    })?;
    let outline = Outline::of_script(&statements);
    Ok(Script { digest, statements, outline, name: name.to_owned() })
}
