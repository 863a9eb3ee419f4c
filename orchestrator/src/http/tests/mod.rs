//! What becomes of requests, with servers that fail in every way.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Call, Caller, Place, Terms, Trust, builder, certificates, shown};

pub(crate) mod server;

use server::{Act, Server};

const LIMIT: Duration = Duration::from_millis(400);

fn terms() -> Terms {
    Terms { trust: None, addresses: Vec::new(), limit: LIMIT }
}

fn caller(server: &Server, keeps: bool) -> Caller {
    let place: Place = format!("http://{}/path?x=1", server.address).parse().expect("a URL");
    Caller::new(Arc::new(place), terms(), keeps)
}

fn good(call: &Call) -> bool {
    *call == Call { outcome: Ok(200), again: false }
}

fn why(call: Call) -> String {
    call.outcome.expect_err("it failed")
}

fn connections(server: &Server) -> usize {
    server.connections.load(Ordering::SeqCst)
}

#[tokio::test]
async fn a_kept_connection_is_kept_and_a_fresh_one_is_not() {
    let server = Server::start(|_, _| Act::Say(200)).await;
    for (keeps, made) in [(true, 1), (false, 4)] {
        let mut caller = caller(&server, keeps);
        for _ in 0..3 {
            assert!(good(&caller.get().await));
        }
        assert_eq!(connections(&server), made);
    }
}

#[tokio::test]
async fn a_kept_connection_that_is_closed_before_a_byte_of_the_answer_is_asked_anew() {
    let server = Server::start(|connection, request| match (connection, request) {
        (0, 1) => Act::Close,
        _ => Act::Say(200),
    })
    .await;
    let mut caller = caller(&server, true);
    assert!(good(&caller.get().await));
    assert_eq!(caller.get().await, Call { outcome: Ok(200), again: true });
    assert!(good(&caller.get().await), "the new one is kept");
    assert_eq!(connections(&server), 2);
}

#[tokio::test]
async fn a_fresh_connection_that_is_closed_has_failed() {
    let server = Server::start(|_, _| Act::Close).await;
    for keeps in [true, false] {
        let call = caller(&server, keeps).get().await;
        assert_eq!(call.outcome, Err("the connection was closed without an answer".to_owned()));
        assert!(!call.again);
    }
}

#[tokio::test]
async fn one_that_was_closed_while_nobody_asked_is_no_loss() {
    let server = Server::start(|_, _| Act::SayAndClose(200)).await;
    let mut caller = caller(&server, true);
    for _ in 0..3 {
        assert!(good(&caller.get().await));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(connections(&server), 3);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_asked_anew() {
    for (part, said) in [
        ("HTTP/1.1 200", "broke off"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "broke off"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "no HTTP"),
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
        let said_so = why(call);
        assert!(said_so.contains(said), "{part}: {said_so}");
        assert_eq!(connections(&server), 1, "{part}");
    }
}

#[tokio::test]
async fn whoever_hangs_is_left_in_time() {
    let server = Server::start(|_, _| Act::Hang).await;
    let begun = Instant::now();
    let call = caller(&server, true).get().await;
    assert_eq!(why(call), "no answer within 400 ms");
    assert!(begun.elapsed() < LIMIT * 4, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_body_without_an_end_is_not_read_to_its_end() {
    let server = Server::start(|_, _| Act::Endless).await;
    let mut caller = caller(&server, true);
    for _ in 0..2 {
        assert!(good(&caller.get().await));
    }
    assert_eq!(connections(&server), 2, "its connection is not used again");
}

#[tokio::test]
async fn nobody_there_and_no_such_name_are_told() {
    let server = Server::start(|_, _| Act::Say(200)).await;
    let address = server.address;
    drop(server);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let place: Place = format!("http://{address}/").parse().expect("a URL");
    let call = Caller::new(Arc::new(place), terms(), false).get().await;
    assert_eq!(why(call), "connection refused");
    let place: Place = "http://nowhere.invalid/".parse().expect("a URL");
    let patient = Terms { limit: Duration::from_secs(30), ..terms() };
    let call = Caller::new(Arc::new(place), patient, false).get().await;
    assert_eq!(why(call), "the name nowhere.invalid cannot be resolved");
}

#[tokio::test]
async fn over_tls_authority_and_name_must_fit() {
    let (server, authority) = Server::encrypted("gw.example.com", |_, _| Act::Say(204)).await;
    let ask = async |name: &str, trusted: Vec<Vec<u8>>| {
        let place: Place = format!("https://{name}:{}/", server.address.port()).parse().expect("a URL");
        let trust = Trust::new(trusted).expect("somebody to trust");
        let addresses = vec![server.address.ip()];
        let terms = Terms { trust: Some(trust), addresses, limit: Duration::from_secs(10) };
        Caller::new(Arc::new(place), terms, true).get().await.outcome
    };
    assert_eq!(ask("gw.example.com", vec![authority.clone()]).await, Ok(204));
    let wrong_name = ask("portal.example.com", vec![authority]).await.expect_err("another name");
    assert!(
        wrong_name.starts_with("its certificate is not trusted") && wrong_name.contains("portal"),
        "{wrong_name}"
    );
    let (_, stranger) = Server::encrypted("gw.example.com", |_, _| Act::Say(200)).await;
    let unknown = ask("gw.example.com", vec![stranger]).await.expect_err("another authority");
    assert!(unknown.starts_with("its certificate is not trusted"), "{unknown}");
}

#[tokio::test]
async fn a_dead_address_is_passed_over_as_clients_do() {
    let server = Server::start(|_, _| Act::Say(200)).await;
    let place: Place = format!("http://gw.example.com:{}/", server.address.port()).parse().expect("a URL");
    let addresses = vec!["127.0.0.77".parse().expect("an address"), server.address.ip()];
    let mut caller = Caller::new(Arc::new(place), Terms { addresses, ..terms() }, false);
    assert!(good(&caller.get().await));
}

#[test]
fn a_file_without_a_certificate_is_refused() {
    assert!(certificates(b"").is_err());
    assert!(certificates(b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n").is_err());
}

#[test]
fn what_is_shown_of_a_url_holds_no_secret() {
    assert_eq!(
        shown("https://anna:hush@files.example.com/a.zip?token=hush"),
        "https://files.example.com/a.zip"
    );
    assert_eq!(shown("nonsense"), "a URL that cannot be read");
}

#[test]
fn a_proxy_that_is_none_is_refused_in_words() {
    assert!(builder(Some("not a proxy at all")).is_err());
    assert!(builder(Some("http://proxy.example.com:3128")).is_ok());
}
