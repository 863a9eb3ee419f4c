//! All HTTP requests of this machine: client configuration, and errors and URLs without passwords.
//! `caller` sends repeated requests to one URL and reports the state of its connections.

mod caller;
mod place;
#[cfg(test)]
pub(crate) mod tests;
mod trust;

pub use caller::{Call, Caller, Terms};
pub use place::Place;
pub use reqwest::header;
pub use reqwest::{Certificate, Client, ClientBuilder, Error, Method, Response, StatusCode, redirect};
pub use trust::{Trust, certificates};

/// Returns a client builder with the user agent and an optional proxy. Without `proxy`, the usual
/// environment variables apply (`HTTPS_PROXY`, `NO_PROXY`, …).
///
/// # Errors
/// When the proxy URL is invalid.
pub fn builder(proxy: Option<&str>) -> Result<ClientBuilder, String> {
    let builder = Client::builder().user_agent(concat!("apim-deploy/", env!("CARGO_PKG_VERSION")));
    match proxy {
        Some(proxy) => Ok(builder.proxy(reqwest::Proxy::all(proxy).map_err(|error| words(&error))?)),
        None => Ok(builder),
    }
}

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

/// Returns an error and its causes, without the URL, which may contain a password.
#[must_use]
pub fn words(error: &Error) -> String {
    let mut causes = Vec::new();
    let mut next: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    let what = match () {
        () if error.is_timeout() => "no response in time",
        () if error.is_connect() => "no connection",
        () if error.is_body() || error.is_decode() => "the response is incomplete",
        () if error.is_redirect() => "too many redirects",
        () => "the request failed",
    };
    if causes.is_empty() { what.to_owned() } else { format!("{what}: {}", causes.join(": ")) }
}
