//! Host names and addresses that the product supports.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Why a text is not a usable host name for the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HostNameError {
    /// Servers are started with `java.net.preferIPv4Stack=true`.
    #[error("is an IPv6 address, but API Manager supports only IPv4")]
    Ipv6,
    /// `java.net.URI` finds no host in such a URL.
    #[error("contains `_`, which Java does not accept in the host of a URL")]
    Underscore,
    /// Not a name or an address.
    #[error("is not an IPv4 address or a host name (letters, digits, `-` and `.`)")]
    Form,
    /// Digits and dots, but not an address.
    #[error("is not a valid IPv4 address")]
    NotAnAddress,
    /// DNS allows 253 characters, 63 between dots.
    #[error("is too long for a host name")]
    TooLong,
}

/// Checks that `name` can be used in a URL of the configuration.
///
/// # Errors
/// When the product cannot use the name.
pub fn check(name: &str) -> Result<(), HostNameError> {
    if name.parse::<Ipv4Addr>().is_ok() {
        return Ok(());
    }
    if name.trim_matches(['[', ']']).parse::<Ipv6Addr>().is_ok() {
        return Err(HostNameError::Ipv6);
    }
    if name.contains('_') {
        return Err(HostNameError::Underscore);
    }
    if name.len() > 253 || name.split('.').any(|label| label.len() > 63) {
        return Err(HostNameError::TooLong);
    }
    let is_label = |label: &str| {
        !label.is_empty()
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if !name.split('.').all(is_label) {
        return Err(HostNameError::Form);
    }
    if name.split('.').next_back().is_some_and(|label| label.chars().all(|c| c.is_ascii_digit())) {
        return Err(HostNameError::NotAnAddress);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_java_or_dns_reject_are_invalid() {
        for good in ["gw1", "api.am.wso2.com", "10.77.0.11", "a-b.example", "1st.example"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("::1", HostNameError::Ipv6),
            ("[fe80::1]", HostNameError::Ipv6),
            ("gw_1", HostNameError::Underscore),
            ("-gw", HostNameError::Form),
            ("gw..example", HostNameError::Form),
            ("", HostNameError::Form),
            ("gw1:9443", HostNameError::Form),
            ("10.0.0.256", HostNameError::NotAnAddress),
            ("10.0.0", HostNameError::NotAnAddress),
        ] {
            assert_eq!(check(bad), Err(why), "{bad}");
        }
        assert_eq!(check(&"a".repeat(64)), Err(HostNameError::TooLong));
    }
}
