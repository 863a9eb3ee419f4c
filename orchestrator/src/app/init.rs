//! `init`: create an inventory, interactively or from flags. The result is validated.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use dialoguer::{Input, Select};
use sha2::{Digest as _, Sha256};

use crate::app::exit::{Exit, Kind};
use crate::app::options::Files;
use crate::app::read;
use crate::report::{Look, remark};
use apim_product::Role;
use apim_product::inventory_template::{Answers, Database, Shape};
use apim_product::release::Version;

/// Length of generated passwords, in characters.
const PASSWORD_LENGTH: usize = 24;

/// Options of `init`.
#[derive(Debug, Clone)]
pub(crate) struct InitRequest {
    /// Inventory file to create
    pub(crate) file: PathBuf,
    /// Set the shape of the cluster: single, ha, production-sandbox, multi-region, all-in-one
    /// [default: interactive prompts]
    pub(crate) shape: Option<Shape>,
    /// Set the version of API Manager [default: 4.6.0]
    pub(crate) version: Option<Version>,
    /// Set the domain of the hosts and of the public endpoints [default: example.com]
    pub(crate) domain: Option<String>,
    /// Set the login account on the hosts [default: deploy]
    pub(crate) user: Option<String>,
    /// Set the location of the zips: a URL, or a folder relative to the inventory [default:
    /// distributions]
    pub(crate) source: Option<String>,
    /// Set the JDK folder on the hosts [default: /opt/java/jdk-21]
    pub(crate) java_home: Option<String>,
    /// Set the database: mysql, postgresql, h2 [default: mysql; h2 for all-in-one]
    pub(crate) database: Option<Database>,
    /// Set the name or address of the database server [default: db.DOMAIN]
    pub(crate) database_host: Option<String>,
    /// Set the IPv4 addresses of the hosts, in this order: key managers, gateways, control planes,
    /// traffic managers, load balancer
    pub(crate) addresses: Vec<std::net::Ipv4Addr>,
    /// Overwrite an existing file
    pub(crate) force: bool,
}

pub(crate) fn run(args: &InitRequest) -> Result<Kind, Exit> {
    let look = Look::detect(false, 0, false);
    if args.file.exists() && !args.force {
        let exit = Exit::new(Kind::Usage, format!("`{}` already exists", args.file.display()));
        return Err(exit.hint("choose another file, or overwrite it with --force"));
    }
    let folder = args.file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let answers = ask(args, folder)?;
    let failed = |path: &Path, error: &io::Error| {
        Exit::new(Kind::Failed, format!("cannot write `{}`: {error}", path.display()))
    };
    let secrets = folder.join(&answers.secrets);
    let made = passwords(&secrets, answers.secret_files()).map_err(|error| failed(&secrets, &error))?;
    write(&args.file, &answers.inventory()).map_err(|error| failed(&args.file, &error))?;

    let files = Files {
        inventory: args.file.clone(),
        limit: None,
        extra_vars: Vec::new(),
        vault_password_file: Vec::new(),
        vault_id: Vec::new(),
        ask_vault_pass: false,
    };
    let read = read::cluster(&files)?;
    let nodes = crate::report::style::count(read.cluster.nodes().len(), "node");
    remark(&look.err.good(format!("{} written: {nodes}", args.file.display())));
    if !made.is_empty() {
        remark(&format!("generated passwords in {}: {}\n", secrets.display(), made.join(", ")));
    }
    remark(&format!(
        "see the list of open items at the top; then run: apim-deploy validate {}\n",
        args.file.display()
    ));
    Ok(Kind::Converged)
}

