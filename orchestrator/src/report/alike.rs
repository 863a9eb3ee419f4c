//! Groups identical output of hosts: the host names, then the output. Returns text, prints nothing.

use super::fold::folded;
use super::style::{Style, count, harmless};

/// The result and output of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The result in a few words.
    pub head: String,
    /// The full output.
    pub body: String,
    /// Whether it is a success; selects the colour.
    pub is_good: bool,
}

/// Renders each distinct block once, in the order of the hosts.
#[must_use]
pub fn text(said: &[(&str, Block)], style: Style) -> String {
    let mut all: Vec<(&Block, Vec<&str>)> = Vec::new();
    for (host, block) in said {
        match all.iter_mut().find(|(known, _)| *known == block) {
            Some((_, hosts)) => hosts.push(host),
            None => all.push((block, vec![host])),
        }
    }
    let mut text = String::new();
    for (Block { head, body, is_good }, hosts) in all {
        let number =
            if hosts.len() > 1 { format!(" ({})", count(hosts.len(), "host")) } else { String::new() };
        let names = style.strong(harmless(&folded(hosts)));
        let head = harmless(head);
        let head = if *is_good { style.good(head) } else { style.bad(head) };
        text.push_str(&format!("{names}{number}: {head}\n"));
        for line in harmless(body).lines() {
            let line = format!("  {line}");
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identical_output_is_grouped() {
        let block = |body: &str| Block { head: "exit status 0".into(), body: body.into(), is_good: true };
        let other =
            Block { head: "exit status 2".into(), body: "no such\x1b[2J file".into(), is_good: false };
        let said = [
            ("gw1", block("up\n\nfine\n")),
            ("cp1", other),
            ("gw2", block("up\n\nfine\n")),
            ("gw4", block("")),
        ];
        insta::assert_snapshot!(text(&said, Style::plain()));
    }
}
