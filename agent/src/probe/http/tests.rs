//! The GET against servers that answer, stall, lie and refuse.

use std::io::Write;
use std::net::TcpListener;
use std::thread;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::*;

/// Answers one connection with `answer` and returns the port.
fn serve_once(answer: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        read_head(&mut stream);
        // the client may leave before a long answer is through
        drop(stream.write_all(&answer));
    });
    port
}

fn read_head(stream: &mut impl std::io::Read) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
}

/// Serves one TLS connection with an untrusted certificate, and returns the port.
fn serve_tls_once() -> u16 {
    let made = rcgen::generate_simple_self_signed(["node.example.com".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        let connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, socket);
        read_head(&mut stream);
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nup"));
        stream.conn.send_close_notify();
        drop(stream.flush());
    });
    port
}

#[test]
fn status_and_body_are_returned_whatever_the_status_is() {
    let port = serve_once(b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\nwell".to_vec());
    let answer = Client::new(true).get(&format!("http://127.0.0.1:{port}/x")).unwrap();
    assert_eq!(answer, Answer { status: 500, body: "well".to_owned() });
}

#[test]
fn a_redirect_is_an_answer_and_not_followed() {
    let port = serve_once(
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n".to_vec(),
    );
    assert_eq!(Client::new(true).get(&format!("http://127.0.0.1:{port}/")).unwrap().status, 302);
}

#[test]
fn a_body_without_end_is_cut_at_the_limit() {
    let mut long = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    long.resize(long.len() + 300_000, b'x');
    let port = serve_once(long);
    let answer = Client::new(true).get(&format!("http://127.0.0.1:{port}/")).unwrap();
    assert_eq!(answer.body.len() as u64, BODY_LIMIT);
}

#[test]
fn refusals_and_silence_have_plain_words() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let silent = Client::new(false).get(&format!("http://127.0.0.1:{port}/"));
    assert_eq!(silent, Err(HttpError::NoAnswer("no answer within 3 s".to_owned())));
    drop(listener);
    let refused = Client::new(false).get(&format!("https://127.0.0.1:{port}/"));
    assert_eq!(refused, Err(HttpError::NoAnswer("connection refused".to_owned())));
    let babble = Client::new(true)
        .get(&format!("http://127.0.0.1:{}/", serve_once(b"220 mail ready\r\n\r\n".to_vec())));
    assert!(matches!(babble, Err(HttpError::NoAnswer(_))), "{babble:?}");
}

#[test]
fn an_unknown_certificate_is_taken_on_loopback_only_and_only_unverified() {
    let answer = Client::new(false).get(&format!("https://127.0.0.1:{}/", serve_tls_once())).unwrap();
    assert_eq!(answer, Answer { status: 200, body: "up".to_owned() });
    let verified = Client::new(true).get(&format!("https://127.0.0.1:{}/", serve_tls_once()));
    assert!(matches!(&verified, Err(HttpError::NoAnswer(why)) if why.starts_with("TLS: ")), "{verified:?}");
    for url in ["https://192.0.2.1/", "https://node.example.com:9443/", "https://[2001:db8::1]/"] {
        assert!(matches!(Client::new(false).get(url), Err(HttpError::Url { .. })), "{url}");
    }
}
