//! URLs for display.

/// Returns a URL for display: without user, password and query.
#[must_use]
pub fn shown(source: &str) -> String {
    let Ok(mut url) = url::Url::parse(source) else { return "an invalid URL".to_owned() };
    // These fail for URLs that have no host.
    if url.set_username("").and_then(|()| url.set_password(None)).is_err() {
        return "a URL without a host".to_owned();
    }
    url.set_query(None);
    url.to_string()
}
