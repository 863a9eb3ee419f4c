//! Which version of something a host has: told by a file of `KEY="value"` lines, else by a program.

use serde::{Deserialize, Serialize};

use crate::probe::text::{harmless, shortened};
use crate::system::{Program, System};
use crate::value::AbsPath;

/// A file of this kind is read up to this size.
const FILE_LIMIT: u64 = 64 * 1024;
/// How long a program may take to say its version.
const PATIENCE_SECS: u64 = 20;
/// The longest version that is shown.
const LONGEST: usize = 80;

/// Who tells a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionOf {
    /// A file with a line `KEY=value` or `KEY="value"`.
    pub file: AbsPath,
    /// The key.
    pub key: String,
    /// A program that prints its version, asked when the file does not tell.
    pub program: AbsPath,
    /// The program's arguments.
    pub arguments: Vec<String>,
}

/// A version, and who told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) version: String,
    pub(crate) whence: String,
}

impl VersionOf {
    /// Looks; an error says why nobody told.
    pub(crate) fn find(&self, system: &System) -> Result<Found, String> {
        match system.stat_followed(&self.program) {
            Ok(Some(stat)) if stat.mode.bits() & 0o111 == 0 => {
                return Err(format!("{} cannot be executed", self.program));
            }
            Ok(Some(_)) => {}
            Ok(None) => return Err(format!("there is no {}", self.program)),
            Err(error) => return Err(error.to_string()),
        }
        if let Ok(Some(bytes)) = system.read(&self.file, FILE_LIMIT)
            && let Some(version) = told(&String::from_utf8_lossy(&bytes), &self.key)
        {
            return Ok(Found { version, whence: self.file.to_string() });
        }
        let argv = std::iter::once(self.program.to_string()).chain(self.arguments.iter().cloned());
        let words = argv.clone().collect::<Vec<_>>().join(" ");
        let program = Program { timeout_secs: PATIENCE_SECS, ..Program::new(argv) };
        let output = system.run(&program).map_err(|error| error.to_string())?;
        let said = format!("{}\n{}", output.stderr, output.stdout);
        match printed(&said) {
            Some(version) if output.ended.is_success() => Ok(Found { version, whence: format!("`{words}`") }),
            _ => Err(format!("`{words}` told no version ({})", output.ended)),
        }
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

/// Returns the main number of a version: 21 of `21.0.2+13`, 22 of `22-ea`, 8 of `1.8.0_392` as it was once written.
#[must_use]
pub fn main_number(version: &str) -> Option<u32> {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    match numbers.next()?.parse().ok()? {
        1 => numbers.next().and_then(|second| second.parse().ok()).or(Some(1)),
        first => Some(first),
    }
}

#[cfg(test)]
mod tests {
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
    fn the_file_tells_and_else_the_program() {
        let bench = Bench::new();
        assert!(of().find(&bench.system).unwrap_err().contains("there is no /opt/x/bin/java"));
        bench.write("/opt/x/bin/java", "#!/bin/sh\necho 'openjdk version \"1.8.0_392\"' >&2\n");
        fs::set_permissions(bench.real("/opt/x/bin/java"), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(of().find(&bench.system).unwrap_err().contains("cannot be executed"));
        fs::set_permissions(bench.real("/opt/x/bin/java"), fs::Permissions::from_mode(0o755)).unwrap();
        let found = of().find(&bench.system).unwrap();
        assert_eq!(
            (found.version.as_str(), found.whence.as_str()),
            ("1.8.0_392", "`/opt/x/bin/java -version`")
        );
        bench.write("/opt/x/release", "IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"21.0.2\"\n");
        let found = of().find(&bench.system).unwrap();
        assert_eq!((found.version.as_str(), found.whence.as_str()), ("21.0.2", "/opt/x/release"));
        bench.write("/opt/x/bin/java", "#!/bin/sh\nexit 3\n");
        bench.write("/opt/x/release", "nothing\n");
        assert!(of().find(&bench.system).unwrap_err().contains("told no version (exit status 3)"));
    }

    #[test]
    fn main_numbers_are_read_from_old_and_new_versions() {
        for (version, number) in
            [("21.0.2", 21), ("1.8.0_392", 8), ("11", 11), ("22-ea", 22), ("17.0.9+9-LTS", 17), ("1", 1)]
        {
            assert_eq!(main_number(version), Some(number), "{version}");
        }
        assert_eq!(main_number("ea"), None);
    }
}
