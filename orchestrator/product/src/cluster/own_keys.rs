//! Checks the user's own keys (`config:`): overrides of derived keys, and keys that the product
//! does not read.

use super::Cluster;
use crate::catalogue::Findings;
use crate::config::{self, Override};
use crate::settings::secrets::SecretsMode;
use crate::topology::Node;
use crate::yaml::{Mistake, Mistakes};

/// Adds errors for secrets that `apim.secrets` does not support in its mode.
pub(super) fn fit_secrets(cluster: &Cluster, mistakes: &mut Mistakes) {
    for node in cluster.nodes.iter().filter(|node| node.settings.secrets != SecretsMode::Plain) {
        let place = node.settings.place_of("secrets").unwrap_or(&node.place);
        for (key, why) in config::render(cluster, node).extracted.unfit {
            let what =
                format!("`apim.secrets: {}`: the secret at `{key}` {why}", node.settings.secrets.word());
            let hint = "choose another secret, or another mode: plain, environment, cipher";
            let mistake = Mistake { span: place.clone(), what, hint: Some(hint.to_owned()) };
            if !mistakes.0.contains(&mistake) {
                mistakes.0.push(mistake);
            }
        }
    }
}

/// Adds errors for clashes, notes for overrides, and warnings for unknown keys (errors with
/// `strict_config`).
pub(super) fn look(cluster: &mut Cluster, mistakes: &mut Mistakes) {
    let mut findings = Findings::default();
    let mut overridden: Vec<(Override, Vec<String>)> = Vec::new();
    let configured = |node: &&Node| node.settings.config.is_some() || node.own.config.is_some();
    for node in cluster.nodes.iter().filter(configured) {
        for config in [&node.settings.config, &node.own.config].into_iter().flatten() {
            findings.look(config, node);
        }
        let rendered = config::render(cluster, node);
        mistakes.0.extend(rendered.clashes.0);
        for one in rendered.overridden {
            let same = |(known, _): &&mut (Override, Vec<String>)| {
                (&known.key, &known.configured, &known.span) == (&one.key, &one.configured, &one.span)
            };
            match overridden.iter_mut().find(same) {
                Some((known, nodes)) => {
                    if known.derived != one.derived {
                        "a value that differs per node".clone_into(&mut known.derived);
                    }
                    nodes.push(node.name.0.clone());
                }
                None => overridden.push((one, vec![node.name.0.clone()])),
            }
        }
    }
    for finding in findings.into_vec() {
        if finding.strict { &mut *mistakes } else { &mut cluster.warnings }.0.push(finding.mistake);
    }
    cluster.notes.extend(overridden.into_iter().map(|(one, nodes)| {
        let Override { key, derived, configured, span } = one;
        let nodes = nodes.join(", ");
        format!("`config` overrides the derived key `{key}` on {nodes}: {configured} instead of {derived} ({span})")
    }));
}
