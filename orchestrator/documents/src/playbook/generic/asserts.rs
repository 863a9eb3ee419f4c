//! `assert`, evaluated when the plan is built.

use super::site::Site;
use apim_product::yaml::{Kind, Mistakes, Node};

pub(super) fn assert(options: &Node, site: &Site<'_>, mistakes: &mut Mistakes) {
    let Some(that) = options.get("that") else {
        mistakes.add(&options.span, "`assert` needs `that`");
        return;
    };
    let conditions = match &that.kind {
        Kind::List(items) => items.as_slice(),
        _ => std::slice::from_ref(that),
    };
    let message = options.get("fail_msg").or_else(|| options.get("msg"));
    for condition in conditions {
        match site.scope.holds(condition) {
            Ok(true) => {}
            Ok(false) => {
                let text = message
                    .and_then(|message| site.scope.render(message).ok())
                    .and_then(|text| text.as_text());
                let name = site
                    .scope
                    .variable("inventory_hostname")
                    .and_then(Result::ok)
                    .and_then(|name| name.as_text());
                let what = format!("assertion failed for {}", name.as_deref().unwrap_or("the host"));
                match text {
                    Some(text) => mistakes.add_hint(&condition.span, what, text),
                    None => mistakes.add(&condition.span, what),
                }
            }
            Err(mistake) => mistakes.0.push(mistake),
        }
    }
}
