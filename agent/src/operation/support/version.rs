//! Which version of something a host has: read from a file of `KEY="value"` lines, else printed by a program.

use apim_protocol::operation::version::VersionOf;
use apim_protocol::value::AbsPath;

use crate::probe::text::{harmless, shortened};
use crate::system::{Ended, Program, System, SystemError};

/// A file of this kind is read up to this size.
const FILE_LIMIT: u64 = 64 * 1024;
/// How long a program may take to say its version.
const PATIENCE_SECS: u64 = 20;
/// The longest version that is shown.
const LONGEST: usize = 80;

/// A version, and its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) version: String,
    pub(crate) whence: String,
}

/// Why a version is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VersionError {
    #[error("{0} cannot be executed")]
    NotExecutable(AbsPath),
    #[error("{0} does not exist")]
    Missing(AbsPath),
    #[error(transparent)]
    System(#[from] SystemError),
    #[error("`{words}` printed no version ({ended})")]
    NotPrinted { words: String, ended: Ended },
}

/// Reads the version.
pub(crate) fn find(of: &VersionOf, system: &System) -> Result<Found, VersionError> {
    match system.stat_followed(&of.program) {
        Ok(Some(stat)) if stat.mode.bits() & 0o111 == 0 => {
            return Err(VersionError::NotExecutable(of.program.clone()));
        }
        Ok(Some(_)) => {}
        Ok(None) => return Err(VersionError::Missing(of.program.clone())),
        Err(error) => return Err(error.into()),
    }
    if let Ok(Some(bytes)) = system.read(&of.file, FILE_LIMIT)
        && let Some(version) = told(&String::from_utf8_lossy(&bytes), &of.key)
    {
        return Ok(Found { version, whence: of.file.to_string() });
    }
    let argv = std::iter::once(of.program.to_string()).chain(of.arguments.iter().cloned());
    let words = argv.clone().collect::<Vec<_>>().join(" ");
    let program = Program { timeout_secs: PATIENCE_SECS, ..Program::new(argv) };
    let output = system.run(&program)?;
    let said = format!("{}\n{}", output.stderr, output.stdout);
    match printed(&said) {
        Some(version) if output.ended.is_success() => Ok(Found { version, whence: format!("`{words}`") }),
        _ => Err(VersionError::NotPrinted { words, ended: output.ended }),
    }
}

fn told(text: &str, key: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='))?;
    let value = value.trim().trim_matches('"');
    value.starts_with(|c: char| c.is_ascii_digit()).then(|| shortened(&harmless(value.as_bytes()), LONGEST))
}

/// The first word in quotes, else the first one, that begins with a digit.
fn printed(text: &str) -> Option<String> {
    let begins = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
    let quoted = text.split('"').skip(1).step_by(2).find(begins);
    let version = quoted.or_else(|| text.split_whitespace().find(begins))?;
    Some(shortened(&harmless(version.as_bytes()), LONGEST))
}

#[cfg(test)]
mod tests {
    use apim_protocol::value::AbsPath;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::operation::testing::Bench;

    fn of() -> VersionOf {
        let path = |text| AbsPath::parse(text).unwrap();
        VersionOf {
            file: path("/opt/x/release"),
            key: "JAVA_VERSION".into(),
            program: path("/opt/x/bin/java"),
            arguments: vec!["-version".into()],
        }
    }

    #[test]
    fn version_comes_from_the_file_or_else_the_program() {
        let bench = Bench::new();
        assert!(
            find(&of(), &bench.system).unwrap_err().to_string().contains("/opt/x/bin/java does not exist")
        );
        bench.write("/opt/x/bin/java", "#!/bin/sh\necho 'openjdk version \"1.8.0_392\"' >&2\n");
        fs::set_permissions(bench.real("/opt/x/bin/java"), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(find(&of(), &bench.system).unwrap_err().to_string().contains("cannot be executed"));
        fs::set_permissions(bench.real("/opt/x/bin/java"), fs::Permissions::from_mode(0o755)).unwrap();
        let found = find(&of(), &bench.system).unwrap();
        assert_eq!(
            (found.version.as_str(), found.whence.as_str()),
            ("1.8.0_392", "`/opt/x/bin/java -version`")
        );
        bench.write("/opt/x/release", "IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"21.0.2\"\n");
        let found = find(&of(), &bench.system).unwrap();
        assert_eq!((found.version.as_str(), found.whence.as_str()), ("21.0.2", "/opt/x/release"));
        bench.write("/opt/x/bin/java", "#!/bin/sh\nexit 3\n");
        bench.write("/opt/x/release", "nothing\n");
        assert!(
            find(&of(), &bench.system)
                .unwrap_err()
                .to_string()
                .contains("printed no version (exit status 3)")
        );
    }
}
