//! Downloads by the host itself: resumed by range, capped, verified by digest before anybody sees them.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use apim_protocol::operation::archive::Pull;
use apim_protocol::outcome::Failure;
use apim_protocol::value::Sha256;
use ureq::http::{StatusCode, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::operation::support::arrival::Arrival;
use crate::operation::support::dialogue::Dialogue;
use crate::system::System;

/// How often a download that broke off is taken up again, when bytes came in between.
const ATTEMPTS: u32 = 5;
const MAX_REDIRECTS: u32 = 10;
const CONNECT: Duration = Duration::from_secs(20);
/// A server that says nothing for so long is given up.
const SILENCE: Duration = Duration::from_secs(60);
/// Where distributions keep the certificates that the host trusts.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Why a download failed.
#[derive(Debug, thiserror::Error)]
enum PullError {
    #[error("`{0}` is not an http or https URL")]
    Url(String),
    #[error("the proxy cannot be used")]
    Proxy(#[source] Box<ureq::Error>),
    #[error("no answer from `{url}`")]
    Http { url: String, source: Box<ureq::Error> },
    #[error("`{url}` answered {status}")]
    Status { url: String, status: StatusCode },
    #[error("`{0}` leads from https to http, which is never followed")]
    Downgrade(String),
    #[error("`{0}` leads on and on")]
    Redirects(String),
    #[error("`{url}` gives more than {max} bytes")]
    TooLarge { url: String, max: u64 },
    #[error("the download from `{url}` broke off after {got} bytes")]
    Broken { url: String, got: u64, source: io::Error },
    #[error("the bytes from `{url}` have the digest {found}, expected {desired}; they are discarded")]
    Digest { url: String, found: Sha256, desired: Sha256 },
    #[error("cannot keep the download")]
    Keep(#[from] io::Error),
    #[error("the run was cancelled")]
    Cancelled,
}

/// Returns a local file with what `pull` names, verified; updates `arrival` meanwhile.
pub(crate) fn fetch(
    system: &System,
    pull: &Pull,
    dialogue: &mut dyn Dialogue,
    arrival: &Arrival,
) -> Result<PathBuf, Failure> {
    let what = || format!("cannot download `{}`", shown(&pull.url));
    let failed = |error: PullError| {
        let hint = match &error {
            PullError::Digest { .. } => {
                "compare the digest in your files with the one that the vendor publishes"
            }
            PullError::Downgrade(_) | PullError::Url(_) => "use a URL that stays with https",
            PullError::Http { .. } => {
                "check name resolution, routes and the proxy on this host, or push the file instead"
            }
            _ => "run again: what has arrived is kept",
        };
        Failure::from_error(what(), &error).hint(hint)
    };
    download(system, pull, dialogue, arrival).map_err(failed)
}

fn download(
    system: &System,
    pull: &Pull,
    dialogue: &mut dyn Dialogue,
    arrival: &Arrival,
) -> Result<PathBuf, PullError> {
    let folder = system.state().folder().join("spool");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    let path = folder.join(pull.sha256.to_string());
    if path.is_file() && Sha256::of_reader(&mut File::open(&path)?)? == pull.sha256 {
        return Ok(path);
    }
    let partial = Partial::new(&path);
    let agent = agent(pull)?;
    let mut attempts = 0;
    let mut resumed = partial.length() > 0;
    loop {
        let before = partial.length();
        let received = receive(&agent, pull, &partial, dialogue, arrival);
        match received {
            Ok(()) => {
                let found = Sha256::of_reader(&mut File::open(&partial.path)?)?;
                if found == pull.sha256 {
                    partial.keep_as(&path)?;
                    return Ok(path);
                }
                partial.remove()?;
                if !resumed {
                    return Err(PullError::Digest { url: shown(&pull.url), found, desired: pull.sha256 });
                }
                // What was there before may have been of another file: once more from the start.
                resumed = false;
            }
            Err(PullError::Broken { .. } | PullError::Http { .. })
                if attempts < ATTEMPTS && partial.length() > before =>
            {
                attempts += 1;
                resumed = true;
            }
            Err(error) => return Err(error),
        }
    }
}

/// A download so far, and the tag that the server gave it.
struct Partial {
    path: PathBuf,
    tag: PathBuf,
}

impl Partial {
    fn new(path: &Path) -> Self {
        Self { path: path.with_extension("partial"), tag: path.with_extension("etag") }
    }

    fn length(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |data| data.len())
    }

    fn tag(&self) -> Option<String> {
        fs::read_to_string(&self.tag).ok().filter(|tag| !tag.is_empty())
    }

    fn remove(&self) -> io::Result<()> {
        for path in [&self.path, &self.tag] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn keep_as(&self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        self.remove()
    }

    fn open(&self, from_start: bool) -> io::Result<File> {
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&self.path)?;
        if from_start {
            file.set_len(0)?;
        }
        Ok(file)
    }
}

fn agent(pull: &Pull) -> Result<ureq::Agent, PullError> {
    let proxy = pull.proxy.as_deref().map(ureq::Proxy::new).transpose();
    let proxy = proxy.map_err(|error| PullError::Proxy(Box::new(error)))?;
    let tls = TlsConfig::builder()
        .root_certs(roots())
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    Ok(ureq::Agent::config_builder()
        .tls_config(tls)
        .proxy(proxy)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE))
        .user_agent(concat!("apim-agent/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent())
}

/// Returns what the host trusts, or else the roots that browsers trust.
fn roots() -> RootCerts {
    let Some(bundle) = BUNDLES.iter().find_map(|path| fs::read(path).ok()) else { return RootCerts::WebPki };
    let certificates: Vec<Certificate<'static>> = parse_pem(&bundle)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() { RootCerts::WebPki } else { RootCerts::from(certificates) }
}

fn receive(
    agent: &ureq::Agent,
    pull: &Pull,
    partial: &Partial,
    dialogue: &mut dyn Dialogue,
    arrival: &Arrival,
) -> Result<(), PullError> {
    let offset = partial.length();
    let response = ask(agent, pull, offset, partial.tag())?;
    let url = || shown(&pull.url);
    let header =
        |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let from = match response.status() {
        StatusCode::OK => 0,
        StatusCode::PARTIAL_CONTENT
            if header("content-range")
                .is_some_and(|range| range.starts_with(&format!("bytes {offset}-"))) =>
        {
            offset
        }
        // What has arrived is complete, or of another file: the digest decides.
        StatusCode::RANGE_NOT_SATISFIABLE if offset > 0 => {
            return if header("content-range").is_some_and(|range| range.ends_with(&format!("*/{offset}"))) {
                Ok(())
            } else {
                partial.remove()?;
                receive(agent, pull, partial, dialogue, arrival)
            };
        }
        status => return Err(PullError::Status { url: url(), status }),
    };
    if from == 0 {
        // A weak tag does not promise the same bytes.
        let tag = header("etag").filter(|tag| !tag.starts_with("W/")).unwrap_or_default();
        fs::write(&partial.tag, tag)?;
    }
    let length = header("content-length").and_then(|length| length.parse::<u64>().ok());
    let total = length.map_or(0, |length| length.saturating_add(from));
    if total > pull.max_bytes {
        return Err(PullError::TooLarge { url: url(), max: pull.max_bytes });
    }
    let mut file = partial.open(from == 0)?;
    arrival.begin(file.try_clone()?, from);
    let limit = pull.max_bytes.saturating_sub(from);
    let mut body = response.into_body().into_with_config().limit(u64::MAX).reader();
    let mut buffer = vec![0; 256 * 1024];
    let mut got = 0_u64;
    loop {
        if dialogue.is_cancelled() {
            return Err(PullError::Cancelled);
        }
        let n = body.read(&mut buffer).map_err(|source| PullError::Broken {
            url: url(),
            got: from + got,
            source,
        })?;
        if n == 0 {
            break;
        }
        got += n as u64;
        if got > limit {
            partial.remove()?;
            return Err(PullError::TooLarge { url: url(), max: pull.max_bytes });
        }
        file.write_all(buffer.get(..n).unwrap_or_default())?;
        arrival.grown(from + got);
        dialogue.progress("downloading", from + got, total);
    }
    match length {
        Some(length) if got < length => {
            let source = io::Error::from(io::ErrorKind::UnexpectedEof);
            Err(PullError::Broken { url: url(), got: from + got, source })
        }
        _ => Ok(file.sync_data()?),
    }
}

/// Asks for the file from `offset` on, through redirects.
fn ask(
    agent: &ureq::Agent,
    pull: &Pull,
    offset: u64,
    tag: Option<String>,
) -> Result<ureq::http::Response<ureq::Body>, PullError> {
    let mut url = pull.url.clone();
    for _ in 0..MAX_REDIRECTS {
        let here: Uri = url.parse().map_err(|_| PullError::Url(shown(&url)))?;
        let secure = match here.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(PullError::Url(shown(&url))),
        };
        let mut request = agent.get(&url).header("Accept-Encoding", "identity");
        if offset > 0 {
            request = request.header("Range", format!("bytes={offset}-"));
            if let Some(tag) = &tag {
                request = request.header("If-Range", tag);
            }
        }
        let response = request
            .call()
            .map_err(|source| PullError::Http { url: shown(&url), source: Box::new(source) })?;
        let location = response.headers().get("location").and_then(|value| value.to_str().ok());
        let Some(location) = location.filter(|_| response.status().is_redirection()) else {
            return Ok(response);
        };
        url = absolute(&here, location).ok_or_else(|| PullError::Url(shown(location)))?;
        if secure && !url.starts_with("https:") {
            return Err(PullError::Downgrade(shown(&pull.url)));
        }
    }
    Err(PullError::Redirects(shown(&pull.url)))
}

/// Returns where a redirect from `here` leads.
fn absolute(here: &Uri, location: &str) -> Option<String> {
    if location.contains("://") {
        return Some(location.to_owned());
    }
    let (scheme, authority) = (here.scheme_str()?, here.authority()?);
    if let Some(rest) = location.strip_prefix("//") {
        return Some(format!("{scheme}://{rest}"));
    }
    if location.starts_with('/') {
        return Some(format!("{scheme}://{authority}{location}"));
    }
    let folder = here.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    Some(format!("{scheme}://{authority}{folder}/{location}"))
}

/// Returns a URL for people: without user, password and query, which may be secret.
fn shown(url: &str) -> String {
    let plain = url.split(['?', '#']).next().unwrap_or_default();
    let plain = match plain.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) =
                rest.split_once('/').map_or((rest, String::new()), |(a, p)| (a, format!("/{p}")));
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{path}")
        }
        None => plain.to_owned(),
    };
    plain.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests;
