//! `apim.environments`: the gateway environments that APIs are deployed to.

use super::endpoint::EndpointSetting;
use super::read::{Section, Spanned};
use crate::yaml::{Kind, Mistakes, Node, Span};

/// Which tokens the gateways of an environment accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnvironmentType {
    /// Production and sandbox tokens.
    Hybrid,
    /// Production tokens.
    Production,
    /// Sandbox tokens.
    Sandbox,
}

impl EnvironmentType {
    const WORDS: [(&'static str, Self); 3] =
        [("hybrid", Self::Hybrid), ("production", Self::Production), ("sandbox", Self::Sandbox)];

    /// Returns the product's name for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Hybrid => "hybrid",
            Self::Production => "production",
            Self::Sandbox => "sandbox",
        }
    }

    const fn description(self) -> &'static str {
        match self {
            Self::Hybrid => {
                "This is a hybrid gateway that handles both production and sandbox token traffic."
            }
            Self::Production => "This is the gateway that handles production token traffic.",
            Self::Sandbox => "This is the gateway that handles sandbox token traffic.",
        }
    }
}

/// One gateway environment.
#[derive(Debug, Clone, PartialEq)]
pub struct Environment {
    /// The name, which is also the label of its gateways.
    pub name: Spanned<String>,
    /// Which tokens its gateways accept.
    pub kind: EnvironmentType,
    /// The name that the portals show; `None`: not set.
    pub display_name: Option<String>,
    /// The description that the portals show.
    pub description: String,
    /// The public endpoint; `None`: `apim.endpoints.gateway`, or the only gateway.
    pub endpoint: Option<EndpointSetting>,
    /// Whether the developer portal shows its URLs.
    pub display_in_api_console: bool,
    /// Whether the developer portal shows it as the token endpoint; `None`: the first environment.
    pub show_as_token_endpoint_url: Option<bool>,
    /// User roles that can use it in the publisher.
    pub visibility: Vec<String>,
    /// Whether `WebSub` endpoints are configured; `None`: the product's default, which configures
    /// them for an all-in-one.
    pub websub: Option<bool>,
    /// Additional names for API calls.
    pub virtual_hosts: Vec<EndpointSetting>,
}

impl Environment {
    /// Returns the product's default environment, used if none is configured.
    #[must_use]
    pub fn default_one() -> Self {
        let kind = EnvironmentType::Hybrid;
        Self {
            name: Spanned::new("Default".to_owned(), Span::nowhere()),
            kind,
            display_name: None,
            description: kind.description().to_owned(),
            endpoint: None,
            display_in_api_console: true,
            show_as_token_endpoint_url: None,
            visibility: Vec::new(),
            websub: None,
            virtual_hosts: Vec::new(),
        }
    }

    fn read(mut section: Section<'_, '_>) -> Option<Self> {
        let name = section.text("name");
        match &name {
            None => section.missing("name", "gateways refer to it by `environment`"),
            Some(name) => {
                // The name is used in XML, in a URL and as a label; the admin portal allows the
                // same characters.
                let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
                if name.value.is_empty() || !name.value.chars().all(fits) {
                    let what = format!(
                        "invalid environment name `{}`: only letters, digits, `-` and `_` are allowed",
                        name.value
                    );
                    section.mistakes.add_hint(
                        &name.span,
                        what,
                        "set `display_name` for the name in the portals",
                    );
                }
            }
        }
        let kind = section.word("type", &EnvironmentType::WORDS).unwrap_or(EnvironmentType::Hybrid);
        let display_name = section.text("display_name").map(|t| t.value);
        let description =
            section.text("description").map_or_else(|| kind.description().to_owned(), |t| t.value);
        let what = section.path("endpoint");
        let endpoint =
            section.take("endpoint").and_then(|node| EndpointSetting::read(node, &what, section.mistakes));
        let display_in_api_console = section.flag("display_in_api_console", true);
        let token_endpoint = section.take("show_as_token_endpoint_url").and_then(|node| match node.kind {
            Kind::Bool(b) => Some(b),
            _ => {
                section.mistakes.add(&node.span, "`show_as_token_endpoint_url` must be true or false");
                None
            }
        });
        let visibility = section.texts("visibility").unwrap_or_default();
        let websub = section.choice("websub");
        let virtual_hosts = virtual_hosts(&mut section);
        section.finish();
        Some(Self {
            name: name?,
            kind,
            display_name,
            description,
            endpoint,
            display_in_api_console,
            show_as_token_endpoint_url: token_endpoint,
            visibility,
            websub,
            virtual_hosts,
        })
    }
}

fn virtual_hosts(section: &mut Section<'_, '_>) -> Vec<EndpointSetting> {
    let Some(node) = section.take("virtual_hosts") else { return Vec::new() };
    let what = section.path("virtual_hosts");
    let items = match &node.kind {
        Kind::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let read = items.iter().filter_map(|item| EndpointSetting::read(item, &what, section.mistakes));
    read.collect()
}

/// Reads `apim.environments`.
pub(super) fn read(node: &Node, mistakes: &mut Mistakes) -> Vec<Environment> {
    let Kind::List(items) = &node.kind else {
        mistakes.add(&node.span, format!("`apim.environments` must be a list, not {}", node.describe()));
        return Vec::new();
    };
    let mut environments: Vec<Environment> = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let section = Section::new(item, format!("apim.environments[{at}]"), mistakes);
        let Some(environment) = Environment::read(section) else { continue };
        let twin = environments.iter().find(|e| e.name.value.eq_ignore_ascii_case(&environment.name.value));
        if let Some(twin) = twin {
            let (name, other) = (&environment.name.value, &twin.name.value);
            if name == other {
                mistakes.add(&environment.name.span, format!("duplicate environment `{name}`"));
            } else {
                mistakes.add_hint(
                    &environment.name.span,
                    format!("the environments `{other}` and `{name}` differ only in case"),
                    "most databases treat them as the same name: rename one of them",
                );
            }
            continue;
        }
        environments.push(environment);
    }
    environments
}
