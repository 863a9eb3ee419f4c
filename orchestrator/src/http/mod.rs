//! The one door to HTTP from this machine: clients as we make them, and errors and URLs in words that hold no password.
//! `caller` asks one place again and again, and shows what becomes of its connections.

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

/// Returns the beginning of a client: our name, no answer kept waiting for, a proxy where one is named. Without one the usual
/// variables of the environment count (`HTTPS_PROXY`, `NO_PROXY`, …).
///
/// # Errors
/// What is wrong with the proxy, in words.
pub fn builder(proxy: Option<&str>) -> Result<ClientBuilder, String> {
    let builder = Client::builder().user_agent(concat!("apim-deploy/", env!("CARGO_PKG_VERSION")));
    match proxy {
        Some(proxy) => Ok(builder.proxy(reqwest::Proxy::all(proxy).map_err(|error| words(&error))?)),
        None => Ok(builder),
    }
}

/// Returns a URL as it may be shown: without user, password and query.
#[must_use]
pub fn shown(source: &str) -> String {
    let Ok(mut url) = url::Url::parse(source) else { return "a URL that cannot be read".to_owned() };
    // These fail for URLs that have no host.
    if url.set_username("").and_then(|()| url.set_password(None)).is_err() {
        return "a URL without a host".to_owned();
    }
    url.set_query(None);
    url.to_string()
}

/// Returns an error and its causes, without the URL that may hold a password.
#[must_use]
pub fn words(error: &Error) -> String {
    let mut causes = Vec::new();
    let mut next: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    let what = match () {
        () if error.is_timeout() => "no answer in time",
        () if error.is_connect() => "no connection",
        () if error.is_body() || error.is_decode() => "it broke off",
        () if error.is_redirect() => "redirected too often",
        () => "the request failed",
    };
    if causes.is_empty() { what.to_owned() } else { format!("{what}: {}", causes.join(": ")) }
}
