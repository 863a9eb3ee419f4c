//! `apim.control_plane`, `apim.gateway`, …: settings of one role.

use super::raw;
use super::read::{Section, Spanned, text_of, texts_of};
use crate::availability::Allowance;
use crate::port::LARGEST_OFFSET;
use crate::role::Role;
use crate::yaml::{Kind, Node, Span};

/// Heap size of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heap {
    /// `-Xms`
    pub initial: String,
    /// `-Xmx`
    pub maximum: String,
}

impl Heap {
    /// Returns the JVM options.
    #[must_use]
    pub fn options(&self) -> String {
        format!("-Xms{} -Xmx{}", self.initial, self.maximum)
    }

    /// Returns the initial and the maximum size in MiB.
    #[must_use]
    pub fn mebibytes(&self) -> (u64, u64) {
        (megabytes(&self.initial), megabytes(&self.maximum))
    }
}

/// Artifacts that a gateway keeps although the control plane does not know them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SkipList {
    /// Files of APIs.
    pub apis: Vec<String>,
    /// Files of endpoints.
    pub endpoints: Vec<String>,
    /// Files of sequences.
    pub sequences: Vec<String>,
    /// Files of local entries.
    pub local_entries: Vec<String>,
}

impl SkipList {
    fn read(mut section: Section<'_, '_>) -> Self {
        let read = Self {
            apis: section.texts("apis").unwrap_or_default(),
            endpoints: section.texts("endpoints").unwrap_or_default(),
            sequences: section.texts("sequences").unwrap_or_default(),
            local_entries: section.texts("local_entries").unwrap_or_default(),
        };
        section.finish();
        read
    }
}

/// How a gateway gets its APIs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retrieval {
    /// `sync`: the start waits for the APIs; `async`: they are deployed after the start.
    pub mode: Option<&'static str>,
    /// Milliseconds before the first retry; the delay doubles with each further one.
    pub retry_ms: Option<i64>,
    /// Milliseconds between an event and the pull that it triggers.
    pub event_waiting_ms: Option<i64>,
    /// Whether an API is deployed on its first call.
    pub on_demand: Option<bool>,
}

impl Retrieval {
    fn read(section: &mut Section<'_, '_>) -> Self {
        let Some(mut part) = section.section("artifacts") else { return Self::default() };
        let read = Self {
            mode: part.word("retrieval", &[("sync", "sync"), ("async", "async")]),
            retry_ms: part.number("retry_ms", 1..=3_600_000),
            event_waiting_ms: part.number("event_waiting_ms", 0..=3_600_000),
            on_demand: part.choice("on_demand"),
        };
        part.finish();
        read
    }
}

/// Settings of one role on one host.
#[derive(Debug, Clone, PartialEq)]
pub struct RoleSettings {
    /// Gateway: its environments.
    pub environments: Vec<Spanned<String>>,
    /// Gateway: additional labels, for environments that were created in the admin portal.
    pub labels: Vec<Spanned<String>>,
    /// Gateway: how it gets its APIs.
    pub retrieval: Retrieval,
    /// `proxyPort` of HTTPS and of HTTP, if they differ from those of the endpoint.
    pub proxy_ports: (Option<u16>, Option<u16>),
    /// Offset added to every port.
    pub port_offset: u16,
    /// The location of the offset, if it is set.
    pub offset_span: Option<Span>,
    /// The heap size.
    pub heap: Heap,
    /// Additional JVM options.
    pub java_opts: Option<String>,
    /// Raw keys of `deployment.toml`, merged last.
    pub config: Option<Node>,
    /// Gateway: artifacts to keep.
    pub skip_list: Option<SkipList>,
    /// Traffic manager: policies that are not redeployed at start.
    pub skip_redeploying_policies: Vec<String>,
    /// Disruption budget: how many nodes of the role may be down at the same time.
    pub max_unavailable: Option<Spanned<Allowance>>,
    /// Timeout for stopping a node, in seconds; `None`: the role's default.
    pub stop_secs: Option<u64>,
    /// Control plane: the domain of cache invalidation between its nodes.
    pub cache_invalidation: Option<String>,
}

impl RoleSettings {
    pub(super) fn absent() -> Self {
        Self {
            environments: Vec::new(),
            labels: Vec::new(),
            retrieval: Retrieval::default(),
            proxy_ports: (None, None),
            port_offset: 0,
            offset_span: None,
            heap: Heap { initial: "256m".to_owned(), maximum: "1024m".to_owned() },
            java_opts: None,
            config: None,
            skip_list: None,
            skip_redeploying_policies: Vec::new(),
            max_unavailable: None,
            stop_secs: None,
            cache_invalidation: None,
        }
    }

