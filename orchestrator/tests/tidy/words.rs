//! Texts that people read use plain technical English (docs/style.md): strings, comments, names of tests, documents.

use std::sync::LazyLock;

use proc_macro2::{TokenStream, TokenTree};
use regex::Regex;

use crate::sources::{SOURCES, collect, workspace};

/// Words of an idiom that this project no longer uses.
static BANNED: LazyLock<Regex> = LazyLock::new(|| {
    let words = [
        "nobody",
        "somebody",
        "whoever",
        "who",
        "whom",
        "wish",
        "wishes",
        "wished",
        "sees? to",
        "anew",
        "stands? (?:a|for)",
        "lies (?:in|below)",
        "is no [a-z]+",
        "errands?",
        "bystanders?",
    ];
    Regex::new(&format!(r"(?i)\b(?:{})\b", words.join("|"))).expect("valid")
});

/// Ordinary English that the pattern also matches: "there is no host", "is no longer".
const ORDINARY_BEFORE: &str = "there ";
const ORDINARY: &str = "is no longer";

/// Places that keep a banned word: the file, a piece of the line, and the reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("docs/style.md", "", "it lists the banned words"),
    ("orchestrator/tests/tidy/words.rs", "", "it lists the banned words"),
    ("orchestrator/transport/src/ssh/tests/start.rs", "\"nobody\"", "the Unix account"),
    ("tests/lab/servers.rs", "nobody", "the Unix account"),
    ("tests/lab/servers.rs", "NOBODY", "the Unix account"),
    ("docs/output.md", "wished_release", "a JSON field that keeps its name"),
];

/// Documents and scripts, by extension or name.
const DOCUMENTS: &[&str] =
    &["md", "yaml", "yml", "sh", "toml", "rb", "Makefile", "Vagrantfile", "run", "build-static.sh"];

fn banned(text: &str) -> Option<&str> {
    BANNED.find_iter(text).find_map(|found| {
        let before = text[..found.start()].to_lowercase();
        let is_ordinary = found.as_str().to_lowercase().starts_with("is no ")
            && (before.ends_with(ORDINARY_BEFORE) || found.as_str().eq_ignore_ascii_case(ORDINARY));
        (!is_ordinary).then_some(found.as_str())
    })
}

fn is_excepted(path: &str, line: &str) -> bool {
    EXCEPTIONS.iter().any(|(file, piece, _)| path == *file && line.contains(piece))
}

/// Adds the string literals of `tokens`, doc comments among them, and the names of functions, each with its line.
fn texts(tokens: TokenStream, found: &mut Vec<(usize, String)>) {
    let mut is_function = false;
    for token in tokens {
        match token {
            TokenTree::Group(group) => texts(group.stream(), found),
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                if text.contains('"') {
                    found.push((literal.span().start().line, text.replace("\\n", "\n")));
                }
            }
            TokenTree::Ident(ident) if is_function => {
                found.push((ident.span().start().line, ident.to_string().replace('_', " ")));
                is_function = false;
            }
            TokenTree::Ident(ident) => is_function = ident == "fn",
            TokenTree::Punct(_) => {}
        }
    }
}

#[test]
fn sources_use_plain_words() {
    let mut wrong = Vec::new();
    for source in SOURCES.iter() {
        let path = source.path.to_string_lossy();
        let mut found = Vec::new();
        texts(source.text.parse().expect("tokens"), &mut found);
        let comments = source.text.lines().enumerate().filter_map(|(at, line)| {
            let (_, comment) = line.split_once("//")?;
            Some((at + 1, comment.to_owned()))
        });
        found.extend(comments);
        found.sort();
        found.dedup();
        for (line, text) in &found {
            for part in text.lines() {
                if let Some(word) = banned(part)
                    && !is_excepted(&path, part)
                {
                    wrong.push(format!("{path}:{line}: `{word}` in `{}`", part.trim()));
                }
            }
        }
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn documents_use_plain_words() {
    let mut wrong = Vec::new();
    collect(&workspace(), &mut |path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let kind = path.extension().map_or(name.as_str().into(), |extension| extension.to_string_lossy());
        let shown =
            path.strip_prefix(workspace()).expect("below the workspace").to_string_lossy().into_owned();
        if !DOCUMENTS.contains(&kind.as_ref()) || shown == "Cargo.lock" {
            return;
        }
        let text = std::fs::read_to_string(path).expect("readable");
        for (at, line) in text.lines().enumerate() {
            if let Some(word) = banned(line)
                && !is_excepted(&shown, line)
            {
                wrong.push(format!("{shown}:{}: `{word}` in `{}`", at + 1, line.trim()));
            }
        }
    });
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn banned_words_are_found_in_any_text() {
    for text in ["Nobody answers", "gw1 is no gateway", "it sees to that", "AS WISHED", "who asks"] {
        assert!(banned(text).is_some(), "{text}");
    }
    for text in ["there is no host gw1", "gw1 is no longer healthy", "the whole release", "understand a line"]
    {
        assert_eq!(banned(text), None, "{text}");
    }
    let mut found = Vec::new();
    let source = "/// Who.\nfn nobody_is_left() { say!(\"anew {x}\") }";
    texts(source.parse().expect("tokens"), &mut found);
    let lines: Vec<usize> =
        found.iter().filter(|(_, text)| banned(text).is_some()).map(|(line, _)| *line).collect();
    assert_eq!(lines, [1, 2, 2]);
}
