//! Builds values with source positions from parser events. Handles anchors, merge keys and tags,
//! and reports invalid input.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, StrInput, Tag};

use super::hide::may_hold_secret;
use super::mistake::Mistakes;
use super::node::{Key, Kind, Node, Sealed, SourceFile, Span};
use super::scalar;
use super::syntax::explain;

/// How many values aliases and merge keys may repeat in one file (guards against alias bombs).
const REPEATED_VALUES: usize = 50_000;
/// How deeply lists and maps may be nested.
const DEPTH: usize = 64;
/// The size limit of a file, in bytes.
pub const FILE_BYTES: usize = 16 * 1024 * 1024;

/// Reads a file's text; `name` is the file as the user named it.
///
/// # Errors
/// All errors up to the point where parsing had to stop.
pub fn parse(name: &str, text: &str) -> Result<Node, Mistakes> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let file = Arc::new(SourceFile { name: name.to_owned(), text: text.to_owned() });
    let lines: Vec<&str> = text.lines().collect();
    let start = Span { file: Some(Arc::clone(&file)), line: 1, column: 1, length: 1 };
    let mut mistakes = Mistakes::default();
    if text.len() > FILE_BYTES {
        mistakes.add(&start, format!("the file is larger than {} MiB", FILE_BYTES / 1024 / 1024));
        return Err(mistakes);
    }
    let mut builder = Builder {
        file: &file,
        lines: &lines,
        parser: Parser::new_from_str(text),
        mistakes: &mut mistakes,
        anchors: HashMap::new(),
        repeated: 0,
    };
    let node = builder.document();
    match node {
        Some(node) if mistakes.0.is_empty() => Ok(node),
        _ => Err(mistakes),
    }
}

/// Parsing stops here: a syntax error, or a limit was exceeded.
struct Stop;

struct Builder<'t> {
    file: &'t Arc<SourceFile>,
    lines: &'t [&'t str],
    parser: Parser<'t, StrInput<'t>>,
    mistakes: &'t mut Mistakes,
    anchors: HashMap<usize, Node>,
    repeated: usize,
}

type Next<'t> = (Event<'t>, saphyr_parser::Span);