    pub(super) fn read(role: Role, mut section: Section<'_, '_>) -> Self {
        let mut read = Self::absent();
        if let Some(node) = section.take("port_offset") {
            read.offset_span = Some(node.span.clone());
            read.port_offset = port_offset(node, &mut section).unwrap_or_default();
        }
        if let Some(node) = section.take("heap") {
            read.heap = heap(node, &mut section).unwrap_or(read.heap);
        }
        read.max_unavailable = max_unavailable(&mut section);
        read.stop_secs = section.number("stop_secs", 5..=3600).and_then(|secs| u64::try_from(secs).ok());
        read.java_opts = java_opts(&mut section);
        read.config = section.take("config").cloned();
        if let Some(config) = &read.config {
            raw::check(config, &section.path("config"), section.mistakes);
        }
        read.proxy_ports = (section.port("proxy_port"), section.port("http_proxy_port"));
        if role.is_gateway() {
            read.environments = texts_of(&mut section, "environment");
            read.labels = texts_of(&mut section, "labels");
            read.retrieval = Retrieval::read(&mut section);
            read.skip_list = section.section("skip_list").map(SkipList::read);
        }
        if role == Role::TrafficManager || role.is_hub() {
            read.skip_redeploying_policies = section.texts("skip_redeploying_policies").unwrap_or_default();
        }
        if role.is_hub() {
            read.cache_invalidation = section.text("cache_invalidation_domain").map(|text| text.value);
        }
        section.finish();
        read
    }
}

fn port_offset(node: &Node, section: &mut Section<'_, '_>) -> Option<u16> {
    if let Kind::Int(n) = node.kind
        && let Some(offset) = u16::try_from(n).ok().filter(|offset| *offset <= LARGEST_OFFSET)
    {
        return Some(offset);
    }
    let what = format!("`{}` must be a whole number from 0 to {LARGEST_OFFSET}", section.path("port_offset"));
    section.mistakes.add(&node.span, what);
    None
}

fn max_unavailable(section: &mut Section<'_, '_>) -> Option<Spanned<Allowance>> {
    let text = section.text("max_unavailable")?;
    match Allowance::parse(&text.value) {
        Ok(allowance) => Some(Spanned::new(allowance, text.span)),
        Err(why) => {
            let what = format!("`{}`: {why}", section.path("max_unavailable"));
            let hint = "a number such as 1, or a percentage such as 25%";
            section.mistakes.add_hint(&text.span, what, hint);
            None
        }
    }
}

fn java_opts(section: &mut Section<'_, '_>) -> Option<String> {
    let text = section.text("java_opts")?;
    let fits = !text.value.contains(['\n', '\r', '"', '\\', '\'']);
    if !fits {
        let what =
            format!("`{}` must not contain quotes, backslashes or line breaks", section.path("java_opts"));
        let hint = "the start script splits it at blanks and ignores quotes";
        section.mistakes.add_hint(&text.span, what, hint);
    }
    fits.then_some(text.value)
}

fn heap(node: &Node, section: &mut Section<'_, '_>) -> Option<Heap> {
    let what = section.path("heap");
    if let Kind::Map(_) = node.kind {
        let mut part = Section::new(node, what.clone(), section.mistakes);
        let initial = part.text("initial");
        let maximum = part.text("maximum");
        if maximum.is_none() {
            part.missing("maximum", "such as 2g");
        }
        part.finish();
        let maximum = memory(&maximum?, &what, section)?;
        let initial = match initial {
            Some(text) => memory(&text, &what, section)?,
            None => maximum.clone(),
        };
        if megabytes(&initial) > megabytes(&maximum) {
            let message = format!("`{what}`: `initial` ({initial}) is larger than `maximum` ({maximum})");
            section.mistakes.add(&node.span, message);
        }
        return Some(Heap { initial, maximum });
    }
    let text = text_of(node, &what, section.mistakes)?;
    let size = memory(&text, &what, section)?;
    Some(Heap { initial: size.clone(), maximum: size })
}

/// Returns the MiB of a valid memory size.
fn megabytes(amount: &str) -> u64 {
    let (digits, factor) = match amount.strip_suffix('g') {
        Some(digits) => (digits, 1024),
        None => (amount.trim_end_matches('m'), 1),
    };
    digits.parse::<u64>().unwrap_or_default() * factor
}

fn memory(text: &Spanned<String>, what: &str, section: &mut Section<'_, '_>) -> Option<String> {
    let lower = text.value.to_ascii_lowercase();
    let digits = lower.strip_suffix(['m', 'g']).unwrap_or("");
    let fits = !digits.is_empty() && digits.len() < 7 && digits.chars().all(|c| c.is_ascii_digit());
    if !fits {
        let message = format!("`{what}`: invalid memory size `{}`", text.value);
        section.mistakes.add_hint(&text.span, message, "such as 2g or 1536m");
    }
    fits.then_some(lower)
}
