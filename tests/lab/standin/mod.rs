//! Stand-in distributions: zips with the layout, names and behaviour of the product, since tests cannot
//! download the real ones. Their server process is in `standin/server`.

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
    /// The output folder; created if missing.
    pub out: PathBuf,
    /// The versions.
    pub versions: Vec<Version>,
    /// The components of each version.
    pub components: Vec<Component>,
    /// The size of each zip in bytes, reached with incompressible padding. `None`: no padding.
    pub size: Option<u64>,
    /// The server program.
    pub server: PathBuf,
}

impl Build {
    /// Everything, without padding, with the server program next to the running one.
    ///
    /// # Errors
    /// If the server program is not found.
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

/// A created file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The path.
    pub path: PathBuf,
    /// The SHA-256 in hex.
    pub sha256: String,
}

/// The file name of the JDK stand-in.
pub const JDK: &str = "jdk-stand-in.tar.gz";

/// The file name of the JDBC driver stand-in.
pub const DRIVER: &str = "mysql-connector-j.jar";

/// Finds `standin-server` next to the running program; test programs are one folder deeper.
///
/// # Errors
/// If it is not found.
pub fn server_beside() -> io::Result<PathBuf> {
    let exe = std::env::current_exe()?;
    let found =
        exe.ancestors().skip(1).take(2).map(|dir| dir.join("standin-server")).find(|path| path.is_file());
    found.ok_or_else(|| {
        let place = exe.parent().unwrap_or(Path::new("/")).display();
        io::Error::new(
            io::ErrorKind::NotFound,
            format!("no standin-server next to {place}: build it with `cargo build -p apim-tests --bins`"),
        )
    })
}

/// Builds distributions, the JDK and driver stand-ins, and `SHA256SUMS`. Equal options give equal bytes.
///
/// # Errors
/// If the server program cannot be read, or the folder cannot be written.
pub fn build(options: &Build) -> io::Result<Vec<Built>> {
    fs::create_dir_all(&options.out)?;
    let server = archive::Shared::new(stripped(&options.server)?)?;
    let mut built = std::thread::scope(|scope| -> io::Result<Vec<Built>> {
        let mut workers = Vec::new();
        for &version in &options.versions {
            for &component in &options.components {
                let server = &server;
                workers.push(scope.spawn(move || {
                    let path = options.out.join(component.zip_name(version));
                    let entries = tree::entries(component, version);
                    archive::write_zip(
                        &path,
                        &component.top_folder(version),
                        &entries,
                        server,
                        options.size,
                    )?;
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
        let path = options.out.join(name);
        fs::write(&path, bytes)?;
        built.push(finished(path)?);
    }
    built.sort_by(|a, b| a.path.cmp(&b.path));
    let sums = built.iter().map(|one| {
        let name = one.path.file_name().unwrap_or_default().to_string_lossy();
        format!("{}  {name}\n", one.sha256)
    });
    fs::write(options.out.join("SHA256SUMS"), sums.collect::<String>())?;
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

/// Returns the program without symbols if `strip` is installed (a debug build is five times as large), else
/// unchanged.
fn stripped(program: &Path) -> io::Result<Vec<u8>> {
    let scratch = tempfile::NamedTempFile::new()?;
    let outcome = std::process::Command::new("strip").arg("-o").arg(scratch.path()).arg(program).output();
    match outcome {
        Ok(output) if output.status.success() => fs::read(scratch.path()),
        _ => fs::read(program)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", program.display()))),
    }
}
