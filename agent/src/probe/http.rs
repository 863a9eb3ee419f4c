//! One GET, answered within a short time or not at all: status, the beginning of the body, or plain words for what went wrong.

use std::io::Read as _;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

/// How long one try may take, from the name's look-up to the end of the body.
pub const TRY_TIMEOUT: Duration = Duration::from_secs(3);

/// How much of a body is read, in bytes.
pub const BODY_LIMIT: u64 = 64 * 1024;

/// Where hosts keep the certificate authorities that they trust.
const AUTHORITIES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// An answer to a GET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body, as far as it was read.
    pub body: String,
}

/// Why there was no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The URL is not one that can be asked.
    #[error("cannot ask `{url}`: {why}")]
    Url {
        /// Which.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// It was asked, and no answer came.
    #[error("{0}")]
    NoAnswer(String),
}

/// Asks over HTTP; keeps what can be kept from one try to the next.
#[derive(Debug)]
pub struct Client {
    agent: ureq::Agent,
    verifies: bool,
}

impl Client {
    /// Returns a client that verifies certificates by the authorities that the host trusts, or not at all.
    #[must_use]
    pub fn new(verifies: bool) -> Self {
        let authorities = if verifies { trusted_authorities() } else { Vec::new() };
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(RootCerts::Specific(Arc::new(authorities)))
            .disable_verification(!verifies)
            .build();
        let config = ureq::Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(TRY_TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(0)
            .proxy(None)
            .build();
        Self { agent: config.new_agent(), verifies }
    }

    /// Asks once. Redirects are answers, not followed; proxies are not used.
    ///
    /// # Errors
    /// When there is no answer in time; when the URL is unusable; when this client does not verify and the URL leads
    /// elsewhere than to this host.
    pub fn get(&self, url: &str) -> Result<Answer, HttpError> {
        if !self.verifies {
            require_loopback(url)?;
        }
        let response = self.agent.get(url).call().map_err(|error| plain(url, &error))?;
        let status = response.status().as_u16();
        let mut bytes = Vec::new();
        let read = response.into_body().into_reader().take(BODY_LIMIT).read_to_end(&mut bytes);
        match read {
            Err(error) if bytes.is_empty() => {
                Err(HttpError::NoAnswer(format!("HTTP {status}, then {}", io_words(&error))))
            }
            _ => Ok(Answer { status, body: String::from_utf8_lossy(&bytes).into_owned() }),
        }
    }
}

/// A certificate may go unchecked only where no attacker can intercept: on this host itself. A service's own
/// certificate names the address that clients use, so asking it by a loopback address can never satisfy a check.
fn require_loopback(url: &str) -> Result<(), HttpError> {
    let refuse = |why: &str| Err(HttpError::Url { url: url.to_owned(), why: why.to_owned() });
    let Ok(uri) = url.parse::<ureq::http::Uri>() else { return refuse("it is not a URL") };
    if uri.scheme_str() == Some("http") {
        return Ok(());
    }
    let Some(host) = uri.host() else { return refuse("it names no host") };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let addresses: Vec<IpAddr> = match bare.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) if bare.eq_ignore_ascii_case("localhost") => {
            (bare, 0).to_socket_addrs().map(|found| found.map(|at| at.ip()).collect()).unwrap_or_default()
        }
        Err(_) => Vec::new(),
    };
    if addresses.is_empty() || !addresses.iter().all(|address| address.to_canonical().is_loopback()) {
        return refuse("its certificate must be verified, because it is not a loopback address");
    }
    Ok(())
}

fn trusted_authorities() -> Vec<Certificate<'static>> {
    let bundle = AUTHORITIES.iter().find_map(|path| std::fs::read(path).ok()).unwrap_or_default();
    CertificateDer::pem_slice_iter(&bundle)
        .flatten()
        .map(|authority| Certificate::from_der(authority.as_ref()).to_owned())
        .collect()
}

fn plain(url: &str, error: &ureq::Error) -> HttpError {
    let words = match error {
        ureq::Error::Io(error) => match tls_error(error) {
            Some(error) => format!("TLS: {error}"),
            None => io_words(error),
        },
        ureq::Error::Timeout(_) => format!("no answer within {} s", TRY_TIMEOUT.as_secs()),
        ureq::Error::HostNotFound => "the name is not known on this host".to_owned(),
        ureq::Error::ConnectionFailed => "no connection".to_owned(),
        ureq::Error::Rustls(error) => format!("TLS: {error}"),
        ureq::Error::Protocol(_) => "the answer is not HTTP".to_owned(),
        ureq::Error::BadUri(why) => return HttpError::Url { url: url.to_owned(), why: why.clone() },
        other => other.to_string(),
    };
    HttpError::NoAnswer(words)
}

/// A failed handshake comes as an I/O error with the true one inside.
fn tls_error(error: &std::io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// Returns plain words for why a connection did not come about or ended.
#[must_use]
pub fn io_words(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
            "connection closed by the other side".to_owned()
        }
        ErrorKind::UnexpectedEof => "connection closed before the answer was complete".to_owned(),
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "no answer in time".to_owned(),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => "no route to it".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
