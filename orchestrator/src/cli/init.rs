//! `init`: a first inventory, from a few answers or flags; what it writes passes `validate`, which is tried before it says so.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use dialoguer::{Input, Select};
use sha2::{Digest as _, Sha256};

use super::exit::{Exit, Kind};
use super::options::Files;
use super::read;
use crate::apim::Role;
use crate::apim::release::Version;
use crate::apim::sketch::{Answers, Database, Shape};
use crate::report::{Look, remark};

/// How long a password that is made up is.
const PASSWORD_LENGTH: usize = 24;

/// Options of `init`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file to write
    #[arg(default_value = "inventory.yaml")]
    file: PathBuf,
    /// The shape of the cluster: single, ha, production-sandbox, multi-region, all-in-one; without it questions are asked
    #[arg(long, value_name = "SHAPE", value_parser = shape)]
    shape: Option<Shape>,
    /// The version of API Manager
    #[arg(long = "api-manager", value_name = "VERSION", value_parser = version)]
    version: Option<Version>,
    /// The domain of the hosts and of the names that clients use
    #[arg(long)]
    domain: Option<String>,
    /// The account to log in to hosts with
    #[arg(long)]
    user: Option<String>,
    /// Where the zips are: a folder (from the file's folder) or a URL
    #[arg(long, value_name = "FOLDER|URL")]
    source: Option<String>,
    /// The JDK on the hosts
    #[arg(long, value_name = "FOLDER")]
    java_home: Option<String>,
    /// The database: mysql, postgresql, h2
    #[arg(long, value_parser = database)]
    database: Option<Database>,
    /// The database server's name or address
    #[arg(long, value_name = "HOST")]
    database_host: Option<String>,
    /// The hosts' IPv4 addresses: key managers, gateways, control planes, traffic managers as the file names them, then the load balancer
    #[arg(long, value_delimiter = ',', value_name = "ADDRESSES")]
    addresses: Vec<std::net::Ipv4Addr>,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
}

fn shape(text: &str) -> Result<Shape, String> {
    one_of(text, &Shape::WORDS)
}

fn database(text: &str) -> Result<Database, String> {
    one_of(text, &Database::WORDS)
}

fn version(text: &str) -> Result<Version, String> {
    Version::parse(text).map_err(|error| error.to_string())
}

fn one_of<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    let known = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    known.ok_or_else(|| {
        format!("one of {}", words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", "))
    })
}

pub(super) fn run(args: &Args) -> Result<Kind, Exit> {
    let look = Look::detect(false, 0, false);
    if args.file.exists() && !args.force {
        let exit = Exit::new(Kind::Usage, format!("`{}` is there already", args.file.display()));
        return Err(exit.hint("name another file, or replace it with --force"));
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
        remark(&format!("passwords made up in {}: {}\n", secrets.display(), made.join(", ")));
    }
    remark(&format!(
        "its first lines say what is left to do; then: apim-deploy validate {}\n",
        args.file.display()
    ));
    Ok(Kind::Converged)
}

