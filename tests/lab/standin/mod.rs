//! Stand-in distributions: zips with the layout, names and behaviour of the product's, built for tests because the real ones
//! cannot be had. What is in them is here; the server process that they carry is `standin/server`.

mod archive;
mod component;
mod deployment;
mod jdk;
mod schema;
mod tree;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

pub use component::{Component, Version};

/// What to build.
#[derive(Debug, Clone)]
pub struct Build {
    /// Where the archives go; made when missing.
    pub out: PathBuf,
    /// The versions wanted.
    pub versions: Vec<Version>,
    /// The components wanted, of each version.
    pub components: Vec<Component>,
    /// The size that each zip should reach, in bytes; it is padded with files that do not compress. `None` pads nothing.
    pub size: Option<u64>,
    /// The server program to put into them.
    pub server: PathBuf,
}

impl Build {
    /// Everything, small, into `out`, with the server program that lies beside the running one.
    ///
    /// # Errors
    /// When the running program's own place cannot be told.
    pub fn all(out: &Path) -> io::Result<Build> {
        Ok(Build {
            out: out.to_owned(),
            versions: Version::ALL.to_vec(),
            components: Component::ALL.to_vec(),
            size: None,
            server: server_beside()?,
        })
    }
}

/// One file that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Where it is.
    pub path: PathBuf,
    /// Its SHA-256, in hex.
    pub sha256: String,
}

/// The file name of the JDK stand-in.
pub const JDK: &str = "jdk-stand-in.tar.gz";

/// The file name of the JDBC driver stand-in.
pub const DRIVER: &str = "mysql-connector-j.jar";

/// The `standin-server` beside the running program; a test's program lies one folder deeper.
///
/// # Errors
/// When the running program's own place cannot be told.
pub fn server_beside() -> io::Result<PathBuf> {
    let exe = std::env::current_exe()?;
    let found =
        exe.ancestors().skip(1).take(2).map(|dir| dir.join("standin-server")).find(|path| path.is_file());
    found.ok_or_else(|| {
        let place = exe.parent().unwrap_or(Path::new("/")).display();
        io::Error::new(
            io::ErrorKind::NotFound,
            format!("no standin-server beside {place}: build it with `cargo build -p apim-tests --bins`"),
        )
    })
}

/// Builds what is asked for, with the JDK and driver stand-ins and `SHA256SUMS`; the same wishes give the same bytes.
///
/// # Errors
/// When the server program cannot be read or the folder not written.
pub fn build(wish: &Build) -> io::Result<Vec<Built>> {
    fs::create_dir_all(&wish.out)?;
    let server = archive::Shared::new(stripped(&wish.server)?)?;
    let mut built = std::thread::scope(|scope| -> io::Result<Vec<Built>> {
        let mut workers = Vec::new();
        for &version in &wish.versions {
            for &component in &wish.components {
                let server = &server;
                workers.push(scope.spawn(move || {
                    let path = wish.out.join(component.zip_name(version));
                    let entries = tree::entries(component, version);
                    archive::write_zip(&path, &component.top_folder(version), &entries, server, wish.size)?;
                    finished(path)
                }));
            }
        }
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })?;
    for (name, bytes) in [(JDK, jdk::tarball()?), (DRIVER, jdk::driver()?)] {
        let path = wish.out.join(name);
        fs::write(&path, bytes)?;
        built.push(finished(path)?);
    }
    built.sort_by(|a, b| a.path.cmp(&b.path));
    let sums = built.iter().map(|one| {
        let name = one.path.file_name().unwrap_or_default().to_string_lossy();
        format!("{}  {name}\n", one.sha256)
    });
    fs::write(wish.out.join("SHA256SUMS"), sums.collect::<String>())?;
    Ok(built)
}

fn finished(path: PathBuf) -> io::Result<Built> {
    let mut hasher = Sha256::new();
    let mut file = fs::File::open(&path)?;
    let mut buffer = vec![0_u8; 1 << 18];
    loop {
        let length = io::Read::read(&mut file, &mut buffer)?;
        if length == 0 {
            break;
        }
        hasher.update(&buffer[..length]);
    }
    Ok(Built { path, sha256: hex::encode(hasher.finalize()) })
}

/// The program without its symbols where `strip` is at hand (a debug build is five times the size); as it is otherwise.
fn stripped(program: &Path) -> io::Result<Vec<u8>> {
    let scratch = tempfile::NamedTempFile::new()?;
    let outcome = std::process::Command::new("strip").arg("-o").arg(scratch.path()).arg(program).output();
    match outcome {
        Ok(output) if output.status.success() => fs::read(scratch.path()),
        _ => fs::read(program)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", program.display()))),
    }
}
