//! `render`: every file that apply would place, written below a folder of this machine as `DIR/<host>/<path on the host>`.

use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use apim_agent::operation::file::Show;

use super::exit::{Exit, Kind};
use super::options::Files;
use super::read;
use crate::apim::files::{PlacedFile, files};
use crate::report::style::count;
use crate::report::{Look, remark};

/// Options of `render`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: Files,
    /// The folder to write to; it holds secrets afterwards
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<Kind, Exit> {
    let look = Look::detect(false, 0, false);
    if args.out.exists() && !args.out.is_dir() {
        let text = format!("`{}` is a file; `--out` needs a folder", args.out.display());
        return Err(Exit::new(Kind::Usage, text));
    }
    let read = read::cluster(&args.files)?;
    read::tell_notes(&read.cluster, &look)?;
    let limited = read::limited(&read.inventory, &args.files)?;
    let mut written = 0;
    for node in read.cluster.nodes().iter().filter(|node| limited.contains(node.host.as_str())) {
        for file in files(&read.cluster, node) {
            let path = args.out.join(&node.host).join(file.path.as_str().trim_start_matches('/'));
            write(&args.out, &path, &file).map_err(|error| {
                Exit::new(Kind::Failed, format!("cannot write `{}`: {error}", path.display()))
            })?;
            written += 1;
        }
    }
    if written == 0 {
        remark(&format!("{} no node is on these hosts; nothing was written", look.err.change("note:")));
        return Ok(Kind::Converged);
    }
    remark(&look.err.good(format!("{} written below {}", count(written, "file"), args.out.display())));
    Ok(Kind::Converged)
}

/// Writes one file whole or not at all, below `out` and nowhere else: no link on the way is followed.
fn write(out: &Path, path: &Path, file: &PlacedFile) -> io::Result<()> {
    let folder = path.parent().unwrap_or(out);
    let below =
        folder.strip_prefix(out).map_err(|_| io::Error::other("it is not below the output folder"))?;
    std::fs::create_dir_all(out)?;
    let mut at = out.to_owned();
    for part in below.components() {
        let std::path::Component::Normal(part) = part else {
            return Err(io::Error::other("it leads out of the output folder"));
        };
        at.push(part);
        match std::fs::symlink_metadata(&at) {
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => return Err(io::Error::other(format!("`{}` is not a folder", at.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                std::fs::DirBuilder::new().mode(0o700).create(&at)?;
            }
            Err(error) => return Err(error),
        }
    }
    let mode = if file.show == Show::Text { 0o644 } else { 0o600 };
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    temporary.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
    temporary.write_all(&file.bytes)?;
    temporary.persist(path)?;
    Ok(())
}
