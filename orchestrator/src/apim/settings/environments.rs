//! `apim.environments`: the gateway environments that APIs are deployed to.

use super::endpoint::EndpointSetting;
use super::read::{At, Section};
use crate::yaml::{Kind, Mistakes, Node, Span};

/// Which tokens an environment's gateways take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnvironmentType {
    /// Both.
    Hybrid,
    /// Production tokens.
    Production,
    /// Sandbox tokens.
    Sandbox,
}

impl EnvironmentType {
    const WORDS: [(&'static str, Self); 3] =
        [("hybrid", Self::Hybrid), ("production", Self::Production), ("sandbox", Self::Sandbox)];

    /// Returns the product's word.
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

/// One environment.
#[derive(Debug, Clone, PartialEq)]
pub struct Environment {
    /// Its name, which is the label of its gateways as well.
    pub name: At<String>,
    /// Which tokens.
    pub kind: EnvironmentType,
    /// For the portals.
    pub display_name: Option<String>,
    /// For the portals.
    pub description: String,
    /// Where its gateways are reached; `None`: `apim.endpoints.gateway`, or its only gateway.
    pub endpoint: Option<EndpointSetting>,
    /// Whether the developer portal shows its URLs.
    pub display_in_api_console: bool,
    /// Whether the developer portal shows it as the token endpoint; `None`: the first environment.
    pub show_as_token_endpoint_url: Option<bool>,
    /// Roles that see it in the publisher.
    pub visibility: Vec<String>,
    /// Whether its `WebSub` endpoints are given too; `None`: as shipped, which is so for an all-in-one.
    pub websub: Option<bool>,
    /// More names under which its APIs are called.
    pub virtual_hosts: Vec<EndpointSetting>,
}

impl Environment {
    /// Returns the environment of a cluster that names none: the one that is shipped.
    #[must_use]
    pub fn default_one() -> Self {
        let kind = EnvironmentType::Hybrid;
        Self {
            name: At::new("Default".to_owned(), Span::nowhere()),
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
            None => section.missing("name", "gateways name it as `environment`"),
            Some(name) => {
                // The name becomes an element of XML, of a URL and a label; the admin portal allows the same characters.
                let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
                if name.value.is_empty() || !name.value.chars().all(fits) {
                    let what = format!(
                        "environment name `{}` may hold letters, digits, `-` and `_` only",
                        name.value
                    );
                    section.mistakes.add_hint(&name.span, what, "use `display_name` for what people read");
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
                mistakes.add(&environment.name.span, format!("the environment `{name}` is there twice"));
            } else {
                mistakes.add_hint(
                    &environment.name.span,
                    format!("the environments `{other}` and `{name}` differ by the case of letters only"),
                    "most databases take them for one name: call one of them differently",
                );
            }
            continue;
        }
        environments.push(environment);
    }
    environments
}
