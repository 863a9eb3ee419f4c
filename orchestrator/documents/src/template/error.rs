//! Converts errors of the engine to errors with a position. Never shows a value that may be secret.

use minijinja::{Error, ErrorKind};

use super::engine::NO_LOOKUP;
use super::observed::{self, Observed};
use apim_product::yaml::{Mistake, Span, nearest};

/// Returns the error at `span`; uses the observations of the rendering that failed.
pub(super) fn mistake(error: &Error, span: &Span) -> Mistake {
    let Observed { missing, mistake, secret } = observed::take();
    if let Some(mistake) = mistake {
        return mistake;
    }
    let at = |what: String, hint: Option<String>| Mistake { span: span.clone(), what, hint };
    let detail = error.detail().unwrap_or_default();
    match (error.kind(), missing) {
        (ErrorKind::UndefinedError, Some((name, known))) => {
            let is_fact = name.starts_with("ansible_");
            let near = nearest(&name, known.iter().map(String::as_str))
                .filter(|near| !is_fact || strsim::damerau_levenshtein(&name, near) <= 2);
            let hint = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None if is_fact => {
                    "facts of hosts are not available in templates; set the variable in the inventory"
                        .to_owned()
                }
                None => "set it in the inventory, in a play's `vars`, or with -e".to_owned(),
            };
            at(format!("`{name}` is not defined"), Some(hint))
        }
        (ErrorKind::UndefinedError, None) => at("undefined value".to_owned(), None),
        (ErrorKind::OutOfFuel, _) => {
            at("the template exceeds the step limit".to_owned(), Some("check its loops".to_owned()))
        }
        (ErrorKind::SyntaxError, _) => at(format!("invalid template: {detail}"), None),
        (ErrorKind::InvalidOperation, _) if detail == NO_LOOKUP => {
            at(detail.to_owned(), Some("write the whole value as `!env NAME` or `!file PATH`".to_owned()))
        }
        (ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::UnknownFunction, _) => at(
            format!("unsupported in templates: {detail}"),
            Some("see docs/playbooks.md for the supported filters".to_owned()),
        ),
        // The engine's message may contain the value.
        (kind, _) if secret => {
            at(format!("template error: {kind} (details hidden: the template uses a secret)"), None)
        }
        (kind, _) if detail.is_empty() => at(format!("template error: {kind}"), None),
        (kind, _) => at(format!("template error: {kind}: {detail}"), None),
    }
}
