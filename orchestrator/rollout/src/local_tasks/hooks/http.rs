//! Sends an HTTP request from this machine. Redirects are not followed, because the target is not
//! the configured one.

use std::time::Duration;

use super::call_result::{CallResult, keep};
use crate::http::{self, Certificate, Client, Method, Response, redirect};
use apim_product::hook::HttpCall;

/// Sends a request and reads the response within the timeout.
pub(super) async fn send(call: &HttpCall, timeout_secs: u64) -> CallResult {
    let client = match client(call, timeout_secs) {
        Ok(client) => client,
        Err(why) => return CallResult { ended: Err(why), said: String::new(), may_pass: false },
    };
    let method = Method::from_bytes(call.method.as_bytes()).unwrap_or(Method::POST);
    let mut request = client.request(method, &call.url);
    for (name, value) in &call.headers {
        let mut value = match http::header::HeaderValue::from_str(value.expose()) {
            Ok(value) => value,
            Err(error) => {
                return CallResult {
                    ended: Err(format!("header {name}: {error}")),
                    said: String::new(),
                    may_pass: false,
                };
            }
        };
        value.set_sensitive(true);
        request = request.header(name, value);
    }
    if let Some((user, password)) = &call.login {
        request = request.basic_auth(user, Some(password.expose()));
    }
    if let Some(body) = &call.body {
        request = request.body(body.expose().to_owned());
    }
    match request.send().await {
        Ok(response) => heard(call, response).await,
        Err(error) => {
            CallResult { ended: Err(http::words(&error)), said: String::new(), may_pass: !error.is_timeout() }
        }
    }
}

fn client(call: &HttpCall, timeout_secs: u64) -> Result<Client, String> {
    let limit = Duration::from_secs(timeout_secs);
    let mut builder = http::builder(None)?.timeout(limit).redirect(redirect::Policy::none());
    if let Some(pem) = &call.ca {
        let certificates = Certificate::from_pem_bundle(pem)
            .map_err(|error| format!("`ca_file`: {}", http::words(&error)))?;
        for certificate in certificates {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build().map_err(|error| http::words(&error))
}

async fn heard(call: &HttpCall, mut response: Response) -> CallResult {
    let status = response.status();
    let is_expected =
        if call.expect.is_empty() { status.is_success() } else { call.expect.contains(&status.as_u16()) };
    let mut said = Vec::new();
    let mut body_error = None;
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => keep(&mut said, &chunk),
            Ok(None) => break,
            Err(error) => {
                body_error = Some(http::words(&error));
                break;
            }
        }
    }
    let said = String::from_utf8_lossy(&said).into_owned();
    let ended = match (is_expected, body_error) {
        (true, None) => Ok(()),
        (true, Some(why)) => Err(format!("{status}, but {why}")),
        (false, _) => Err(format!("responded with {status}")),
    };
    // A retry of an invalid request would fail the same way.
    let may_pass = !status.is_client_error() || matches!(status.as_u16(), 408 | 409 | 423 | 425 | 429);
    CallResult { ended, said, may_pass }
}
