//! Converts a module to operations.

use super::name::Lowering;
use super::options::Options;
use super::site::Site;
use crate::playbook::model::GenericTask;
use apim_product::Draft;
use apim_product::yaml::Mistakes;

/// Converts a module to operations for one host, in order.
pub(in crate::playbook) fn lower(task: &GenericTask, site: &Site<'_>, mistakes: &mut Mistakes) -> Vec<Draft> {
    let convert = match task.name.lowering() {
        Some(Lowering::Rendered(convert)) => convert,
        Some(Lowering::Evaluated(evaluate)) => {
            evaluate(&task.options, site, mistakes);
            return Vec::new();
        }
        None => return Vec::new(),
    };
    let rendered = match site.scope.render(&task.options) {
        Ok(rendered) => rendered,
        Err(found) => {
            mistakes.0.extend(found.0);
            return Vec::new();
        }
    };
    let before = mistakes.0.len();
    let drafts = convert(&mut Options::new(task.name.word(), &rendered, mistakes), site);
    if drafts.is_none() && mistakes.0.len() == before {
        let what = format!("`{}` does not support this combination of options", task.name.word());
        mistakes.add(&task.options.span, what);
    }
    drafts.unwrap_or_default()
}
