//! `file`, `copy`, `template`.

use std::sync::Arc;

use apim_protocol::operation::Operation;
use apim_protocol::operation::absent::Absent;
use apim_protocol::operation::directory::Directory;
use apim_protocol::operation::file::{File, Show};
use apim_protocol::operation::link::Link;
use apim_protocol::value::{AbsPath, Content};

use super::options::Options;
use super::site::Site;
use apim_product::Draft;
use apim_product::yaml::{Kind, ReadError, Value, read_bounded, to_value};

/// The maximum size of a source file of `copy` and `template`, in bytes.
const FILE_BYTES: u64 = 64 * 1024 * 1024;
const PATH: [&str; 3] = ["path", "dest", "name"];

pub(super) fn file(options: &mut Options<'_>, site: &Site<'_>) -> Option<Vec<Draft>> {
    let path = options.path(&PATH);
    options.only("force", false);
    options.only("recurse", false);
    options.only("follow", true);
    let operation = match options.choice("state", &["file", "directory", "link", "absent"]) {
        "directory" => {
            let (mode, owner) = (options.mode(), options.owner());
            Operation::Directory(Directory { path: path?, mode, owner })
        }
        "link" => {
            let target = options.path(&["src"]);
            Operation::Link(Link { path: path?, target: target? })
        }
        "absent" => Operation::Absent(Absent { path: path?, recursive: true }),
        _ => {
            let span = options.span();
            let hint = "use `copy` for a file with content; supported states: directory, link, absent";
            options.wrong(&span, "`file` cannot manage an existing regular file", hint);
            return None;
        }
    };
    Some(vec![Draft::new(site.title, operation)])
}

pub(super) fn copy(options: &mut Options<'_>, site: &Site<'_>) -> Option<Vec<Draft>> {
    options.only("force", true);
    options.only("backup", false);
    options.only("remote_src", false);
    let (bytes, name, show) = match options.get(&["content"]) {
        Some(content) => {
            let (text, show) = match &content.kind {
                Kind::Secret(secret) => (secret.expose().to_owned(), Show::Nothing),
                Kind::Map(_) | Kind::List(_) => (json(content), Show::Text),
                Kind::Bool(truth) => (if *truth { "True" } else { "False" }.to_owned(), Show::Text),
                _ => (content.as_text().unwrap_or_default(), Show::Text),
            };
            (text.into_bytes(), String::new(), show)
        }
        None => {
            let (path, span) = options.local("src", "files")?;
            if path.is_dir() {
                options.wrong(
                    &span,
                    "`copy` of a whole folder is not supported",
                    "list each file, or use `unarchive`",
                );
                return None;
            }
            let bytes = read(&path, &span, options)?;
            let show = if std::str::from_utf8(&bytes).is_ok() { Show::Text } else { Show::Nothing };
            (bytes, path.file_name().unwrap_or_default().to_string_lossy().into_owned(), show)
        }
    };
    place(options, site, Placed { bytes, name, show })
}

pub(super) fn template(options: &mut Options<'_>, site: &Site<'_>) -> Option<Vec<Draft>> {
    options.only("force", true);
    options.only("backup", false);
    let (path, span) = options.local("src", "templates")?;
    let bytes = read(&path, &span, options)?;
    let Ok(text) = String::from_utf8(bytes) else {
        options.wrong(&span, format!("the template `{}` is not UTF-8 text", path.display()), "use `copy`");
        return None;
    };
    let rendered = match site.scope.render_file(&path.display().to_string(), &text) {
        Ok(rendered) => rendered,
        Err(mistake) => {
            options.mistakes.0.push(mistake);
            return None;
        }
    };
    let show = if rendered.holds_secret { Show::Nothing } else { Show::Text };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".j2").unwrap_or(&name).to_owned();
    place(options, site, Placed { bytes: rendered.text.into_bytes(), name, show })
}

struct Placed {
    bytes: Vec<u8>,
    /// The source's file name, for a destination that ends in a slash.
    name: String,
    show: Show,
}

fn place(options: &mut Options<'_>, site: &Site<'_>, placed: Placed) -> Option<Vec<Draft>> {
    let path = destination(options, &placed.name);
    let (mode, owner) = (options.mode(), options.owner());
    let bytes: Arc<[u8]> = placed.bytes.into();
    let file = File { path: path?, content: Content::of(&bytes), mode, owner, show: placed.show };
    let mut draft = Draft::new(site.title, Operation::File(file));
    draft.contents.push(bytes);
    Some(vec![draft])
}

/// Returns the destination path. `name` is appended to a destination that ends in a slash.
pub(super) fn destination(options: &mut Options<'_>, name: &str) -> Option<AbsPath> {
    let text = options.require(&["dest"])?;
    let text = if text.ends_with('/') { format!("{text}{name}") } else { text };
    options.absolute(&text, &["dest"])
}

pub(super) fn read(
    path: &std::path::Path,
    span: &apim_product::yaml::Span,
    options: &mut Options<'_>,
) -> Option<Vec<u8>> {
    let hint = "a relative path starts at the playbook's folder";
    match read_bounded(path, FILE_BYTES) {
        Ok(bytes) => Some(bytes),
        Err(ReadError::TooLarge(_)) => {
            let what = format!("`{}` is larger than 64 MiB", path.display());
            options.wrong(span, what, "let the hosts fetch it: `get_url`");
            None
        }
        Err(error) => {
            options.wrong(span, format!("cannot read `{}`: {error}", path.display()), hint);
            None
        }
    }
}

fn json(node: &apim_product::yaml::Node) -> String {
    let value = to_value(node, &|kind| match kind {
        Kind::Secret(secret) => Value::String(secret.expose().to_owned()),
        _ => Value::Null,
    });
    serde_json::to_string(&value).unwrap_or_default()
}
