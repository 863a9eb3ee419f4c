//! What the user's own keys (`config:`) do: which derived ones they override, and which ones nobody reads.

use super::Cluster;
use crate::apim::catalogue::Findings;
use crate::apim::config::{self, Override};
use crate::apim::settings::secrets::SecretsMode;
use crate::apim::topology::Node;
use crate::yaml::{Mistake, Mistakes};

/// Notes secrets that cannot stand in the form that `apim.secrets` asks for.
pub(super) fn fit_secrets(cluster: &Cluster, mistakes: &mut Mistakes) {
    for node in cluster.nodes.iter().filter(|node| node.settings.secrets != SecretsMode::Plain) {
        let place = node.settings.place_of("secrets").unwrap_or(&node.place);
        for (key, why) in config::render(cluster, node).extracted.unfit {
            let what =
                format!("`apim.secrets: {}`: the secret at `{key}` {why}", node.settings.secrets.word());
            let hint = "choose another secret, or another form: plain, environment, cipher";
            let mistake = Mistake { span: place.clone(), what, hint: Some(hint.to_owned()) };
            if !mistakes.0.contains(&mistake) {
                mistakes.0.push(mistake);
            }
        }
    }
}

/// Notes clashes as mistakes, overrides as notes, and unknown keys as warnings (or mistakes, where `strict_config` says so).
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
        for told in rendered.overridden {
            let same = |(known, _): &&mut (Override, Vec<String>)| {
                (&known.key, &known.theirs, &known.span) == (&told.key, &told.theirs, &told.span)
            };
            match overridden.iter_mut().find(same) {
                Some((known, nodes)) => {
                    if known.ours != told.ours {
                        "what differs from node to node".clone_into(&mut known.ours);
                    }
                    nodes.push(node.name.0.clone());
                }
                None => overridden.push((told, vec![node.name.0.clone()])),
            }
        }
    }
    for finding in findings.told() {
        if finding.strict { &mut *mistakes } else { &mut cluster.warnings }.0.push(finding.told);
    }
    cluster.notes.extend(overridden.into_iter().map(|(told, nodes)| {
        let Override { key, ours, theirs, span } = told;
        let nodes = nodes.join(", ");
        format!("`config` overrides the derived key `{key}` on {nodes}: {theirs} in place of {ours} ({span})")
    }));
}
