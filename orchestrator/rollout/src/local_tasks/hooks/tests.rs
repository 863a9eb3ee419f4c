//! Real hook calls: programs on this machine, and HTTP requests to a test server.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use apim_protocol::value::Secret;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use apim_product::hook::{HttpCall, Program};

fn hook(call: Call) -> Hook {
    Hook { words: "it".to_owned(), call, contains: None, timeout_secs: 20, retries: 0 }
}

fn shell(script: &str) -> Program {
    Program {
        argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
        on: None,
        facts: BTreeMap::from([("APIM_NODE".to_owned(), "gw1".to_owned())]),
        environment: BTreeMap::from([("KEY".to_owned(), Secret::new("open-sesame"))]),
        stdin: Some(Secret::new("from the input\n")),
    }
}

async fn refusal(hook: &Hook) -> Refusal {
    LocalHooks.call(hook).await.expect_err("it fails")
}

#[tokio::test]
async fn program_gets_facts_and_secrets_in_environment_and_stdin() {
    let script = r#"read line; [ "$APIM_NODE/$KEY/$line" = "gw1/open-sesame/from the input" ]"#;
    assert!(LocalHooks.call(&hook(Call::Command(shell(script)))).await.is_ok());
}

#[tokio::test]
async fn failed_program_is_quoted_without_secrets() {
    let script = "(seq 1 5000; echo \"the key is $KEY\") >&2; exit 3";
    let Refusal { failure, may_pass } = refusal(&hook(Call::Command(shell(script)))).await;
    assert_eq!(failure.what, "hook `it`: exit status 3");
    assert!(failure.log.contains(&"the key is ****".to_owned()) && failure.log.len() <= 5, "{failure:?}");
    assert!(may_pass);
}

#[tokio::test]
async fn hanging_program_is_killed_with_its_children() {
    let folder = tempfile::tempdir().expect("a folder");
    let fifo = folder.path().join("alive");
    let created = std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo");
    assert!(created.success());
    let mut alive = tokio::net::unix::pipe::OpenOptions::new().open_receiver(&fifo).expect("the FIFO");
    // The program and its child keep the FIFO open until they end.
    let script = format!("exec 9>{}; echo started >&9; sleep 60 & sleep 60", fifo.display());
    let begun = Instant::now();
    let Refusal { failure, may_pass } =
        refusal(&Hook { timeout_secs: 1, ..hook(Call::Command(shell(&script))) }).await;
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(failure.what, "hook `it`: timed out after 1 s and was killed");
    assert!(!may_pass, "it would hang again");
    let mut written = String::new();
    let closed = tokio::time::timeout(Duration::from_secs(20), alive.read_to_string(&mut written)).await;
    closed.expect("the child is still running").expect("the end of the FIFO");
    assert_eq!(written, "started\n");
}

#[tokio::test]
async fn background_process_does_not_delay_the_end() {
    let begun = Instant::now();
    let call = hook(Call::Command(shell("sleep 15 & exit 0")));
    assert!(LocalHooks.call(&call).await.is_ok());
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn missing_program_is_reported() {
    let mut program = shell("");
    program.argv = vec!["/nowhere/lb".to_owned()];
    let call = hook(Call::Command(program));
    let Refusal { failure, may_pass } = refusal(&call).await;
    assert!(failure.what.contains("cannot start `/nowhere/lb`") && !may_pass, "{failure:?}");
    assert_eq!(check(&call).as_deref(), Some("`/nowhere/lb` is not an executable program on this machine"));
    assert_eq!(check(&hook(Call::Command(shell("")))), None);
}

/// Answers one request, and returns it.
async fn answered(listener: TcpListener, answer: &str) -> String {
    let (mut stream, _) = listener.accept().await.expect("a client");
    let mut heard = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&heard).ends_with("{\"state\":\"drain\"}") {
        let bytes = stream.read(&mut buffer).await.expect("a request");
        assert!(bytes > 0, "{}", String::from_utf8_lossy(&heard));
        heard.extend_from_slice(&buffer[..bytes]);
    }
    let text =
        format!("HTTP/1.1 {answer}\r\nConnection: close\r\n\r\nno such pool; the token was open-sesame");
    stream.write_all(text.as_bytes()).await.expect("an answer");
    String::from_utf8(heard).expect("text")
}

async fn called(answer: &'static str, expect: &[u16]) -> (Result<(), Refusal>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/pools/gw1?by=test", listener.local_addr().expect("an address"));
    let call = HttpCall {
        method: "PUT".to_owned(),
        url,
        headers: vec![("X-Token".to_owned(), Secret::new("open-sesame"))],
        body: Some(Secret::new("{\"state\":\"drain\"}")),
        expect: expect.to_vec(),
        login: Some(("anna".to_owned(), Secret::new("hush-hush"))),
        ca: None,
    };
    let hook = hook(Call::Http(Box::new(call)));
    tokio::join!(LocalHooks.call(&hook), answered(listener, answer))
}

#[tokio::test]
async fn request_is_sent_as_configured_and_status_decides() {
    let (done, request) = called("204 No Content", &[]).await;
    assert!(done.is_ok(), "{done:?}");
    assert!(request.starts_with("PUT /pools/gw1?by=test HTTP/1.1\r\n"), "{request}");
    let lower = request.to_ascii_lowercase();
    assert!(
        lower.contains("x-token: open-sesame") && lower.contains("authorization: basic yw5uytpodxnolwh1c2g=")
    );
    assert!(called("404 Not Found", &[404]).await.0.is_ok());
    for (answer, may_pass) in
        [("404 Not Found", false), ("503 Busy", true), ("302 Found\r\nLocation: /", true)]
    {
        let refused = called(answer, &[]).await.0.expect_err("not a success status");
        assert!(
            refused.failure.what.starts_with(&format!("hook `it`: responded with {}", &answer[..3])),
            "{refused:?}"
        );
        assert_eq!(refused.failure.log, ["no such pool; the token was ****"]);
        assert_eq!(refused.may_pass, may_pass, "{answer}");
    }
}

#[tokio::test]
async fn silent_server_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let call = HttpCall {
        method: "GET".to_owned(),
        url,
        headers: Vec::new(),
        body: None,
        expect: Vec::new(),
        login: None,
        ca: None,
    };
    let hook = Hook { timeout_secs: 1, ..hook(Call::Http(Box::new(call))) };
    let Refusal { failure, may_pass } = refusal(&hook).await;
    assert!(failure.what.contains("no response in time") && !may_pass, "{failure:?}");
}
