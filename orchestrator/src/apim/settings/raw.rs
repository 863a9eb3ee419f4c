//! `config:` as far as it can be checked without knowing the product's keys: can it be written as TOML at all?

use crate::yaml::{Kind, Mistakes, Node};

/// Notes what cannot be written as TOML, or surely does not mean what it says.
pub(super) fn check(node: &Node, what: &str, mistakes: &mut Mistakes) {
    let Kind::Map(entries) = &node.kind else {
        mistakes.add(
            &node.span,
            format!("`{what}` must be a map of deployment.toml's tables, not {}", node.describe()),
        );
        return;
    };
    for (key, value) in entries {
        let path = format!("{what}.{}", key.text);
        if key.text.contains('.') {
            mistakes.add_hint(
                &key.span,
                format!("`{path}`: a dotted key is no table here"),
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
                format!("`{path}`: aliases of the product's cipher tool are not written by hand"),
                "give the secret itself at its key, as `!vault`, `!env` or `!file`; `apim: {secrets: cipher}` has the tool encrypt it",
            );
        }
        nested(value, &path, mistakes);
    }
}

fn nested(node: &Node, what: &str, mistakes: &mut Mistakes) {
    match &node.kind {
        Kind::Null => mistakes.add_hint(
            &node.span,
            format!("`{what}` is empty, and TOML has no such value"),
            "give it a value, or leave the key out",
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
                    format!("`{what}` mixes maps with other values: it must be all of one kind"),
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