impl<'t> Builder<'t> {
    fn document(&mut self) -> Option<Node> {
        let mut root = None;
        loop {
            let (event, span) = self.next().ok()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(_) if root.is_some() => {
                    let at = self.place(&span);
                    self.mistakes.add_hint(
                        &at,
                        "a second document starts here",
                        "keep one document per file",
                    );
                    return None;
                }
                Event::DocumentStart(_) | Event::DocumentEnd | Event::StreamStart | Event::Nothing => {}
                event => root = Some(self.value((event, span), 0).ok()?),
            }
        }
        let nothing = Span { file: Some(Arc::clone(self.file)), line: 1, column: 1, length: 1 };
        Some(root.unwrap_or(Node { kind: Kind::Null, span: nothing }))
    }

    fn next(&mut self) -> Result<Next<'t>, Stop> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => {
                let mark = error.marker();
                let last = self.lines.len().max(1);
                let line = mark.line().clamp(1, last);
                let source = self.line(line);
                let column = if mark.line() > last { source.chars().count() + 1 } else { mark.col() + 1 };
                let at = Span { file: Some(Arc::clone(self.file)), line, column, length: 1 };
                let (what, hint) = explain(error.info(), self.lines, line);
                match hint {
                    Some(hint) => self.mistakes.add_hint(&at, what, hint),
                    None => self.mistakes.add(&at, what),
                }
                Err(Stop)
            }
            None => Err(Stop),
        }
    }

    fn line(&self, number: usize) -> &'t str {
        number.checked_sub(1).and_then(|at| self.lines.get(at)).copied().unwrap_or("")
    }

    /// A span over several lines is cut at the end of its first line.
    fn place(&self, span: &saphyr_parser::Span) -> Span {
        let (line, column) = (span.start.line().max(1), span.start.col() + 1);
        let rest = self.line(line).chars().count().saturating_sub(column - 1);
        let length = if span.end.line() == span.start.line() {
            span.end.col().saturating_sub(span.start.col()).min(rest)
        } else {
            rest
        };
        Span { file: Some(Arc::clone(self.file)), line, column, length: length.max(1) }
    }

    /// Moves the span of a block scalar to its `|` or `>`, which is on a line above the text.
    fn block_indicator(&self, at: &mut Span) {
        at.length = 1;
        let above = (1..at.line).rev().find(|number| !self.line(*number).trim().is_empty());
        let Some(number) = above else { return };
        let line = self.line(number);
        let code = line.split(" #").next().unwrap_or(line);
        if let Some(found) = code.rfind(['|', '>']) {
            at.line = number;
            at.column = code.get(..found).map_or(1, |before| before.chars().count() + 1);
        }
    }

    fn value(&mut self, (event, span): Next<'t>, depth: usize) -> Result<Node, Stop> {
        let mut at = self.place(&span);
        if depth > DEPTH {
            self.mistakes.add(&at, format!("lists and maps are nested more than {DEPTH} deep"));
            return Err(Stop);
        }
        let (anchor, node) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                if !matches!(
                    style,
                    ScalarStyle::Plain | ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted
                ) {
                    self.block_indicator(&mut at);
                }
                let kind = self.scalar(text.into_owned(), style, tag.as_deref(), &at);
                (anchor, Node { kind, span: at })
            }
            Event::SequenceStart(anchor, tag) => {
                at.length = 1;
                let mut items = Vec::new();
                loop {
                    let next = self.next()?;
                    if matches!(next.0, Event::SequenceEnd) {
                        break;
                    }
                    items.push(self.value(next, depth + 1)?);
                }
                let mut node = Node { kind: Kind::List(items), span: at };
                self.collection_tag(&mut node, tag.as_deref());
                (anchor, node)
            }
            Event::MappingStart(anchor, tag) => {
                let entries = self.map(depth)?;
                at.length = 1;
                let mut node = Node { kind: Kind::Map(entries), span: at };
                self.collection_tag(&mut node, tag.as_deref());
                (anchor, node)
            }
            Event::Alias(id) => return self.alias(id, &at),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => {
                self.mistakes.add(&at, "expected a value");
                return Err(Stop);
            }
        };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, id: usize, at: &Span) -> Result<Node, Stop> {
        let Some(node) = self.anchors.get(&id) else {
            self.mistakes.add_hint(
                at,
                "this alias refers to a value that contains it",
                "write the value out",
            );
            return Err(Stop);
        };
        self.repeated += node.count();
        if self.repeated > REPEATED_VALUES {
            let what = format!("aliases repeat more than {REPEATED_VALUES} values");
            self.mistakes.add_hint(at, what, "move the shared values to a group's `vars`");
            return Err(Stop);
        }
        Ok(node.clone())
    }

    fn map(&mut self, depth: usize) -> Result<Vec<(Key, Node)>, Stop> {
        let mut own: Vec<(Key, Node)> = Vec::new();
        let mut index: HashMap<String, usize> = HashMap::new();
        let mut merged: Vec<(Key, Node)> = Vec::new();
        loop {
            let next = self.next()?;
            if matches!(next.0, Event::MappingEnd) {
                break;
            }
            let is_merge =
                matches!(&next.0, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<");
            let key = self.value(next, depth + 1)?;
            let next = self.next()?;
            let value = self.value(next, depth + 1)?;
            if is_merge {
                self.merge(&key.span, value, &mut merged);
                continue;
            }
            let Some(text) = self.key_text(&key) else { continue };
            if let Some(first) = index.get(&text).and_then(|at| own.get(*at)) {
                let line = first.0.span.line;
                let what = format!("duplicate key `{text}`; first defined on line {line}");
                self.mistakes.add_hint(&key.span, what, "keep one of the two");
                continue;
            }
            index.insert(text.clone(), own.len());
            own.push((Key { text, span: key.span }, value));
        }
        if merged.is_empty() {
            return Ok(own);
        }
        merged.retain(|(key, _)| !index.contains_key(&key.text));
        merged.append(&mut own);
        Ok(merged)
    }

    /// `<<: *map` or `<<: [*one, *two]`: the map's own keys take precedence, then earlier list
    /// items.
    fn merge(&mut self, at: &Span, value: Node, merged: &mut Vec<(Key, Node)>) {
        let maps = match value.kind {
            Kind::List(items) => items,
            kind => vec![Node { kind, span: value.span }],
        };
        for map in maps {
            let Kind::Map(entries) = map.kind else {
                let hint = "write `<<: *name`, where `&name` marks a map";
                self.mistakes.add_hint(at, format!("`<<` merges maps, not {}", map.describe()), hint);
                continue;
            };
            for (key, value) in entries {
                if !merged.iter().any(|(other, _)| other.text == key.text) {
                    merged.push((key, value));
                }
            }
        }
    }

    fn key_text(&mut self, key: &Node) -> Option<String> {
        match &key.kind {
            Kind::Null => Some("null".to_owned()),
            Kind::Bool(truth) => Some(truth.to_string()),
            Kind::Int(_) | Kind::Float(..) | Kind::Text { .. } => key.as_text(),
            Kind::Secret(_) | Kind::Sealed(_) | Kind::List(_) | Kind::Map(_) => {
                let what = format!("a key must be a text, not {}", key.describe());
                self.mistakes.add_hint(
                    &key.span,
                    what,
                    "put quotes around a value that begins with `{` or `[`",
                );
                None
            }
        }
    }

    fn scalar(&mut self, text: String, style: ScalarStyle, tag: Option<&Tag>, at: &Span) -> Kind {
        let plain = |text: String| match style {
            ScalarStyle::Plain => scalar::resolve(&text),
            _ => scalar::text(text),
        };
        let Some(tag) = tag else { return plain(text) };
        if tag.is_yaml_core_schema() {
            return match (tag.suffix.as_str(), scalar::resolve(&text)) {
                ("str", _) => scalar::text(text),
                ("int", kind @ Kind::Int(_))
                | ("bool", kind @ Kind::Bool(_))
                | ("null", kind @ Kind::Null) => kind,
                ("float", kind @ Kind::Float(..)) => kind,
                ("float", Kind::Int(number)) => Kind::Float(number as f64, text),
                ("int" | "bool" | "null" | "float", _) => {
                    self.mistakes.add(at, format!("not a valid `!!{}`", tag.suffix));
                    Kind::Null
                }
                _ => self.unknown_tag(tag, at),
            };
        }
        match (tag.handle.as_str(), tag.suffix.as_str()) {
            ("!", "vault" | "vault-encrypted") => Kind::Sealed(Sealed::Vault(text)),
            ("!", "env") if !text.is_empty() => Kind::Sealed(Sealed::Env(text)),
            ("!", "file") if !text.is_empty() => Kind::Sealed(Sealed::File(text)),
            ("!", tag @ ("env" | "file")) => {
                self.mistakes.add(at, format!("`!{tag}` must be followed by a name"));
                Kind::Null
            }
            ("!", "unsafe") => match plain(text) {
                Kind::Text { text, .. } => Kind::Text { text, templated: false },
                kind => kind,
            },
            ("!", "") | ("", "!") => scalar::text(text),
            _ => self.unknown_tag(tag, at),
        }
    }

    fn collection_tag(&mut self, node: &mut Node, tag: Option<&Tag>) {
        let Some(tag) = tag else { return };
        match (tag.handle.as_str(), tag.suffix.as_str(), &node.kind) {
            ("!", "unsafe", _) => make_unsafe(node),
            (_, "map", Kind::Map(_)) | (_, "seq", Kind::List(_)) if tag.is_yaml_core_schema() => {}
            ("!", "vault" | "env" | "file", _) => {
                let what = format!("`!{}` takes a text, not {}", tag.suffix, node.describe());
                self.mistakes.add(&node.span, what);
            }
            _ => node.kind = self.unknown_tag(tag, &node.span.clone()),
        }
    }

    /// A value that begins with `!` is parsed as a tag. It may be a password, so it is not shown.
    fn unknown_tag(&mut self, tag: &Tag, at: &Span) -> Kind {
        if may_hold_secret(&self.file.text, at.line) {
            let hint = "put quotes around a value that begins with `!`";
            self.mistakes.add_hint(at, "unknown tag", hint);
            return Kind::Null;
        }
        let name = if tag.is_yaml_core_schema() { format!("!!{}", tag.suffix) } else { tag.to_string() };
        let hint =
            "supported tags: !vault, !env, !file and !unsafe; put quotes around a value that begins with `!`";
        self.mistakes.add_hint(at, format!("unknown tag `{name}`"), hint);
        Kind::Null
    }
}

fn make_unsafe(node: &mut Node) {
    match &mut node.kind {
        Kind::Text { templated, .. } => *templated = false,
        Kind::List(items) => items.iter_mut().for_each(make_unsafe),
        Kind::Map(entries) => entries.iter_mut().for_each(|(_, value)| make_unsafe(value)),
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(..) | Kind::Secret(_) | Kind::Sealed(_) => {}
    }
}
