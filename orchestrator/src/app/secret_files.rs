//! Finds local files with secrets that the group or others can read: `!file` secrets, and
//! inventories with plaintext secrets.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use apim_documents::inventory::Inventory;
use apim_product::Cluster;
use apim_product::yaml::{Kind, Mistakes, Node, Sealed, Span, looks_templated, sounds_secret};

/// Read permission of the group and of others.
const OTHERS: u32 = 0o044;

/// A file with a secret that others can read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Open {
    /// Where the inventory refers to or contains the secret.
    pub(crate) span: Span,
    /// The problem.
    pub(crate) what: String,
    /// How to fix it.
    pub(crate) hint: String,
}

/// Returns every such file once.
pub(crate) fn open(inventory: &Inventory) -> Vec<Open> {
    let mut found: Vec<(PathBuf, Open)> = Vec::new();
    for host in &inventory.hosts {
        walk(&host.variables, false, &mut |path, open| {
            if !found.iter().any(|(known, _)| *known == path) {
                found.push((path, open));
            }
        });
    }
    found.into_iter().map(|(_, open)| open).collect()
}

/// Reports them as errors if a node has `apim.hardening: production`.
pub(crate) fn refuse(open: &[Open], cluster: &Cluster, mistakes: &mut Mistakes) {
    if cluster.nodes().iter().any(|node| node.settings.hardening.production) {
        for Open { span, what, hint } in open {
            mistakes.add_hint(span, format!("{what}, and `apim.hardening` is `production`"), hint.clone());
        }
    }
}

fn walk(node: &Node, is_secret: bool, see: &mut dyn FnMut(PathBuf, Open)) {
    match &node.kind {
        Kind::Map(entries) => {
            entries.iter().for_each(|(key, value)| walk(value, sounds_secret(&key.text), see));
        }
        Kind::List(items) => items.iter().for_each(|item| walk(item, is_secret, see)),
        Kind::Sealed(Sealed::File(name)) => {
            let path = resolve(name, &node.span);
            if let Some(mode) = readable(&path) {
                let what =
                    format!("the secret file `{}` can be read by others (mode {mode:04o})", path.display());
                let hint = format!("chmod 600 {}", path.display());
                see(path, Open { span: node.span.clone(), what, hint });
            }
        }
        Kind::Text { text, templated }
            if is_secret && !text.is_empty() && !(*templated && looks_templated(text)) =>
        {
            plain(&node.span, see);
        }
        Kind::Int(_) if is_secret => plain(&node.span, see),
        _ => {}
    }
}

fn plain(span: &Span, see: &mut dyn FnMut(PathBuf, Open)) {
    let Some(path) = span.file_name().map(PathBuf::from) else { return };
    if let Some(mode) = readable(&path) {
        let what = format!("plaintext secret in a file that can be read by others (mode {mode:04o})");
        let hint = format!("use `!vault`, `!env` or `!file` instead, or chmod 600 {}", path.display());
        see(path, Open { span: span.clone(), what, hint });
    }
}

/// Returns the mode of a file that others can read and that is not vault-encrypted as a whole.
fn readable(path: &Path) -> Option<u32> {
    let meta = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    let mode = meta.permissions().mode() & 0o7777;
    (mode & OTHERS != 0 && !is_encrypted(path)).then_some(mode)
}

fn is_encrypted(path: &Path) -> bool {
    let mut head = [0; 14];
    let read = std::fs::File::open(path).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut head));
    read.is_ok() && head == *b"$ANSIBLE_VAULT"
}

fn resolve(name: &str, span: &Span) -> PathBuf {
    if let (Some(rest), Some(home)) = (name.strip_prefix("~/"), std::env::var_os("HOME")) {
        return PathBuf::from(home).join(rest);
    }
    match span.file_name().and_then(|file| Path::new(file).parent()) {
        Some(folder) => folder.join(name),
        None => PathBuf::from(name),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use apim_documents::inventory::{self, Options};

    #[test]
    fn files_readable_by_others_are_reported_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str, mode: u32| {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("a file");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
        };
        write("private", "s1", 0o600);
        write("shared", "s2", 0o640);
        let text = "all:\n  hosts: {a: {}, b: {}}\n  vars:\n    apim:\n      admin: {password: !file private}\n      databases: {apim_db: {password: !file shared}, shared_db: {password: plain-one}}\n      keystores: {tls: {password: '{{ x }}'}}\n    x: !file shared\n";
        write("i.yaml", text, 0o644);
        let load =
            || inventory::load(&folder.path().join("i.yaml"), &Options::default()).expect("an inventory");
        let found = open(&load());
        let lines: Vec<usize> = found.iter().map(|one| one.span.line).collect();
        assert_eq!(lines, [6, 6], "{found:?}");
        assert!(found[0].what.contains("shared") && found[0].what.contains("0640"), "{found:?}");
        assert!(
            found[1].what.contains("plaintext secret") && !found[1].what.contains("plain-one"),
            "{found:?}"
        );
        write("i.yaml", text, 0o600);
        write("shared", "s2", 0o600);
        assert_eq!(open(&load()), Vec::new());
    }
}