/// Takes answers from flags. Without `--shape` it prompts for the others, otherwise it uses
/// defaults.
fn ask(args: &InitRequest, folder: &Path) -> Result<Answers, Exit> {
    let asks = args.shape.is_none();
    if asks && !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        let words: Vec<&str> = Shape::WORDS.iter().map(|(word, _)| *word).collect();
        let exit = Exit::new(Kind::Usage, "no terminal to prompt on, and `--shape` is not set");
        return Err(exit.hint(format!("pass --shape: {}", words.join(", "))));
    }
    let shape = match args.shape {
        Some(shape) => shape,
        None => pick("Shape of the cluster", &Shape::WORDS)?,
    };
    let text = |given: &Option<String>, question: &str, usual: &str| match given {
        Some(given) => Ok(given.clone()),
        None if asks => enter(question, usual),
        None => Ok(usual.to_owned()),
    };
    let version = match &args.version {
        Some(version) => version.clone(),
        None => {
            let entered = if asks { enter("Version of API Manager", "4.6.0")? } else { "4.6.0".to_owned() };
            Version::parse(&entered).map_err(|error| Exit::new(Kind::Usage, error.to_string()))?
        }
    };
    let domain = text(&args.domain, "Domain of the hosts", "example.com")?;
    let user = text(&args.user, "Login account on the hosts", "deploy")?;
    let source = text(&args.source, "Location of the zips (folder or URL)", "distributions")?;
    let java_home = text(&args.java_home, "JDK folder on the hosts", "/opt/java/jdk-21")?;
    let database = database(args, shape)?;
    let database_host = match database {
        Database::Files => String::new(),
        Database::Mysql | Database::Postgresql => {
            text(&args.database_host, "Database server", &format!("db.{domain}"))?
        }
    };
    let mut answers = Answers {
        shape,
        version,
        domain,
        user,
        digests: Vec::new(),
        source,
        java_home,
        database,
        database_host,
        addresses: args.addresses.iter().map(ToString::to_string).collect(),
        secrets: "secrets".to_owned(),
    };
    if asks && answers.addresses.is_empty() {
        answers.addresses = addresses(&answers)?;
    }
    if answers.addresses.len() > answers.names().len() {
        let what = format!("{} addresses for {} hosts", answers.addresses.len(), answers.names().len());
        return Err(
            Exit::new(Kind::Usage, what).hint(format!("order of the hosts: {}", answers.names().join(", ")))
        );
    }
    answers.digests = digests(&answers, folder)?;
    Ok(answers)
}

/// Returns the database of the cluster.
fn database(args: &InitRequest, shape: Shape) -> Result<Database, Exit> {
    let (asks, is_single) = (args.shape.is_none(), shape == Shape::AllInOne);
    match args.database {
        Some(Database::Files) if !is_single => {
            let what = "h2 is limited to one node; this shape shares databases between nodes";
            let exit = Exit::new(Kind::Usage, what);
            Err(exit.hint("pass --database mysql, --database postgresql or --shape all-in-one"))
        }
        Some(database) => Ok(database),
        None if asks && is_single => pick("Database", &Database::WORDS),
        None if asks => pick("Database", &Database::SHARED),
        None if is_single => Ok(Database::Files),
        None => Ok(Database::Mysql),
    }
}

/// Prompts for the addresses of the hosts, until one is empty.
fn addresses(answers: &Answers) -> Result<Vec<String>, Exit> {
    let mut addresses = Vec::new();
    for name in answers.names() {
        let address = enter(&format!("IPv4 address of {name} (leave empty to fill in later)"), "")?;
        if address.is_empty() {
            break;
        }
        let address: std::net::Ipv4Addr = address
            .parse()
            .map_err(|_| Exit::new(Kind::Usage, format!("invalid IPv4 address `{address}`")))?;
        addresses.push(address.to_string());
    }
    Ok(addresses)
}

fn pick<T: Copy>(question: &str, words: &[(&str, T)]) -> Result<T, Exit> {
    let items: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let picked = Select::new()
        .with_prompt(question)
        .items(&items)
        .default(0)
        .interact()
        .map_err(|error| unasked(&error))?;
    words
        .get(picked)
        .map(|(_, value)| *value)
        .ok_or_else(|| Exit::new(Kind::Bug, "selected answer is out of range"))
}

