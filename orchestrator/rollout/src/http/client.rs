//! Client for single requests.

use std::time::Duration;

use apim_protocol::value::Secret;
use futures_util::StreamExt as _;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::redirect;

use super::error::ClientError;

/// Options of a client. Without `proxy`, the usual environment variables apply (`HTTPS_PROXY`,
/// `NO_PROXY`, …).
#[derive(Debug, Clone, Copy, Default)]
pub struct ClientOptions<'a> {
    /// URL of a proxy.
    pub proxy: Option<&'a str>,
    /// Limit for a whole request.
    pub timeout: Option<Duration>,
    /// Limit for connecting.
    pub connect_timeout: Option<Duration>,
    /// Limit for a response or the next part of it.
    pub read_timeout: Option<Duration>,
    /// Whether a redirect is an answer instead of another request.
    pub keeps_redirects: bool,
    /// PEM text of authorities that are trusted in addition to those of the system.
    pub authorities: Option<&'a [u8]>,
}

/// Client for single requests.
#[derive(Debug, Clone)]
pub struct Client(reqwest::Client);

/// A request before it is sent.
#[derive(Debug)]
pub struct Request(reqwest::RequestBuilder);

/// A response whose body is read part by part.
#[derive(Debug)]
pub struct Response(reqwest::Response);

/// Status of a response. Displayed with its reason: `404 Not Found`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(reqwest::StatusCode);

impl Client {
    /// Creates a client.
    ///
    /// # Errors
    /// When the proxy URL or an authority is invalid.
    pub fn new(options: &ClientOptions<'_>) -> Result<Self, ClientError> {
        let ClientOptions { proxy, timeout, connect_timeout, read_timeout, keeps_redirects, authorities } =
            options;
        let mut builder =
            reqwest::Client::builder().user_agent(concat!("apim-deploy/", env!("CARGO_PKG_VERSION")));
        if let Some(proxy) = proxy {
            builder = builder.proxy(reqwest::Proxy::all(*proxy)?);
        }
        if let Some(limit) = timeout {
            builder = builder.timeout(*limit);
        }
        if let Some(limit) = connect_timeout {
            builder = builder.connect_timeout(*limit);
        }
        if let Some(limit) = read_timeout {
            builder = builder.read_timeout(*limit);
        }
        if *keeps_redirects {
            builder = builder.redirect(redirect::Policy::none());
        }
        if let Some(pem) = authorities {
            let certificates = reqwest::Certificate::from_pem_bundle(pem)
                .map_err(|error| ClientError::authorities(&error))?;
            for certificate in certificates {
                builder = builder.add_root_certificate(certificate);
            }
        }
        Ok(Self(builder.build()?))
    }

    /// Returns a request. An invalid `method` is `POST`.
    #[must_use]
    pub fn request(&self, method: &str, url: &str) -> Request {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap_or(reqwest::Method::POST);
        Request(self.0.request(method, url))
    }
}

impl Request {
    /// Adds a header.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    /// Adds a header whose value is not logged.
    ///
    /// # Errors
    /// When the value cannot be sent.
    pub fn secret_header(self, name: &str, value: &Secret) -> Result<Self, ClientError> {
        let invalid = |why: String| ClientError::Header { name: name.to_owned(), why };
        let mut value = HeaderValue::from_str(value.expose()).map_err(|error| invalid(error.to_string()))?;
        value.set_sensitive(true);
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|error| invalid(error.to_string()))?;
        Ok(Self(self.0.header(key, value)))
    }

    /// Adds basic authentication.
    #[must_use]
    pub fn login(self, user: &str, password: &Secret) -> Self {
        Self(self.0.basic_auth(user, Some(password.expose())))
    }

    /// Sets the body.
    #[must_use]
    pub fn body(self, text: &Secret) -> Self {
        Self(self.0.body(text.expose().to_owned()))
    }

    /// Sends the request and waits for the head of the response.
    ///
    /// # Errors
    /// When there is no response.
    pub async fn send(self) -> Result<Response, ClientError> {
        Ok(Response(self.0.send().await?))
    }
}

impl Response {
    /// Returns the status.
    #[must_use]
    pub fn status(&self) -> Status {
        Status(self.0.status())
    }

    /// Returns a header as text; `None` if it is missing or not text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.headers().get(name)?.to_str().ok()
    }

    /// Returns the length of the body in bytes, if the server announces it.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.0.content_length()
    }

    /// Returns the parts of the body.
    pub fn parts(self) -> impl futures_util::Stream<Item = Result<impl AsRef<[u8]>, ClientError>> + Unpin {
        self.0.bytes_stream().map(|part| part.map_err(ClientError::from))
    }
}

impl Status {
    /// The whole content, or what was asked for.
    pub const OK: Self = Self(reqwest::StatusCode::OK);
    /// A range of the content.
    pub const PARTIAL_CONTENT: Self = Self(reqwest::StatusCode::PARTIAL_CONTENT);
    /// The range is not available.
    pub const RANGE_NOT_SATISFIABLE: Self = Self(reqwest::StatusCode::RANGE_NOT_SATISFIABLE);
    /// The server asks for patience.
    pub const TOO_MANY_REQUESTS: Self = Self(reqwest::StatusCode::TOO_MANY_REQUESTS);

    /// Returns the number.
    #[must_use]
    pub fn code(self) -> u16 {
        self.0.as_u16()
    }

    /// Returns whether the status is 200 to 299.
    #[must_use]
    pub fn is_success(self) -> bool {
        self.0.is_success()
    }

    /// Returns whether the status is 400 to 499.
    #[must_use]
    pub fn is_client_error(self) -> bool {
        self.0.is_client_error()
    }

    /// Returns whether the status is 500 to 599.
    #[must_use]
    pub fn is_server_error(self) -> bool {
        self.0.is_server_error()
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
