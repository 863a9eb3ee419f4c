//! Requests to servers with every kind of failure.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{
    Call, Client, ClientOptions, ConnectionError, TargetUrl, Trust, UrlClient, UrlClientOptions,
    certificates, shown,
};

pub(crate) mod server;

use server::{Act, Server};

const LIMIT: Duration = Duration::from_millis(400);

fn options() -> UrlClientOptions {
    UrlClientOptions { trust: None, addresses: Vec::new(), limit: LIMIT }
}

fn caller(server: &Server, keeps: bool) -> UrlClient {
    let target: TargetUrl = format!("http://{}/path?x=1", server.address).parse().expect("a URL");
    UrlClient::new(Arc::new(target), options(), keeps)
}

/// Waits until `condition` is true.
async fn until(condition: impl AsyncFn() -> bool) {
    let polled = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), polled).await.expect("the condition in time");
}

fn good(call: &Call) -> bool {
    *call == Call { outcome: Ok(200), again: false }
}

fn why(call: Call) -> String {
    call.outcome.expect_err("it failed").to_string()
}

fn connections(server: &Server) -> usize {
    server.connections.load(Ordering::SeqCst)
}

#[tokio::test]
async fn persistent_connection_is_reused_and_fresh_one_is_not() {
    let server = Server::start(|_, _| Act::Say(200)).await;
    for (keeps, opened) in [(true, 1), (false, 4)] {
        let mut caller = caller(&server, keeps);
        for _ in 0..3 {
            assert!(good(&caller.get().await));
        }
        assert_eq!(connections(&server), opened);
    }
}

#[tokio::test]
async fn persistent_connection_closed_before_first_byte_is_retried() {
    let server = Server::start(|connection, request| match (connection, request) {
        (0, 1) => Act::Close,
        _ => Act::Say(200),
    })
    .await;
    let mut caller = caller(&server, true);
    assert!(good(&caller.get().await));
    assert_eq!(caller.get().await, Call { outcome: Ok(200), again: true });
    assert!(good(&caller.get().await), "the new connection is reused");
    assert_eq!(connections(&server), 2);
}

#[tokio::test]
async fn closed_fresh_connection_is_an_error() {
    let server = Server::start(|_, _| Act::Close).await;
    for keeps in [true, false] {
        let call = caller(&server, keeps).get().await;
        assert_eq!(call.outcome, Err(ConnectionError::ClosedUnanswered));
        assert!(!call.again);
    }
}

#[tokio::test]
async fn connection_closed_while_idle_is_reopened() {
    let server = Server::start(|_, _| Act::SayAndClose(200)).await;
    let mut caller = caller(&server, true);
    for number in 1..=3 {
        assert!(good(&caller.get().await));
        until(async || server.closed.load(Ordering::SeqCst) == number).await;
    }
    assert_eq!(connections(&server), 3);
}

#[tokio::test]
async fn incomplete_response_is_not_retried() {
    for (part, said) in [
        ("HTTP/1.1 200", "incomplete"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "incomplete"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "invalid HTTP"),
    ] {
        let server = Server::start(move |_, request| match request {
            0 => Act::Say(200),
            _ => Act::Part(part),
        })
        .await;
        let mut caller = caller(&server, true);
        assert!(good(&caller.get().await));
        let call = caller.get().await;
        assert!(!call.again, "{part}");
        let error = why(call);
        assert!(error.contains(said), "{part}: {error}");
        assert_eq!(connections(&server), 1, "{part}");
    }
}

#[tokio::test]
async fn hanging_server_times_out() {
    let server = Server::start(|_, _| Act::Hang).await;
    let begun = Instant::now();
    let call = caller(&server, true).get().await;
    assert_eq!(why(call), "no response within 400 ms");
    assert!(begun.elapsed() < LIMIT * 4, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn endless_body_is_not_read_completely() {
    let server = Server::start(|_, _| Act::Endless).await;
    let mut caller = caller(&server, true);
    for _ in 0..2 {
        assert!(good(&caller.get().await));
    }
    assert_eq!(connections(&server), 2, "the connection is not reused");
}

#[tokio::test]
async fn closed_port_and_unknown_name_are_reported() {
    let server = Server::start(|_, _| Act::Say(200)).await;
    let address = server.address;
    drop(server);
    until(async || tokio::net::TcpStream::connect(address).await.is_err()).await;
    let target: TargetUrl = format!("http://{address}/").parse().expect("a URL");
    let call = UrlClient::new(Arc::new(target), options(), false).get().await;
    assert_eq!(why(call), "connection refused");
    let target: TargetUrl = "http://nowhere.invalid/".parse().expect("a URL");
    let patient = UrlClientOptions { limit: Duration::from_secs(30), ..options() };
    let call = UrlClient::new(Arc::new(target), patient, false).get().await;
    assert_eq!(why(call), "cannot resolve nowhere.invalid");
}

#[tokio::test]
async fn tls_verifies_authority_and_name() {
    let (server, authority) = Server::encrypted("gw.example.com", |_, _| Act::Say(204)).await;
    let ask = async |name: &str, trusted: Vec<Vec<u8>>| {
        let target: TargetUrl = format!("https://{name}:{}/", server.address.port()).parse().expect("a URL");
        let trust = Trust::new(trusted).expect("trusted authorities");
        let addresses = vec![server.address.ip()];
        let options = UrlClientOptions { trust: Some(trust), addresses, limit: Duration::from_secs(10) };
        UrlClient::new(Arc::new(target), options, true).get().await.outcome
    };
    assert_eq!(ask("gw.example.com", vec![authority.clone()]).await, Ok(204));
    let wrong_name = ask("portal.example.com", vec![authority]).await.expect_err("another name").to_string();
    assert!(
        wrong_name.starts_with("certificate not trusted") && wrong_name.contains("portal"),
        "{wrong_name}"
    );
    let (_, unknown_authority) = Server::encrypted("gw.example.com", |_, _| Act::Say(200)).await;
    let unknown =
        ask("gw.example.com", vec![unknown_authority]).await.expect_err("another authority").to_string();
    assert!(unknown.starts_with("certificate not trusted"), "{unknown}");
}

#[tokio::test]
async fn dead_address_is_skipped() {
    let server = Server::start(|_, _| Act::Say(200)).await;
    let target: TargetUrl =
        format!("http://gw.example.com:{}/", server.address.port()).parse().expect("a URL");
    let addresses = vec!["127.0.0.77".parse().expect("an address"), server.address.ip()];
    let mut caller = UrlClient::new(Arc::new(target), UrlClientOptions { addresses, ..options() }, false);
    assert!(good(&caller.get().await));
}

#[test]
fn file_without_certificate_is_rejected() {
    assert!(certificates(b"").is_err());
    assert!(certificates(b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n").is_err());
}

#[test]
fn shown_url_contains_no_secret() {
    assert_eq!(
        shown("https://anna:hush@files.example.com/a.zip?token=hush"),
        "https://files.example.com/a.zip"
    );
    assert_eq!(shown("nonsense"), "an invalid URL");
}

#[test]
fn invalid_proxy_is_rejected() {
    let client = |proxy| Client::new(&ClientOptions { proxy: Some(proxy), ..ClientOptions::default() });
    assert!(client("not a proxy at all").is_err());
    assert!(client("http://proxy.example.com:3128").is_ok());
}
