//! Downloads from a small server that misbehaves on purpose.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use apim_protocol::operation::download::Download;
use apim_protocol::operation::{Mode, Operation};
use apim_protocol::outcome::Outcome;
use apim_protocol::value::{AbsPath, Owner};

use super::*;
use crate::operation::testing::Bench;

/// Serves each connection with the next answer; returns the address and the requests' heads.
fn server(answers: Vec<Vec<u8>>) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, heads) = channel();
    thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let head = read_head(&stream);
            sender.send(head).ok();
            stream.write_all(&answer).ok();
        }
    });
    (format!("http://{address}"), heads)
}

fn read_head(stream: &TcpStream) -> String {
    let mut head = String::new();
    let mut lines = BufReader::new(stream);
    while lines.read_line(&mut head).unwrap_or(0) > 2 {}
    head.to_ascii_lowercase()
}

fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n").as_bytes(), body].concat()
}

fn desired(url: &str, bytes: &[u8]) -> Operation {
    let pull = Pull {
        url: format!("{url}/f/pack.zip?key=hidden"),
        sha256: Sha256::of(bytes),
        proxy: None,
        max_bytes: 10_000,
    };
    let path = AbsPath::parse("/pack.zip").unwrap();
    Operation::Download(Download { pull, path, mode: None, owner: Owner::default() })
}

#[test]
fn a_file_is_fetched_once() {
    let bench = Bench::new();
    let (url, heads) = server(vec![answer("200 OK\r\ncontent-length: 5", b"hello")]);
    bench.assert_converges(&desired(&url, b"hello"));
    assert_eq!(bench.text("/pack.zip"), "hello");
    assert!(heads.recv().unwrap().starts_with("get /f/pack.zip?key=hidden http/1.1"));
}

#[test]
fn a_broken_download_goes_on_where_it_broke() {
    let bench = Bench::new();
    let (url, heads) = server(vec![
        answer("200 OK\r\netag: \"v1\"\r\ncontent-length: 10", b"01234"),
        answer("206 Partial Content\r\ncontent-range: bytes 5-9/10\r\ncontent-length: 5", b"56789"),
    ]);
    bench.assert_converges(&desired(&url, b"0123456789"));
    assert!(!heads.recv().unwrap().contains("range:"));
    let second = heads.recv().unwrap();
    assert!(second.contains("range: bytes=5-") && second.contains("if-range: \"v1\""), "{second}");
}

#[test]
fn a_file_that_changed_meanwhile_is_fetched_from_the_start() {
    let bench = Bench::new();
    let (url, _heads) = server(vec![
        answer("200 OK\r\netag: \"v1\"\r\ncontent-length: 10", b"OLDOL"),
        answer("200 OK\r\netag: \"v2\"\r\ncontent-length: 10", b"0123456789"),
    ]);
    bench.assert_converges(&desired(&url, b"0123456789"));
}

#[test]
fn wrong_remainder_is_discarded_and_fetched_again() {
    let bench = Bench::new();
    let (url, _heads) = server(vec![
        answer("200 OK\r\ncontent-length: 10", b"other"),
        answer("206 Partial Content\r\ncontent-range: bytes 5-9/10\r\ncontent-length: 5", b"56789"),
        answer("200 OK\r\ncontent-length: 10", b"0123456789"),
    ]);
    bench.assert_converges(&desired(&url, b"0123456789"));
}

fn failure(bench: &Bench, operation: &Operation) -> Failure {
    match bench.run(operation, Mode::Apply) {
        Outcome::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

#[test]
fn wrong_bytes_are_refused_and_not_kept() {
    let bench = Bench::new();
    let (url, _heads) = server(vec![answer("200 OK\r\ncontent-length: 5", b"hellO")]);
    let failure = failure(&bench, &desired(&url, b"hello"));
    assert!(failure.causes[0].contains("discarded"), "{failure:?}");
    assert!(!format!("{failure:?}").contains("hidden"), "a query may be secret");
    assert!(!bench.real("/pack.zip").exists());
    assert_eq!(fs::read_dir(bench.system.state().folder().join("spool")).unwrap().count(), 0);
}

#[test]
fn too_much_is_refused_whether_it_is_said_or_not() {
    let bench = Bench::new();
    let much = vec![b'x'; 20_000];
    let (url, _heads) =
        server(vec![answer("200 OK\r\ncontent-length: 20000", &much), answer("200 OK", &much)]);
    for _ in 0..2 {
        let failure = failure(&bench, &desired(&url, &much));
        assert!(failure.causes[0].contains("more than 10000 bytes"), "{failure:?}");
    }
}

#[test]
fn redirects_are_followed_to_an_end() {
    let bench = Bench::new();
    let (url, heads) = server(vec![
        answer("302 Found\r\nlocation: ../g/x\r\ncontent-length: 0", b""),
        answer("200 OK\r\ncontent-length: 5", b"hello"),
    ]);
    bench.assert_converges(&desired(&url, b"hello"));
    assert_eq!(heads.iter().count(), 2);
    let endless = vec![answer("302 Found\r\nlocation: /\r\ncontent-length: 0", b""); 20];
    let (url, _heads) = server(endless);
    let failure = failure(&Bench::new(), &desired(&url, b"hello"));
    assert!(failure.causes[0].contains("leads on"), "{failure:?}");
}

#[test]
fn an_error_page_is_not_a_file() {
    let bench = Bench::new();
    let (url, _heads) = server(vec![answer("404 Not Found\r\ncontent-length: 4", b"none")]);
    assert!(failure(&bench, &desired(&url, b"none")).causes[0].contains("404"));
    let nobody = desired("ftp://127.0.0.1", b"none");
    assert!(failure(&bench, &nobody).causes[0].contains("not an http"));
}

#[test]
fn urls_are_shown_without_what_may_be_secret() {
    assert_eq!(shown("https://u:p@h:1/a/b?token=x#y"), "https://h:1/a/b");
}