/// Takes answers from flags, asks for the others where somebody is there, and else takes what is usual.
fn ask(args: &Args, folder: &Path) -> Result<Answers, Exit> {
    let asks = args.shape.is_none();
    if asks && !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        let words: Vec<&str> = Shape::WORDS.iter().map(|(word, _)| *word).collect();
        let exit = Exit::new(Kind::Usage, "nobody is there to be asked, and `--shape` is not given");
        return Err(exit.hint(format!("--shape is one of {}", words.join(", "))));
    }
    let shape = match args.shape {
        Some(shape) => shape,
        None => pick("What shape has the cluster?", &Shape::WORDS)?,
    };
    let text = |given: &Option<String>, question: &str, usual: &str| match given {
        Some(given) => Ok(given.clone()),
        None if asks => enter(question, usual),
        None => Ok(usual.to_owned()),
    };
    let version = match &args.version {
        Some(version) => version.clone(),
        None => {
            let entered =
                if asks { enter("Which version of API Manager?", "4.6.0")? } else { "4.6.0".to_owned() };
            Version::parse(&entered).map_err(|error| Exit::new(Kind::Usage, error.to_string()))?
        }
    };
    let domain = text(&args.domain, "The domain of the hosts?", "example.com")?;
    let user = text(&args.user, "The account to log in to hosts with?", "deploy")?;
    let source = text(&args.source, "Where are the zips (a folder or a URL)?", "distributions")?;
    let java_home = text(&args.java_home, "Where is the JDK on the hosts?", "/opt/java/jdk-21")?;
    let database = match args.database {
        Some(Database::Files) if shape != Shape::AllInOne => {
            let exit =
                Exit::new(Kind::Usage, "h2 keeps data in files of one node; these nodes share databases");
            return Err(exit.hint("--database mysql or postgresql, or --shape all-in-one"));
        }
        Some(database) => database,
        None if asks && shape == Shape::AllInOne => pick("Which database?", &Database::WORDS)?,
        None if asks => pick("Which database?", &Database::SHARED)?,
        None if shape == Shape::AllInOne => Database::Files,
        None => Database::Mysql,
    };
    let database_host = match database {
        Database::Files => String::new(),
        Database::Mysql | Database::Postgresql => {
            text(&args.database_host, "The database server?", &format!("db.{domain}"))?
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
        for name in answers.names() {
            let address = enter(&format!("The IPv4 address of {name} (nothing: later)?"), "")?;
            if address.is_empty() {
                break;
            }
            let address: std::net::Ipv4Addr = address
                .parse()
                .map_err(|_| Exit::new(Kind::Usage, format!("`{address}` is no IPv4 address")))?;
            answers.addresses.push(address.to_string());
        }
    }
    if answers.addresses.len() > answers.names().len() {
        let what = format!("{} addresses, but {} hosts", answers.addresses.len(), answers.names().len());
        return Err(
            Exit::new(Kind::Usage, what).hint(format!("in this order: {}", answers.names().join(", ")))
        );
    }
    answers.digests = digests(&answers, folder)?;
    Ok(answers)
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
        .ok_or_else(|| Exit::new(Kind::Bug, "an answer that was not offered"))
}

fn enter(question: &str, usual: &str) -> Result<String, Exit> {
    let input = Input::<String>::new().with_prompt(question).allow_empty(true).default(usual.to_owned());
    input.show_default(!usual.is_empty()).interact_text().map_err(|error| unasked(&error))
}

fn unasked(error: &dialoguer::Error) -> Exit {
    Exit::new(Kind::Interrupted, format!("no answer: {error}"))
}

/// Returns the digests of the zips that are there already.
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

/// Makes up a password for each file that is not there; returns their names.
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
            // Somebody's password is never replaced.
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
    fn every_shape_on_every_database_is_a_cluster_without_a_mistake() {
        for (word, shape) in Shape::WORDS {
            for (kind, database) in Database::WORDS {
                if database == Database::Files && shape != Shape::AllInOne {
                    continue;
                }
                for version in ["4.5.0", "4.6.0"] {
                    let folder = tempfile::tempdir().expect("a folder");
                    let args = Args {
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
                    let told =
                        ended.err().map(|exit| format!("{exit:?}").chars().take(2000).collect::<String>());
                    assert_eq!(told, None, "{word} {kind} {version}");
                    let again = run(&args);
                    assert!(again.is_err(), "{word}: the file is replaced without a word");
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
        assert_eq!(passwords(&secrets, &["admin"]).expect("left"), Vec::<String>::new());
        assert_eq!(std::fs::read_to_string(secrets.join("admin")).expect("a password"), first);
        let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!((mode(&secrets), mode(&secrets.join("admin"))), (0o700, 0o600));
    }
}
