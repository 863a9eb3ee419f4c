//! How the program ends: kinds of ends, their codes, and what is said.

use std::io;
use std::process::ExitCode;

use serde_json::json;

use crate::report::{Style, remark, say};
use crate::yaml::{Colours, Mistake, Mistakes};

/// How it ended. The codes are a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Everything is as wished.
    Converged,
    /// A host failed, was unreachable, or is not healthy.
    Failed,
    /// Bad usage, or mistakes in files; nothing was contacted.
    Usage,
    /// Something would change (only where that was asked for).
    Pending,
    /// A plan was to be carried out, and something is otherwise than when it was made; nothing was changed.
    Moved,
    /// Our bug.
    Bug,
    /// The user stopped it.
    Interrupted,
}

impl Kind {
    /// Returns the exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Converged => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Pending => 3,
            Self::Moved => 4,
            Self::Bug => 70,
            Self::Interrupted => 130,
        }
    }
}

/// An end that needs words.
#[derive(Debug)]
pub struct Exit {
    kind: Kind,
    /// What went wrong, whole lines.
    text: String,
    hints: Vec<String>,
    /// Mistakes of files, which say so themselves, each; they are in `text` too.
    mistakes: Option<Mistakes>,
}

impl Exit {
    /// Returns an end of `kind` that says `text`.
    #[must_use]
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), hints: Vec::new(), mistakes: None }
    }

    /// Returns its kind.
    pub(super) const fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns what went wrong.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the end that `error` and its causes make.
    #[must_use]
    pub fn from_error(kind: Kind, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut text = error.to_string();
        let mut next = error.source();
        while let Some(cause) = next {
            text.push_str(&format!("\n  because: {cause}"));
            next = cause.source();
        }
        Self::new(kind, text)
    }

    /// Returns the end with the words of another one below its own.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.text.push('\n');
        self.text.push_str(&other.text);
        self
    }

    /// Returns the end with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl From<Mistakes> for Exit {
    fn from(mistakes: Mistakes) -> Self {
        let colours = if style().is_coloured() { Colours::On } else { Colours::Off };
        let text = mistakes.render(colours);
        let count = mistakes.in_order().len();
        let summary = if count == 1 { "1 mistake".to_owned() } else { format!("{count} mistakes") };
        let text = format!("{}\n{summary}; nothing was contacted", text.trim_end());
        Self { mistakes: Some(mistakes), ..Self::new(Kind::Usage, text) }
    }
}

impl From<io::Error> for Exit {
    fn from(error: io::Error) -> Self {
        Self::new(Kind::Failed, format!("cannot write the output: {error}"))
    }
}

fn style() -> Style {
    crate::report::Look::detect(false, 0, false).err
}

/// Says what is to be said and returns the code. For programs mistakes are objects on standard output.
pub(super) fn code(ended: Result<Kind, Exit>, json: bool) -> ExitCode {
    let kind = match ended {
        Ok(kind) => kind,
        Err(exit) => {
            match &exit.mistakes {
                // That the output cannot be written changes nothing about how it ended.
                Some(mistakes) if json => drop(say(&objects("mistake", mistakes))),
                _ => remark(&exit.words(style())),
            }
            exit.kind
        }
    };
    ExitCode::from(kind.code())
}

impl Exit {
    fn words(&self, style: Style) -> String {
        let Self { kind, text, hints, mistakes } = self;
        let mut words = match (kind, mistakes) {
            (_, Some(_)) | (Kind::Interrupted, None) => format!("{text}\n"),
            _ => format!("{} {text}\n", style.bad("error:")),
        };
        for hint in hints {
            words.push_str(&format!("{} {hint}\n", style.good("hint:")));
        }
        words
    }
}

/// One object a line, in the order of files and places.
pub(super) fn objects(event: &str, mistakes: &Mistakes) -> String {
    let object = |mistake: &Mistake| {
        let span = &mistake.span;
        let file = span.file.as_ref().map(|file| file.name.as_str());
        let at = |number: usize| (number > 0).then_some(number);
        json!({
            "event": event, "file": file, "line": at(span.line), "column": at(span.column),
            "what": mistake.what, "hint": mistake.hint,
        })
        .to_string()
    };
    mistakes.in_order().into_iter().map(object).collect::<Vec<_>>().join("\n")
}

/// Shows what clap has to say: help and version on standard output, mistakes on standard error.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    let text =
        if style().is_coloured() { error.render().ansi().to_string() } else { error.render().to_string() };
    if error.use_stderr() {
        remark(&text);
        ExitCode::from(Kind::Usage.code())
    } else {
        match say(&text) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::from(Kind::Failed.code()),
        }
    }
}

/// From here on a panic anywhere ends the program with the code for bugs, and says what to report.
pub(super) fn catch_bugs() {
    std::panic::set_hook(Box::new(|panic| {
        let version = env!("CARGO_PKG_VERSION");
        remark(&format!(
            "\nthis is a bug in apim-deploy {version}, not a mistake of yours: {panic}\n\
             hosts finish the step they are in; running the same command again goes on from there.\n\
             Please report the text above with the command line (without secrets).\n"
        ));
        #[expect(
            clippy::exit,
            reason = "after a bug nothing else may be done; main has no other way to hear of it"
        )]
        std::process::exit(i32::from(Kind::Bug.code()));
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::Span;

    fn mistakes() -> Mistakes {
        let mut mistakes = Mistakes::default();
        mistakes.add_hint(&Span::flag("--tags"), "no task has the tag `x`", "did you mean `y`?");
        mistakes.add(&Span { line: 3, column: 7, length: 1, ..Span::flag("i.yaml") }, "it is wrong");
        mistakes
    }

    #[test]
    fn mistakes_say_error_once_each_whatever_the_colours() {
        let mut exit = Exit::from(mistakes());
        exit.text = mistakes().render(Colours::On);
        assert_eq!(exit.words(Style::new(true)).matches("error").count(), 2);
        assert_eq!(Exit::new(Kind::Usage, "an error: x").words(Style::plain()), "error: an error: x\n");
    }

    #[test]
    fn for_programs_each_mistake_is_one_object() {
        let text = objects("mistake", &mistakes());
        let read = |line| serde_json::from_str::<serde_json::Value>(line).expect("an object");
        let lines: Vec<serde_json::Value> = text.lines().map(read).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["event"], &lines[0]["line"]), (&json!("mistake"), &json!(null)));
        assert_eq!(lines[0]["hint"], "did you mean `y`?");
        assert_eq!(
            (&lines[1]["file"], &lines[1]["line"], &lines[1]["column"]),
            (&json!("i.yaml"), &json!(3), &json!(7))
        );
    }
}
