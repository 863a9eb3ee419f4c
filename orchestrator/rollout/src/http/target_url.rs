//! Target of a request: a parsed `http` or `https` URL without credentials.

use std::net::IpAddr;
use std::str::FromStr;

use url::{Host, Url};

use super::error::UrlError;
use super::shown::shown;

/// Target of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetUrl {
    /// Whether the scheme is `https`.
    pub is_encrypted: bool,
    /// Host name or address.
    pub name: String,
    /// The port.
    pub port: u16,
    /// Path with the query.
    pub path: String,
    /// Value of the `Host` header.
    pub authority: String,
    shown: String,
}

impl TargetUrl {
    /// Returns the address if the URL contains one instead of a name.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.name.parse().ok()
    }
}

impl std::fmt::Display for TargetUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

impl FromStr for TargetUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let url = Url::parse(text).map_err(UrlError::Syntax)?;
        let is_encrypted = match url.scheme() {
            "https" => true,
            "http" => false,
            other => return Err(UrlError::Scheme(other.to_owned())),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlError::Credentials);
        }
        let name = match url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => return Err(UrlError::NoHost),
        };
        let host = url.host_str().unwrap_or(&name);
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let port = url.port_or_known_default().unwrap_or(if is_encrypted { 443 } else { 80 });
        let mut bare = url.clone();
        bare.set_fragment(None);
        Ok(Self { is_encrypted, name, port, path, authority, shown: shown(bare.as_str()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<TargetUrl, UrlError> {
        text.parse()
    }

    #[test]
    fn url_is_parsed() {
        let target = read("https://GW.example.com/pizza/1.0?size=2#top").unwrap();
        assert!(target.is_encrypted);
        assert_eq!(
            (target.name.as_str(), target.port, target.path.as_str()),
            ("gw.example.com", 443, "/pizza/1.0?size=2")
        );
        assert_eq!((target.authority.as_str(), target.address()), ("gw.example.com", None));
        assert_eq!(target.to_string(), "https://gw.example.com/pizza/1.0", "a query may contain a token");
        let target = read("http://[::1]:8280").unwrap();
        assert_eq!((target.authority.as_str(), target.path.as_str(), target.port), ("[::1]:8280", "/", 8280));
        assert_eq!(target.address(), Some("::1".parse().unwrap()));
    }

    #[test]
    fn invalid_urls_are_rejected_without_showing_passwords() {
        for (text, why) in [
            ("gw.example.com", "invalid URL"),
            ("gw.example.com:8243/x", "use http or https"),
            ("ftp://gw.example.com", "use http or https"),
            ("https://anna:hush@gw.example.com", "a user or a password"),
            ("https://", "invalid URL"),
        ] {
            let said = read(text).expect_err(text).to_string();
            assert!(said.contains(why) && !said.contains("hush"), "{text}: {said}");
        }
    }
}
