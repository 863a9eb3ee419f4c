//! All HTTP requests of this machine.
//!
//! ```text
//! client      single requests: downloads, hooks
//! url_client  repeated requests to one URL, with the state of its connections: probes
//! target_url  a URL to request; shown: a URL without secrets
//! trust       trusted authorities
//! error       why a request failed, without the URL and without passwords
//! ```

mod client;
mod error;
mod shown;
mod target_url;
#[cfg(test)]
pub(crate) mod tests;
mod trust;
mod url_client;

pub use client::{Client, ClientOptions, Request, Response, Status};
pub use error::{Causes, ClientError, ConnectionError, Missing, TrustError, UrlError};
pub use shown::shown;
pub use target_url::TargetUrl;
pub use trust::{Trust, certificates};
pub use url_client::{Call, UrlClient, UrlClientOptions};
