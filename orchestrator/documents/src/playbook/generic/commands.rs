//! `command`, `shell`.

use apim_protocol::operation::Operation;
use apim_protocol::operation::command::{Command, Invocation};
use apim_protocol::value::Secret;

use super::options::Options;
use super::site::Site;
use apim_product::Draft;
use apim_product::yaml::Kind;

pub(super) fn command(options: &mut Options<'_>, site: &Site<'_>) -> Option<Vec<Draft>> {
    let span = options.span();
    let argv = match options.get(&["argv"]) {
        Some(node) => match &node.kind {
            Kind::List(items) => items.iter().filter_map(|item| argument(item, options)).collect(),
            _ => {
                options.wrong(&node.span, "`command.argv` must be a list", "one entry per argument");
                return None;
            }
        },
        None => {
            let text = options.require(&["cmd"])?;
            match shlex::split(&text) {
                Some(words) => words,
                None => {
                    options.wrong(&span, "unclosed quote in the command", "close the quote, or use `argv`");
                    return None;
                }
            }
        }
    };
    if argv.is_empty() {
        options.wrong(&span, "empty command", "write the program and its arguments");
        return None;
    }
    Some(vec![run(argv, options, site)])
}

/// Returns an argument, which must not be a secret: every account of the host can read argument
/// vectors.
fn argument(node: &apim_product::yaml::Node, options: &mut Options<'_>) -> Option<String> {
    let text = node.as_text();
    if text.is_none() {
        let what = match node.kind {
            Kind::Secret(_) => {
                "an argument must not be a secret: every account of the host could read it".to_owned()
            }
            _ => format!("an argument must be a text, not {}", node.describe()),
        };
        options.wrong(&node.span, what, "pass secrets in `stdin` or in a file");
    }
    text
}

pub(super) fn shell(options: &mut Options<'_>, site: &Site<'_>) -> Option<Vec<Draft>> {
    let line = options.require(&["cmd"])?;
    let shell =
        options.optional_path("executable").map_or_else(|| "/bin/sh".to_owned(), |path| path.to_string());
    Some(vec![run(vec![shell, "-c".to_owned(), line], options, site)])
}

fn run(argv: Vec<String>, options: &mut Options<'_>, site: &Site<'_>) -> Draft {
    let newline = options.flag("stdin_add_newline", true);
    let stdin = options.secret("stdin").map(|stdin| match newline {
        true => Secret::new(format!("{}\n", stdin.expose())),
        false => stdin,
    });
    let run = Invocation {
        argv,
        directory: options.optional_path("chdir"),
        run_as: site.run_as.map(str::to_owned),
        stdin,
        ..Invocation::default()
    };
    let command = Command {
        run,
        creates: options.optional_path("creates"),
        removes: options.optional_path("removes"),
        unless: None,
        success: Vec::new(),
        changes: site.changes.unwrap_or(true),
    };
    Draft::new(site.title, Operation::Command(command))
}
