//! `render`: write the files that apply would deploy to `DIR/<host>/<path on the host>`.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use apim_protocol::operation::file::Show;
use serde_json::json;

use crate::app::exit::{Exit, Kind};
use crate::app::options::Files;
use crate::app::read;
use crate::app::render_manifest::Manifest;
use crate::report::style::count;
use crate::report::{Look, remark, say};
use apim_product::files::{PlacedFile, files};
use apim_product::load_balancer;

/// Options of `render`.
#[derive(Debug, Clone)]
pub(crate) struct RenderRequest {
    pub(crate) files: Files,
    /// Write the files to this folder; they contain secrets
    pub(crate) out: PathBuf,
    /// Output format
    pub(crate) json: bool,
}

pub(crate) fn run(args: &RenderRequest) -> Result<Kind, Exit> {
    let look = Look::detect(args.json, 0, false);
    let out = args.out.as_path();
    let before = Manifest::read(out).map_err(|error| {
        Exit::from_error(Kind::Usage, &error).hint("use a new or empty folder, or one that `render` created")
    })?;
    let read = read::cluster(&args.files)?;
    read::report(&read, &look)?;
    let limited = read::limited(&read.inventory, &args.files)?;
    let nodes = read.cluster.nodes().iter().filter(|node| limited.contains(node.host.as_str()));
    let mut all: BTreeMap<PathBuf, PlacedFile> = BTreeMap::new();
    for node in nodes {
        for file in files(&read.cluster, node) {
            let below = Path::new(&node.host).join(file.path.as_str().trim_start_matches('/'));
            all.insert(below, file);
        }
    }
    for host in load_balancer::hosts(&read.cluster).filter(|host| limited.contains(host.name.as_str())) {
        let files = load_balancer::files(&read.cluster, host)
            .map_err(|error| Exit::new(Kind::Usage, format!("host `{}`: {error}", host.name)))?;
        // A certificate that is not issued yet has no content.
        let issued = |file: &PlacedFile| !load_balancer::is_to_be_issued(file);
        for file in files.into_iter().filter(issued) {
            let below = Path::new(&host.name).join(file.path.as_str().trim_start_matches('/'));
            all.insert(below, file);
        }
    }
    if all.is_empty() {
        if look.json {
            say(&json!({"event": "rendered", "files": 0, "folder": out}).to_string())?;
        } else {
            remark(&format!("{} these hosts run no nodes; nothing was written", look.err.change("note:")));
        }
        return Ok(Kind::Converged);
    }
    let failed = |path: &Path, error: io::Error| {
        Exit::new(Kind::Failed, format!("cannot write `{}`: {error}", path.display()))
    };
    let now = Manifest::of(all.keys());
    // List the files before writing them, so that an interrupted render leaves no unlisted file.
    now.and(&before).write(out).map_err(|error| failed(out, error))?;
    for (below, file) in &all {
        let path = out.join(below);
        write(out, &path, file).map_err(|error| failed(&path, error))?;
    }
    let cleared = before.remove_all_but(&now, out);
    now.write(out).map_err(|error| failed(out, error))?;
    if look.json {
        say(&json!({"event": "rendered", "files": all.len(), "cleared": cleared, "folder": out}).to_string())?;
        return Ok(Kind::Converged);
    }
    let mut text = format!("{} written to {}", count(all.len(), "file"), out.display());
    if cleared > 0 {
        text.push_str(&format!("; {} removed", count(cleared, "stale file")));
    }
    remark(&look.err.good(text));
    Ok(Kind::Converged)
}

/// Writes one file atomically below `out`. Symbolic links are not followed.
fn write(out: &Path, path: &Path, file: &PlacedFile) -> io::Result<()> {
    let folder = path.parent().unwrap_or(out);
    let below =
        folder.strip_prefix(out).map_err(|_| io::Error::other("the path is outside the output folder"))?;
    std::fs::create_dir_all(out)?;
    let mut at = out.to_owned();
    for part in below.components() {
        let std::path::Component::Normal(part) = part else {
            return Err(io::Error::other("the path leaves the output folder"));
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
