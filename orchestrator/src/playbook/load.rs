//! Finding playbooks: a file, or one that comes with the program; and what they import.

use std::path::{Path, PathBuf};

use super::builtin::{BUILT_IN, built_in};
use super::file;
use super::model::Playbook;
use crate::yaml::{self, Mistakes, Span, nearest};

/// How deeply playbooks and task files may import each other.
const DEPTH: usize = 16;
/// What the name of a built-in playbook begins with in messages.
const INSIDE: &str = "built-in ";

/// Reads the playbook `name`: a file's path, or a built-in one's name.
///
/// # Errors
/// Everything that is wrong with it and with what it imports.
pub fn load(name: &str) -> Result<Playbook, Mistakes> {
    let mut mistakes = Mistakes::default();
    let mut files = Files { mistakes: &mut mistakes, open: Vec::new(), read: Vec::new() };
    let plays = files.playbook(name, &Span::flag("--playbook"));
    let files = files.read;
    if mistakes.0.is_empty() { Ok(Playbook { name: name.to_owned(), plays, files }) } else { Err(mistakes) }
}

/// Reads a playbook's text; `name` is its file as the user named it, and imports are looked for beside it.
///
/// # Errors
/// Everything that is wrong with it and with what it imports.
pub fn parse(name: &str, text: &str) -> Result<Playbook, Mistakes> {
    let mut mistakes = Mistakes::default();
    let mut files = Files { mistakes: &mut mistakes, open: vec![name.to_owned()], read: Vec::new() };
    let plays = files.plays(name, text);
    let files = files.read;
    if mistakes.0.is_empty() { Ok(Playbook { name: name.to_owned(), plays, files }) } else { Err(mistakes) }
}

/// The files being read, outermost first, and the mistakes found.
pub(super) struct Files<'a> {
    pub(super) mistakes: &'a mut Mistakes,
    open: Vec<String>,
    /// The files that were read so far.
    read: Vec<PathBuf>,
}

impl Files<'_> {
    /// Returns the plays of the playbook that is called `name` at `span`.
    pub(super) fn playbook(&mut self, name: &str, span: &Span) -> Vec<super::Play> {
        let Some((name, text)) = self.text(name, span, true) else { return Vec::new() };
        let Some(()) = self.enter(&name, span) else { return Vec::new() };
        let plays = self.plays(&name, &text);
        self.open.pop();
        plays
    }

    fn plays(&mut self, name: &str, text: &str) -> Vec<super::Play> {
        match yaml::parse(name, text) {
            Ok(node) => file::plays(&node, self),
            Err(found) => {
                self.mistakes.0.extend(found.0);
                Vec::new()
            }
        }
    }

    /// Returns the list of tasks in the file `name`, named at `span`; call [`Files::leave`] when they are read.
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

    /// Says that the tasks of an imported file are read.
    pub(super) fn leave(&mut self) {
        self.open.pop();
    }

    fn enter(&mut self, name: &str, span: &Span) -> Option<()> {
        if self.open.iter().any(|open| open == name) || self.open.len() >= DEPTH {
            let way = self.open.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join(" > ");
            self.mistakes.add_hint(
                span,
                format!("this import comes back to itself: {way}"),
                "take one of the imports out",
            );
            return None;
        }
        self.open.push(name.to_owned());
        Some(())
    }

    /// Looks beside the importing file, then among the built-in ones.
    fn text(&mut self, name: &str, span: &Span, is_playbook: bool) -> Option<(String, String)> {
        let inside = span.file_name().and_then(|file| file.strip_prefix(INSIDE));
        let path = beside(name, span);
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
        if let Some(text) = built_in(name).filter(|_| is_playbook) {
            return Some((format!("{INSIDE}{}", name.trim_start_matches("./")), text.to_owned()));
        }
        let known = BUILT_IN.iter().map(|(name, _)| *name);
        let hint = match nearest(name, known.clone()).filter(|_| is_playbook) {
            Some(near) => format!("did you mean the built-in `{near}`?"),
            None if is_playbook => format!("built in are: {}", known.collect::<Vec<_>>().join(", ")),
            None => "a relative path is meant from the folder of this file".to_owned(),
        };
        self.mistakes.add_hint(span, format!("there is no file `{}`", path.display()), hint);
        None
    }
}

/// A relative path is meant from the folder of the file that names it.
pub(super) fn beside(name: &str, span: &Span) -> PathBuf {
    let folder =
        span.file_name().filter(|file| !file.starts_with(INSIDE)).and_then(|file| Path::new(file).parent());
    folder.map_or_else(|| PathBuf::from(name), |folder| folder.join(name))
}
