//! Local files, and downloads with interruptions, resumption and wrong content.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;

use super::*;
use apim_product::ArtifactName;
use apim_product::yaml::Span;

fn artifact(source: &str, bytes: &[u8]) -> Artifact {
    Artifact {
        name: ArtifactName("product-1.0.zip".into()),
        source: source.into(),
        sha256: Sha256::of(bytes),
        fetch: Fetch::Push,
        proxy: None,
        setting: "apim.distributions.source",
        place: Span::nowhere(),
    }
}

fn silent() -> Progress {
    Arc::new(|_, _, _| {})
}

async fn provide(folder: &Path, artifact: &Artifact) -> Result<Ready, String> {
    let cache = Cache::new(folder.join("cache"));
    match cache.provide(std::slice::from_ref(artifact), &silent()).await {
        Ok(ready) => Ok(ready[&artifact.sha256].clone()),
        Err(errors) => Err(errors.iter().map(ToString::to_string).collect()),
    }
}

#[tokio::test]
async fn local_file_is_used_in_place_and_verified() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zip");
    std::fs::write(&path, b"content").unwrap();
    let artifact = artifact(path.to_str().unwrap(), b"content");
    assert_eq!(provide(folder.path(), &artifact).await, Ok(Ready { path: path.clone(), size: 7 }));
    std::fs::write(&path, b"cOntent").unwrap();
    let error = provide(folder.path(), &artifact).await.unwrap_err();
    assert!(error.contains(&Sha256::of(b"cOntent").to_string()), "{error}");
    assert!(error.contains(&Sha256::of(b"content").to_string()), "{error}");
}

#[tokio::test]
async fn invalid_local_files_are_reported_with_their_setting() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jar");
    std::fs::write(&path, b"other").unwrap();
    let here = |name: &str, setting| {
        let path = folder.path().join(name);
        Artifact { setting, ..artifact(path.to_str().unwrap(), b"content") }
    };
    let wrong = here("a.jar", "apim.databases.driver.source");
    let absent = here("b.tar.gz", "apim.java.archive.source");
    let url = artifact("https://example.com/c.zip", b"content");
    assert_eq!([missing(&wrong), missing(&url)], [None, None]);
    assert_eq!(missing(&absent), Some(folder.path().join("b.tar.gz")));
    let cache = Cache::new(folder.path().join("cache"));
    let found = cache.check_local(&[wrong, absent, url]).await;
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].2.contains("`apim.databases.driver.source`"), "{}", found[0].2);
    assert!(found[1].2.contains("`apim.java.archive.source`"), "{}", found[1].2);
    assert!(found[1].1.contains("No such file"), "{}", found[1].1);
}

#[tokio::test]
async fn unchanged_file_is_not_hashed_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zip");
    std::fs::write(&path, b"content").unwrap();
    let digests = Digests::load(folder.path());
    assert_eq!(digests.of(&path).unwrap(), (Sha256::of(b"content"), 7));
    digests.save();
    // A wrong digest in the cache is returned, which proves that the file is not read.
    let cached = folder.path().join("digests.json");
    let (right, wrong) = (Sha256::of(b"content").to_string(), Sha256::of(b"other").to_string());
    std::fs::write(&cached, std::fs::read_to_string(&cached).unwrap().replace(&right, &wrong)).unwrap();
    assert_eq!(Digests::load(folder.path()).of(&path).unwrap().0, Sha256::of(b"other"));
    std::fs::write(&path, b"content").unwrap();
    assert_eq!(Digests::load(folder.path()).of(&path).unwrap().0, Sha256::of(b"content"));
}

/// Starts a server that calls `serve` for each connection with its number, the request head and the
/// stream.
fn server(serve: impl Fn(usize, &str, &mut TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/product-1.0.zip", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let Ok(mut stream) = stream else { return };
            let mut head = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while reader.read_line(&mut head).is_ok_and(|read| read > 2) {}
            serve(number, &head, &mut stream);
        }
    });
    url
}

#[tokio::test]
async fn interrupted_download_resumes() {
    let body: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let url = server({
        let (body, heads) = (body.clone(), Arc::clone(&heads));
        move |number, head, stream| {
            heads.lock().unwrap().push(head.to_lowercase());
            let response = if number == 0 {
                let mut response =
                    b"HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 100000\r\n\r\n".to_vec();
                response.extend_from_slice(&body[..40_000]);
                response
            } else {
                let mut response =
                    b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 40000-99999/100000\r\n\
                    Content-Length: 60000\r\n\r\n"
                        .to_vec();
                response.extend_from_slice(&body[40_000..]);
                response
            };
            stream.write_all(&response).unwrap();
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let artifact = artifact(&url, &body);
    let ready = provide(folder.path(), &artifact).await.unwrap();
    assert_eq!(std::fs::read(&ready.path).unwrap(), body);
    let heads = heads.lock().unwrap().clone();
    assert_eq!(heads.len(), 2);
    assert!(
        heads[1].contains("range: bytes=40000-") && heads[1].contains("if-range: \"v1\""),
        "{}",
        heads[1]
    );
    assert_eq!(provide(folder.path(), &artifact).await.unwrap(), ready, "the second call uses the cache");
}

#[tokio::test]
async fn download_with_wrong_digest_is_rejected_and_deleted() {
    let url = server(|_, _, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong").unwrap();
    });
    let folder = tempfile::tempdir().unwrap();
    let error = provide(folder.path(), &artifact(&url, b"right")).await.unwrap_err();
    assert!(error.contains(&Sha256::of(b"wrong").to_string()), "{error}");
    let mut left = Vec::new();
    let partial = folder.path().join("cache/partial").join(Sha256::of(b"right").to_string());
    std::fs::File::open(partial).unwrap().read_to_end(&mut left).unwrap();
    assert_eq!(left, b"");
    assert!(!folder.path().join("cache/files").exists());
}

#[tokio::test]
async fn client_error_is_not_retried_and_hides_the_password() {
    let url = server(|_, _, stream| {
        stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    let folder = tempfile::tempdir().unwrap();
    let url = url.replace("http://", "http://user:hunter2@");
    let error = provide(folder.path(), &artifact(&url, b"right")).await.unwrap_err();
    assert!(error.contains("404") && !error.contains("hunter2"), "{error}");
}
