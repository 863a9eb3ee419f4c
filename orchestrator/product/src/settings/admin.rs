//! `apim.admin`: the super administrator.

use apim_protocol::value::Secret;

use super::read::Section;

/// The super administrator.
#[derive(Debug, Clone, PartialEq)]
pub struct Admin {
    /// The user name, 3 to 30 characters; `admin` by default.
    pub username: String,
    /// The password, 5 to 30 characters.
    pub password: Secret,
}

impl Admin {
    pub(super) fn read(mut section: Section<'_, '_>) -> Option<Self> {
        let username = section.text("username");
        let password = section.secret("password");
        let name = username.as_ref().map_or("admin", |text| text.value.as_str()).to_owned();
        // carbon-kernel default.json: user names have 3 to 30 characters without blanks, passwords
        // 5 to 30. The product writes both into an XML element, and into the user part of a broker
        // URL that it reads without decoding (documentation, security guidelines).
        let fits = |text: &str, shortest: usize| {
            (shortest..=30).contains(&text.chars().count()) && !text.chars().any(char::is_whitespace)
        };
        if let Some(username) =
            username.as_ref().filter(|text| !fits(&text.value, 3) || reserved(&text.value).is_some())
        {
            let what = format!("`apim.admin.username`: invalid user name `{}`", username.value);
            section.mistakes.add_hint(
                &username.span,
                what,
                "3 to 30 characters, without blanks and @ { } % & < > £",
            );
        }
        match &password {
            None => section.missing("password", "a text, preferably `!vault`, `!env` or `!file`"),
            Some(password) => {
                if !fits(password.value.expose(), 5) {
                    section.mistakes.add(
                        &password.span,
                        "`apim.admin.password` must have 5 to 30 characters without blanks",
                    );
                }
                if let Some(sign) = reserved(password.value.expose()) {
                    section.mistakes.add_hint(
                        &password.span,
                        format!("`apim.admin.password` must not contain `{sign}`"),
                        "the product writes it unescaped into XML and broker URLs: choose one without @ { } % & < > £",
                    );
                }
            }
        }
        section.finish();
        Some(Self { username: name, password: password?.value })
    }
}

fn reserved(text: &str) -> Option<char> {
    text.chars().find(|c| "@{}%&<>£".contains(*c))
}
