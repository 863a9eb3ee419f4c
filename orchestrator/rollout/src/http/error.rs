//! Why requests fail. No error shows the URL, which may contain a password.

use std::time::Duration;

/// Why a single request failed. The message includes the causes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The proxy URL, the client or the request is invalid, or the request failed in another way.
    #[error("the request failed{0}")]
    Other(Causes),
    /// There was no response in time.
    #[error("no response in time{0}")]
    Timeout(Causes),
    /// No connection was established.
    #[error("no connection{0}")]
    NoConnection(Causes),
    /// The response ended early or cannot be decoded.
    #[error("the response is incomplete{0}")]
    Incomplete(Causes),
    /// The server redirected too often.
    #[error("too many redirects{0}")]
    Redirects(Causes),
    /// The text of authorities is not valid PEM.
    #[error("invalid certificate of an authority{0}")]
    Authorities(Causes),
    /// A header cannot be sent.
    #[error("header {name}: {why}")]
    Header {
        /// Name of the header.
        name: String,
        /// What is invalid.
        why: String,
    },
}

/// Messages of the causes of an error, outermost first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Causes(Vec<String>);

impl std::fmt::Display for Causes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|cause| write!(f, ": {cause}"))
    }
}

impl Causes {
    /// Returns the messages of the causes of `error`.
    fn of(error: &reqwest::Error) -> Self {
        let mut causes = Vec::new();
        let mut next: Option<&dyn std::error::Error> = std::error::Error::source(error);
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        Self(causes)
    }
}

impl From<reqwest::Error> for ClientError {
    fn from(error: reqwest::Error) -> Self {
        let causes = Causes::of(&error);
        match () {
            () if error.is_timeout() => Self::Timeout(causes),
            () if error.is_connect() => Self::NoConnection(causes),
            () if error.is_body() || error.is_decode() => Self::Incomplete(causes),
            () if error.is_redirect() => Self::Redirects(causes),
            () => Self::Other(causes),
        }
    }
}

impl ClientError {
    /// The error of an invalid PEM text of authorities.
    pub(super) fn authorities(error: &reqwest::Error) -> Self {
        Self::Authorities(Causes::of(error))
    }
}

/// Why a request to a probed URL failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionError {
    /// The name has no address record, or the name server does not answer.
    #[error("cannot resolve {0}")]
    Unresolved(String),
    /// The name resolves to nothing.
    #[error("{0} has no address")]
    NoAddress(String),
    /// The port is closed.
    #[error("connection refused")]
    Refused,
    /// The connection failed in another way.
    #[error("no connection: {0}")]
    Failed(String),
    /// The server did not react in time.
    #[error("{missing} within {}", duration(*limit))]
    Timeout {
        /// What was missing.
        missing: Missing,
        /// The limit.
        limit: Duration,
    },
    /// `https` without authorities.
    #[error("no trusted authorities configured")]
    NoAuthorities,
    /// The name cannot be used for TLS.
    #[error("invalid TLS server name `{0}`")]
    ServerName(String),
    /// The certificate is not valid for the name, or its issuer is not trusted.
    #[error("certificate not trusted: {0}")]
    Untrusted(String),
    /// TLS could not be established.
    #[error("TLS handshake failed: {0}")]
    Handshake(String),
    /// The server closed the connection before TLS was established.
    #[error("the connection was closed during the TLS handshake")]
    ClosedInHandshake,
    /// The server closed the connection before the first byte of the response.
    #[error("the connection was closed without a response")]
    ClosedUnanswered,
    /// The answer is not HTTP.
    #[error("invalid HTTP response: {0}")]
    NotHttp(String),
    /// The response ended early.
    #[error("the response is incomplete")]
    Incomplete,
    /// The request cannot be sent.
    #[error("invalid request: {0}")]
    Request(String),
}

/// What was missing when the time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// A connection.
    Connection,
    /// The end of the TLS handshake.
    Handshake,
    /// The start of the response.
    Response,
    /// The end of the response.
    ResponseEnd,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connection => "no connection",
            Self::Handshake => "no TLS handshake",
            Self::Response => "no response",
            Self::ResponseEnd => "the response did not end",
        })
    }
}

/// Formats a duration: `300 ms`, `5 s`.
fn duration(limit: Duration) -> String {
    match limit.as_millis() {
        millis if millis % 1000 == 0 => format!("{} s", millis / 1000),
        millis => format!("{millis} ms"),
    }
}

/// Why a text is not a URL to request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// The syntax is wrong.
    #[error("invalid URL ({0})")]
    Syntax(#[source] url::ParseError),
    /// The scheme is neither `http` nor `https`.
    #[error("unsupported scheme `{0}`: use http or https")]
    Scheme(String),
    /// The URL contains a user or a password.
    #[error(
        "the URL must not contain a user or a password, which others on this machine could read; \
         remove them, and accept status 401 if necessary"
    )]
    Credentials,
    /// The URL names no host.
    #[error("the URL has no host")]
    NoHost,
}

/// Why certificates are not usable as authorities.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The text contains no certificate.
    #[error("no certificate found (BEGIN CERTIFICATE)")]
    NoCertificate,
    /// The text contains an invalid certificate.
    #[error("{0}")]
    Pem(rustls_pki_types::pem::Error),
    /// No authority is trusted, or a certificate is not a valid authority.
    #[error("{0}")]
    Tls(rustls::Error),
}
