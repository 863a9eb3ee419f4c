//! Sends an HTTP request from this machine. Redirects are not followed, because the target is not
//! the configured one.

use std::time::Duration;

use futures_util::StreamExt as _;

use super::call::{CallError, CallResult, keep};
use crate::http::{Client, ClientError, ClientOptions, Request, Response};
use apim_product::hook::HttpCall;

/// Sends a request and reads the response within the timeout.
pub(super) async fn send(call: &HttpCall, timeout_secs: u64) -> CallResult {
    let request = match request(call, timeout_secs) {
        Ok(request) => request,
        Err(error) => return CallResult::not_started(error.into()),
    };
    match request.send().await {
        Ok(response) => received(call, response).await,
        Err(error) => {
            let may_pass = !matches!(error, ClientError::Timeout(_));
            CallResult { ended: Err(error.into()), output: String::new(), may_pass }
        }
    }
}

fn request(call: &HttpCall, timeout_secs: u64) -> Result<Request, ClientError> {
    let client = Client::new(&ClientOptions {
        timeout: Some(Duration::from_secs(timeout_secs)),
        keeps_redirects: true,
        authorities: call.ca.as_deref(),
        ..ClientOptions::default()
    })?;
    let mut request = client.request(&call.method, &call.url);
    for (name, value) in &call.headers {
        request = request.secret_header(name, value)?;
    }
    if let Some((user, password)) = &call.login {
        request = request.login(user, password);
    }
    if let Some(body) = &call.body {
        request = request.body(body);
    }
    Ok(request)
}

async fn received(call: &HttpCall, response: Response) -> CallResult {
    let status = response.status();
    let is_expected =
        if call.expect.is_empty() { status.is_success() } else { call.expect.contains(&status.code()) };
    let mut output = Vec::new();
    let mut body_error = None;
    let mut parts = response.parts();
    while let Some(part) = parts.next().await {
        match part {
            Ok(part) => keep(&mut output, part.as_ref()),
            Err(error) => {
                body_error = Some(error);
                break;
            }
        }
    }
    let output = String::from_utf8_lossy(&output).into_owned();
    let ended = match (is_expected, body_error) {
        (true, None) => Ok(()),
        (true, Some(source)) => Err(CallError::Body { status, source }),
        (false, _) => Err(CallError::Status(status)),
    };
    // A retry of an invalid request would fail the same way.
    let may_pass = !status.is_client_error() || matches!(status.code(), 408 | 409 | 423 | 425 | 429);
    CallResult { ended, output, may_pass }
}