fn enter(question: &str, usual: &str) -> Result<String, Exit> {
    let input = Input::<String>::new().with_prompt(question).allow_empty(true).default(usual.to_owned());
    input.show_default(!usual.is_empty()).interact_text().map_err(|error| unasked(&error))
}

fn unasked(error: &dialoguer::Error) -> Exit {
    Exit::new(Kind::Interrupted, format!("no answer: {error}"))
}

/// Returns the digests of the zips that exist locally.
fn digests(answers: &Answers, folder: &Path) -> Result<Vec<(Role, String)>, Exit> {
    let mut found = Vec::new();
    let source = folder.join(answers.source.replace("{version}", &answers.version.to_string()));
    for role in answers.distributions() {
        let zip = source.join(format!("{}-{}.zip", role.zip_stem(), answers.version));
        if zip.is_file() {
            let digest = digest(&zip).map_err(|error| {
                Exit::new(Kind::Failed, format!("cannot read `{}`: {error}", zip.display()))
            })?;
            found.push((role, digest));
        }
    }
    Ok(found)
}

fn digest(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut sum = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(sum.finalize())),
            read => sum.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}

/// Generates a password for each missing file; returns the names of the files.
fn passwords(folder: &Path, names: &[&str]) -> io::Result<Vec<String>> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut made = Vec::new();
    for name in names {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.join(name));
        match file {
            Ok(mut file) => {
                file.write_all(password()?.as_bytes())?;
                made.push((*name).to_owned());
            }
            // Existing passwords are never replaced.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Ok(made)
}

fn password() -> io::Result<String> {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut random = [0; PASSWORD_LENGTH];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(random
        .iter()
        .filter_map(|byte| SIGNS.get(usize::from(byte % 64)))
        .map(|sign| char::from(*sign))
        .collect())
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    temporary.write_all(text.as_bytes())?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    temporary.as_file().set_permissions(mode)?;
    temporary.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_with_every_database_is_valid() {
        for (word, shape) in Shape::WORDS {
            for (kind, database) in Database::WORDS {
                if database == Database::Files && shape != Shape::AllInOne {
                    continue;
                }
                for version in ["4.5.0", "4.6.0"] {
                    let folder = tempfile::tempdir().expect("a folder");
                    let args = InitRequest {
                        file: folder.path().join("inventory.yaml"),
                        shape: Some(shape),
                        version: Some(Version::parse(version).expect("a version")),
                        domain: None,
                        user: None,
                        source: None,
                        java_home: None,
                        database: Some(database),
                        database_host: None,
                        addresses: vec![std::net::Ipv4Addr::new(10, 0, 0, 1)],
                        force: false,
                    };
                    let ended = run(&args);
                    let error =
                        ended.err().map(|exit| format!("{exit:?}").chars().take(2000).collect::<String>());
                    assert_eq!(error, None, "{word} {kind} {version}");
                    let again = run(&args);
                    assert!(again.is_err(), "{word}: the file was overwritten without --force");
                }
            }
        }
    }

    #[test]
    fn passwords_are_private_and_never_replaced() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let secrets = folder.path().join("secrets");
        assert_eq!(passwords(&secrets, &["admin"]).expect("written"), ["admin"]);
        let first = std::fs::read_to_string(secrets.join("admin")).expect("a password");
        assert_eq!(first.len(), PASSWORD_LENGTH);
        assert_eq!(passwords(&secrets, &["admin"]).expect("kept"), Vec::<String>::new());
        assert_eq!(std::fs::read_to_string(secrets.join("admin")).expect("a password"), first);
        let mode = |path: &Path| std::fs::metadata(path).expect("exists").permissions().mode() & 0o777;
        assert_eq!((mode(&secrets), mode(&secrets.join("admin"))), (0o700, 0o600));
    }
}
