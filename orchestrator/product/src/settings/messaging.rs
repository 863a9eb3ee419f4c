//! `apim.event_hub`, `apim.throttling`, `apim.broker_tls`: how events are distributed between
//! nodes.

use super::read::Section;

/// How events are distributed over several receivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Distribution {
    /// Every receiver gets every event: one URL group per receiver.
    #[default]
    All,
    /// Receivers take turns: one group of all URLs.
    LoadBalance,
    /// The first available receiver gets all events: one group of all URLs.
    Failover,
}

impl Distribution {
    const WORDS: [(&'static str, Self); 3] =
        [("all", Self::All), ("loadbalance", Self::LoadBalance), ("failover", Self::Failover)];

    /// Returns the product's group type; `None` for one group per receiver.
    #[must_use]
    pub const fn group_type(self) -> Option<&'static str> {
        match self {
            Self::All => None,
            Self::LoadBalance => Some("loadbalance"),
            Self::Failover => Some("failover"),
        }
    }
}

/// How events are distributed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Messaging {
    /// How control planes distribute their events over the event hubs.
    pub event_hub: Distribution,
    /// How gateways distribute throttling data over the traffic managers.
    pub throttling: Distribution,
    /// Whether nodes subscribe to brokers over TLS.
    pub broker_tls: bool,
}

impl Messaging {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        let mut distribution = |key| {
            let mut part = section.section(key)?;
            let read = part.word("distribution", &Distribution::WORDS);
            part.finish();
            read
        };
        let event_hub = distribution("event_hub").unwrap_or_default();
        let throttling = distribution("throttling").unwrap_or_default();
        Self { event_hub, throttling, broker_tls: section.flag("broker_tls", false) }
    }
}
