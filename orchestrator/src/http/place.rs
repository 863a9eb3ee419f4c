//! Where a request goes: a URL of `http` or `https`, taken apart; it holds no password.

use std::net::IpAddr;
use std::str::FromStr;

use url::{Host, Url};

use super::shown;

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Whether it is spoken to over TLS.
    pub is_encrypted: bool,
    /// The name that clients know it by, or its address.
    pub name: String,
    /// The port.
    pub port: u16,
    /// What is asked for, with the query.
    pub path: String,
    /// What stands in the header `Host`.
    pub authority: String,
    shown: String,
}

impl Place {
    /// Returns the address, where the URL names one and no name.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.name.parse().ok()
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("it is no URL ({error})"))?;
        let is_encrypted = match url.scheme() {
            "https" => true,
            "http" => false,
            other => return Err(format!("`{other}` is not asked; only http and https are")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it holds a user or a password, which others on this machine can read there; \
                        leave them out and take 401 as an answer, if need be"
                .to_owned());
        }
        let name = match url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => return Err("it names no host".to_owned()),
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

    fn read(text: &str) -> Result<Place, String> {
        text.parse()
    }

    #[test]
    fn a_url_is_taken_apart() {
        let place = read("https://GW.example.com/pizza/1.0?size=2#top").unwrap();
        assert!(place.is_encrypted);
        assert_eq!(
            (place.name.as_str(), place.port, place.path.as_str()),
            ("gw.example.com", 443, "/pizza/1.0?size=2")
        );
        assert_eq!((place.authority.as_str(), place.address()), ("gw.example.com", None));
        assert_eq!(place.to_string(), "https://gw.example.com/pizza/1.0", "a query may hold a token");
        let place = read("http://[::1]:8280").unwrap();
        assert_eq!((place.authority.as_str(), place.path.as_str(), place.port), ("[::1]:8280", "/", 8280));
        assert_eq!(place.address(), Some("::1".parse().unwrap()));
    }

    #[test]
    fn what_cannot_be_asked_is_refused_in_words_that_hold_no_password() {
        for (text, why) in [
            ("gw.example.com", "no URL"),
            ("gw.example.com:8243/x", "only http and https"),
            ("ftp://gw.example.com", "only http and https"),
            ("https://anna:hush@gw.example.com", "a user or a password"),
            ("https://", "no URL"),
        ] {
            let said = read(text).expect_err(text);
            assert!(said.contains(why) && !said.contains("hush"), "{text}: {said}");
        }
    }
}
