//! Selects the hosts of a play and splits them into batches.

use super::model::{Batch, Play};
use crate::inventory::{Inventory, pattern};
use apim_product::yaml::{Mistakes, Span};
use apim_transport::host::HostName;

/// Returns the play's hosts in batches, in order. `limit` is `--limit`. No batch is empty.
///
/// # Errors
/// When the play's pattern or the limit matches nothing in the inventory, or is invalid.
pub fn expand(
    play: &Play,
    inventory: &Inventory,
    limit: Option<&str>,
) -> Result<Vec<Vec<HostName>>, Mistakes> {
    let hosts = inventory.extra.render(&play.hosts)?;
    let mut hosts = pattern::select(inventory, &hosts.as_text().unwrap_or_default(), &hosts.span)?;
    if let Some(limit) = limit {
        let limited = pattern::select(inventory, limit, &Span::flag("--limit"))?;
        hosts.retain(|host| limited.iter().any(|other| other.name == host.name));
    }
    let names: Vec<HostName> = hosts.into_iter().map(|host| host.name.clone()).collect();
    Ok(batches(names, &play.serial))
}

fn batches(names: Vec<HostName>, serial: &[Batch]) -> Vec<Vec<HostName>> {
    let total = names.len();
    let mut sizes = serial.iter().copied();
    let mut size = total;
    let mut rest = names.as_slice();
    let mut batches = Vec::new();
    while !rest.is_empty() {
        size = match sizes.next() {
            Some(Batch::Hosts(count)) => count,
            Some(Batch::Percent(percent)) => total * usize::from(percent) / 100,
            None => size,
        }
        .max(1);
        let (batch, after) = rest.split_at(size.min(rest.len()));
        batches.push(batch.to_vec());
        rest = after;
    }
    batches
}
