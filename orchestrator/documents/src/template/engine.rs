//! The template engine, configured to behave like Ansible's.

use std::sync::OnceLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};

use super::{filters, python};

/// Returns the engine, which is created once.
pub(super) fn engine() -> &'static Environment<'static> {
    static ENGINE: OnceLock<Environment<'static>> = OnceLock::new();
    ENGINE.get_or_init(build)
}

/// The maximum number of steps of one template: more than any file needs, and done within seconds.
const FUEL: u64 = 2_000_000;

fn build() -> Environment<'static> {
    let mut env = Environment::new();
    env.set_fuel(Some(FUEL));
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_auto_escape_callback(|_| AutoEscape::None);
    // Ansible trims the newline after a block and keeps the last newline of a template.
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).keep_trailing_newline(true).build() {
        env.set_syntax(syntax);
    }
    env.set_formatter(|out, _, value| {
        if value.is_undefined() {
            return Err(Error::from(ErrorKind::UndefinedError));
        }
        out.write_str(&python::text(value)?).map_err(Error::from)
    });
    env.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    for name in ["lookup", "query", "q"] {
        env.add_function(name, |_: minijinja::value::Rest<Value>| -> Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, NO_LOOKUP))
        });
    }
    filters::add(&mut env);
    env
}

/// The error for `lookup(…)`. The scope adds the hint.
pub(super) const NO_LOOKUP: &str = "`lookup` is not supported";
