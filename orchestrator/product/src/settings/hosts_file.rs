//! `apim.hosts_file`: whether and how `/etc/hosts` is managed.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::endpoint::ipv4;
use super::read::{Section, Spanned, check_host, text_of};
use crate::yaml::Kind;

/// `apim.hosts_file`.
#[derive(Debug, Clone, PartialEq)]
pub struct HostsFile {
    /// Whether apim-deploy manages `/etc/hosts`.
    pub enabled: bool,
    /// Additional names with their addresses.
    pub extra: BTreeMap<String, Spanned<Ipv4Addr>>,
}

impl HostsFile {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        let mut read = Self { enabled: true, extra: BTreeMap::new() };
        let Some(mut part) = section.section("hosts_file") else { return read };
        read.enabled = part.flag("enabled", true);
        if let Some(node) = part.take("extra") {
            match &node.kind {
                Kind::Map(entries) => {
                    for (key, value) in entries {
                        let name = Spanned::new(key.text.clone(), key.span.clone());
                        let what = "apim.hosts_file.extra";
                        if check_host(&name, what, part.mistakes)
                            && let Some(text) = text_of(value, what, part.mistakes)
                            && let Some(address) = ipv4(&text, what, part.mistakes)
                        {
                            read.extra.insert(name.value, Spanned::new(address, name.span));
                        }
                    }
                }
                _ => part.mistakes.add(&node.span, "`apim.hosts_file.extra` must map names to addresses"),
            }
        }
        part.finish();
        read
    }
}
