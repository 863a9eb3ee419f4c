//! `blockinfile`, `lineinfile`.

use apim_protocol::operation::Operation;
use apim_protocol::operation::block::Block;
use apim_protocol::operation::line::Line;

use super::options::Options;
use super::site::Site;
use apim_product::Draft;

const PATH: [&str; 3] = ["path", "dest", "name"];

pub(super) fn block(options: &mut Options<'_>, site: &Site<'_>) -> Option<Vec<Draft>> {
    let path = options.path(&PATH);
    options.only("backup", false);
    end_of_file(options);
    let marker = options.text(&["marker"]).unwrap_or_else(|| "# {mark} ANSIBLE MANAGED BLOCK".to_owned());
    let begin = options.text(&["marker_begin"]).is_none_or(|word| word == "BEGIN");
    let end = options.text(&["marker_end"]).is_none_or(|word| word == "END");
    let Some(marker) = marker.strip_prefix("# {mark} ").filter(|_| begin && end) else {
        let span = options.span();
        options.wrong(&span, "unsupported `marker`", "write `marker: \"# {mark} NAME\"`");
        return None;
    };
    let present = options.choice("state", &["present", "absent"]) == "present";
    let text = options.text(&["block", "content"]).unwrap_or_default();
    let lines = if present { text.lines().map(str::to_owned).collect() } else { Vec::new() };
    let create = options.flag("create", false);
    let block = Block { path: path?, marker: marker.to_owned(), lines, create };
    Some(vec![Draft::new(site.title, Operation::Block(block))])
}

pub(super) fn line(options: &mut Options<'_>, site: &Site<'_>) -> Option<Vec<Draft>> {
    let path = options.path(&PATH);
    options.only("backup", false);
    options.only("backrefs", false);
    end_of_file(options);
    let present = options.choice("state", &["present", "absent"]) == "present";
    let pattern = options.text(&["regexp", "regex"]);
    let line = options.text(&["line", "value"]);
    let span = options.span();
    if present && line.is_none() {
        options.wrong(&span, "`lineinfile` needs `line`", "set `line` to the expected line");
    }
    if !present && line.is_none() && pattern.is_none() {
        options.wrong(&span, "`lineinfile` needs `line` or `regexp`", "select the lines to remove");
        return None;
    }
    if let Some(Err(error)) = pattern.as_deref().map(regex::Regex::new) {
        let what = format!("invalid `lineinfile.regexp`: {}", error.to_string().lines().last().unwrap_or(""));
        options.wrong(&span, what, "look-around and back references are not supported");
    }
    let create = options.flag("create", false);
    let line = Line { path: path?, pattern, line: line.unwrap_or_default(), present, create };
    Some(vec![Draft::new(site.title, Operation::Line(line))])
}

/// Rejects `insertafter`, because new lines are always appended.
fn end_of_file(options: &mut Options<'_>) {
    if options.text(&["insertafter"]).is_some_and(|place| place != "EOF") {
        let span = options.span();
        options.wrong(&span, "`insertafter` must be `EOF`", "remove the option");
    }
}
