//! Exit kinds, their codes and the messages printed with them.

use std::io;
use std::process::ExitCode;

use serde_json::json;

use crate::report::{Style, remark, say};
use apim_product::yaml::{Colours, Mistake, Mistakes};

/// Why the program ended. The exit codes are a documented contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Every host is up to date.
    Converged,
    /// A host failed, was unreachable, or is not healthy.
    Failed,
    /// Invalid usage, or errors in files; no host was contacted.
    Usage,
    /// Changes are pending; only for verbs and flags that report this.
    Pending,
    /// The saved plan is stale; no host was changed.
    PlanStale,
    /// Internal error.
    Bug,
    /// Interrupted by the user.
    Interrupted,
}

impl Kind {
    /// Returns the exit code.
    #[must_use]
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Converged => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Pending => 3,
            Self::PlanStale => 4,
            Self::Bug => 70,
            Self::Interrupted => 130,
        }
    }
}

/// An exit with a message.
#[derive(Debug)]
pub(crate) struct Exit {
    kind: Kind,
    /// The message, in whole lines.
    text: String,
    hints: Vec<String>,
    /// Errors in files. They are rendered into `text` as well.
    mistakes: Option<Mistakes>,
}

impl Exit {
    /// Returns an exit of `kind` with the message `text`.
    #[must_use]
    pub(crate) fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), hints: Vec::new(), mistakes: None }
    }

    /// Returns the kind.
    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the message.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns an exit with `error` and its causes as the message.
    #[must_use]
    pub(crate) fn from_error(kind: Kind, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut text = error.to_string();
        let mut next = error.source();
        while let Some(cause) = next {
            text.push_str(&format!("\n  because: {cause}"));
            next = cause.source();
        }
        Self::new(kind, text)
    }

    /// Appends the message of `other`.
    #[must_use]
    pub(crate) fn and(mut self, other: &Self) -> Self {
        self.text.push('\n');
        self.text.push_str(&other.text);
        self
    }

    /// Adds a hint.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl From<Mistakes> for Exit {
    fn from(mistakes: Mistakes) -> Self {
        let colours = if style().is_coloured() { Colours::On } else { Colours::Off };
        let text = mistakes.render(colours);
        let count = mistakes.in_order().len();
        let summary = if count == 1 { "1 error".to_owned() } else { format!("{count} errors") };
        let text = format!("{}\n{summary}; no host was contacted", text.trim_end());
        Self { mistakes: Some(mistakes), ..Self::new(Kind::Usage, text) }
    }
}

impl From<io::Error> for Exit {
    fn from(error: io::Error) -> Self {
        Self::new(Kind::Failed, format!("cannot write the output: {error}"))
    }
}

/// Returns the style of messages on standard error.
pub(crate) fn style() -> Style {
    crate::report::Look::detect(false, 0, false).err
}

/// Prints the message and returns the exit code. With JSON output, errors in files are objects on
/// standard output.
pub(crate) fn code(ended: Result<Kind, Exit>, json: bool) -> ExitCode {
    let kind = match ended {
        Ok(kind) => kind,
        Err(exit) => {
            match &exit.mistakes {
                // A failure to write the output does not change the exit code.
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

/// Returns one object per line, ordered by file and position.
pub(crate) fn objects(event: &str, mistakes: &Mistakes) -> String {
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

/// Installs a panic hook that prints what to report and exits with [`Kind::Bug`].
pub(crate) fn catch_bugs() {
    std::panic::set_hook(Box::new(|panic| {
        let version = env!("CARGO_PKG_VERSION");
        remark(&format!(
            "\ninternal error in apim-deploy {version}: {panic}\n\
             hosts finish the step in progress; re-run the same command to continue.\n\
             Report the text above with the command line (without secrets).\n"
        ));
        #[expect(clippy::exit, reason = "no other code may run after a panic, and main cannot observe it")]
        std::process::exit(i32::from(Kind::Bug.code()));
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use apim_product::yaml::Span;

    fn mistakes() -> Mistakes {
        let mut mistakes = Mistakes::default();
        mistakes.add_hint(&Span::flag("--tags"), "no task has the tag `x`", "did you mean `y`?");
        mistakes.add(&Span { line: 3, column: 7, length: 1, ..Span::flag("i.yaml") }, "invalid value");
        mistakes
    }

    #[test]
    fn each_error_is_labelled_once_with_and_without_colours() {
        let mut exit = Exit::from(mistakes());
        exit.text = mistakes().render(Colours::On);
        assert_eq!(exit.words(Style::new(true)).matches("error").count(), 2);
        assert_eq!(Exit::new(Kind::Usage, "an error: x").words(Style::plain()), "error: an error: x\n");
    }

    #[test]
    fn json_output_has_one_object_per_error() {
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
