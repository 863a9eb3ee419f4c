//! The files of a playbook: the file itself and its imports.

use std::path::PathBuf;

use super::builtin::{BUILT_IN, BuiltIn};
use super::paths::{INSIDE, resolve};
use apim_product::yaml::{self, Mistakes, Span, nearest};

/// Maximum depth of imports.
const DEPTH: usize = 16;

/// The stack of files being read, outermost first, and the errors found.
pub(super) struct Files<'a> {
    pub(super) mistakes: &'a mut Mistakes,
    open: Vec<String>,
    /// The files read so far.
    pub(super) read: Vec<PathBuf>,
    /// The outermost playbook, if it is built in.
    pub(super) built_in: Option<&'static BuiltIn>,
}

impl<'a> Files<'a> {
    /// Starts with no file.
    pub(super) const fn new(mistakes: &'a mut Mistakes) -> Self {
        Self { mistakes, open: Vec::new(), read: Vec::new(), built_in: None }
    }

    /// Begins the outermost file, whose text is known.
    pub(super) fn begin(&mut self, name: &str) {
        self.open.push(name.to_owned());
    }

    /// Begins the built-in playbook `known` as the outermost file; returns its name in messages.
    pub(super) fn begin_built_in(&mut self, name: &str, known: &'static BuiltIn) -> String {
        self.built_in = Some(known);
        self.open.push(inside_name(name));
        inside_name(name)
    }
}

impl Files<'_> {
    /// Returns the list of tasks in the file `name`, which is referenced at `span`. Call
    /// [`Files::leave`] afterwards.
    pub(super) fn tasks(&mut self, name: &str, span: &Span) -> Option<yaml::Node> {
        let (name, text) = self.text(name, span, false)?;
        self.enter(&name, span)?;
        match yaml::parse(&name, &text) {
            Ok(node) => Some(node),
            Err(found) => {
                self.mistakes.0.extend(found.0);
                self.open.pop();
                None
            }
        }
    }

    /// Ends the reading of an imported file.
    pub(super) fn leave(&mut self) {
        self.open.pop();
    }

    /// Begins the reading of `name`, which is referenced at `span`. Call [`Files::leave`] afterwards.
    pub(super) fn enter(&mut self, name: &str, span: &Span) -> Option<()> {
        if self.open.iter().any(|open| open == name) || self.open.len() >= DEPTH {
            let path = self.open.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join(" > ");
            self.mistakes.add_hint(span, format!("import cycle: {path}"), "remove one of the imports");
            return None;
        }
        self.open.push(name.to_owned());
        Some(())
    }

    /// Returns name and text of a file. Searches the folder of the importing file, then the built-in
    /// playbooks.
    pub(super) fn text(&mut self, name: &str, span: &Span, is_playbook: bool) -> Option<(String, String)> {
        let inside = span.file_name().and_then(|file| file.strip_prefix(INSIDE));
        let path = resolve(name, span);
        if inside.is_none() && path.exists() && !path.is_dir() {
            return match yaml::read_text(&path, yaml::FILE_BYTES as u64) {
                Ok(text) => {
                    let name = path.display().to_string();
                    self.read.push(path);
                    Some((name, text))
                }
                Err(error) => {
                    self.mistakes.add(span, format!("cannot read `{}`: {error}", path.display()));
                    None
                }
            };
        }
        if let Some(known) = BuiltIn::find(name).filter(|_| is_playbook) {
            if self.open.is_empty() {
                self.built_in = Some(known);
            }
            return Some((inside_name(name), known.text.to_owned()));
        }
        let known = BUILT_IN.iter().map(|known| known.name);
        let hint = match nearest(name, known.clone()).filter(|_| is_playbook) {
            Some(near) => format!("did you mean the built-in `{near}`?"),
            None if is_playbook => format!("built-in playbooks: {}", known.collect::<Vec<_>>().join(", ")),
            None => "a relative path starts at the folder of this file".to_owned(),
        };
        self.mistakes.add_hint(span, format!("file not found: `{}`", path.display()), hint);
        None
    }
}

/// Returns the name of a built-in playbook for messages.
fn inside_name(name: &str) -> String {
    format!("{INSIDE}{}", name.trim_start_matches("./"))
}
