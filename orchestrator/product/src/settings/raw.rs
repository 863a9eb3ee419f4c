//! Checks whether `config:` can be written as TOML. The product's keys are not checked here.

use crate::yaml::{Kind, Mistakes, Node};

/// Adds errors for values that cannot be written as TOML, and for common mistakes.
pub(super) fn check(node: &Node, what: &str, mistakes: &mut Mistakes) {
    let Kind::Map(entries) = &node.kind else {
        mistakes.add(
            &node.span,
            format!("`{what}` must be a map of deployment.toml tables, not {}", node.describe()),
        );
        return;
    };
    for (key, value) in entries {
        let path = format!("{what}.{}", key.text);
        if key.text.contains('.') {
            mistakes.add_hint(
                &key.span,
                format!("`{path}`: a dotted key does not create a table here"),
                format!(
                    "nest it: `{}: {{…}}{}`",
                    key.text.replace('.', ": {"),
                    "}".repeat(key.text.matches('.').count())
                ),
            );
        }
        if key.text == "secrets" {
            mistakes.add_hint(
                &key.span,
                format!("`{path}`: aliases of the product's cipher tool cannot be set by hand"),
                "set the secret at its key, with `!vault`, `!env` or `!file`; `apim: {secrets: cipher}` encrypts it with the tool",
            );
        }
        nested(value, &path, mistakes);
    }
}

fn nested(node: &Node, what: &str, mistakes: &mut Mistakes) {
    match &node.kind {
        Kind::Null => mistakes.add_hint(
            &node.span,
            format!("`{what}` is empty, and TOML has no null value"),
            "set a value, or remove the key",
        ),
        Kind::Map(entries) => {
            for (key, value) in entries {
                nested(value, &format!("{what}.{}", key.text), mistakes);
            }
        }
        Kind::List(items) => {
            let maps = items.iter().filter(|item| matches!(item.kind, Kind::Map(_))).count();
            if maps != 0 && maps != items.len() {
                mistakes.add(
                    &node.span,
                    format!("`{what}` mixes maps with other values: all must be of the same kind"),
                );
            }
            for item in items {
                nested(item, what, mistakes);
            }
        }
        Kind::Bool(_) | Kind::Int(_) | Kind::Float(..) | Kind::Text { .. } => {}
        Kind::Secret(_) | Kind::Sealed(_) => {}
    }
}
