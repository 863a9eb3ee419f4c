//! The host as operations see it: all of it, or the part below `--root`.

use std::fs;
use std::path::{Component, Path, PathBuf};

use apim_protocol::value::AbsPath;
use rustix::process::geteuid;

use super::error::SystemError;
use super::state::State;

/// The host, as operations see it.
#[derive(Debug)]
pub struct System {
    root: Option<PathBuf>,
    state: State,
    systemd: bool,
}

/// How many links one path may lead through.
pub(super) const MAX_LINKS: usize = 40;

impl System {
    /// Returns the host, or the part of it below `root`, with its state in `state` (or at the usual place).
    ///
    /// # Errors
    /// When `root` is not a folder, or the state folder cannot be made.
    pub fn new(root: Option<PathBuf>, state: Option<PathBuf>) -> Result<Self, SystemError> {
        let root = match root {
            None => None,
            Some(root) => {
                Some(fs::canonicalize(&root).map_err(|e| SystemError::io("open the root folder", &root, e))?)
            }
        };
        let folder = state.unwrap_or_else(|| default_state(root.as_deref()));
        let systemd = root.is_none() && Path::new("/run/systemd/system").is_dir();
        Ok(Self { root, state: State::open(folder)?, systemd })
    }

    /// Says whether only a part of the host is meant (`--root`).
    #[must_use]
    pub const fn is_rooted(&self) -> bool {
        self.root.is_some()
    }

    /// Returns the folder that paths are confined to.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.root.as_deref().unwrap_or(Path::new("/"))
    }

    /// Says whether systemd runs this host; never so below `--root`.
    #[must_use]
    pub const fn has_systemd(&self) -> bool {
        self.systemd
    }

    /// Says whether the agent has the rights of root.
    #[must_use]
    pub fn is_privileged(&self) -> bool {
        geteuid().is_root()
    }

    /// Returns what is kept between runs.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Returns where `path` lies for programs and for reading; below `--root` links are resolved inside the root.
    ///
    /// Files that other accounts may write to are better reached with [`System::read`] and [`System::write`].
    #[must_use]
    pub fn resolve(&self, path: &AbsPath) -> PathBuf {
        match &self.root {
            None => PathBuf::from(path.as_str()),
            Some(root) => confined(root, Path::new(path.as_str())),
        }
    }

    /// Returns the path on the host that the real path `real` has (below `--root` the root is taken off).
    #[must_use]
    pub fn unresolve(&self, real: &Path) -> PathBuf {
        match &self.root {
            None => real.to_path_buf(),
            Some(root) => match real.strip_prefix(root) {
                Ok(rest) => Path::new("/").join(rest),
                Err(_) => real.to_path_buf(),
            },
        }
    }
}

/// Resolves `path` as if `root` were `/`; what does not exist is kept as it is written.
fn confined(root: &Path, path: &Path) -> PathBuf {
    let mut todo: Vec<PathBuf> = parts(path);
    let mut inside = PathBuf::new();
    let mut links = 0;
    while let Some(part) = todo.pop() {
        if part == Path::new("..") {
            inside.pop();
            continue;
        }
        let candidate = inside.join(&part);
        match fs::read_link(root.join(&candidate)) {
            Ok(target) if links < MAX_LINKS => {
                links += 1;
                if target.is_absolute() {
                    inside = PathBuf::new();
                }
                todo.extend(parts(&target));
            }
            _ => inside = candidate,
        }
    }
    root.join(inside)
}

/// Returns the names in `path`, last one first.
pub(super) fn parts(path: &Path) -> Vec<PathBuf> {
    path.components()
        .rev()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(PathBuf::from(name)),
            Component::ParentDir => Some(PathBuf::from("..")),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
        })
        .collect()
}

fn default_state(root: Option<&Path>) -> PathBuf {
    let system_wide = "var/lib/apim-deploy";
    if let Some(root) = root {
        return root.join(system_wide);
    }
    if geteuid().is_root() {
        return Path::new("/").join(system_wide);
    }
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .unwrap_or_else(|| PathBuf::from("/var/tmp"))
        .join("apim-deploy")
}
