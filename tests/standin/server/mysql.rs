//! The part of the MySQL protocol that checks logins and tables.
//!
//! Source: the client/server protocol pages of MySQL's and MariaDB's documentation.

use std::time::Duration;

use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::database::Database;

const ANSWER: Duration = Duration::from_secs(5);
const NATIVE: &str = "mysql_native_password";

/// The server's greeting.
#[derive(Debug)]
pub(crate) struct Greeting {
    nonce: Vec<u8>,
    plugin: String,
}

/// Reads the greeting.
pub(crate) async fn greeting(stream: &mut TcpStream) -> Result<Greeting, String> {
    let (_, payload) = packet(stream).await?;
    parse_greeting(&payload)
        .ok_or_else(|| error_text(&payload).unwrap_or_else(|| "not a MySQL server".to_owned()))
}

fn parse_greeting(payload: &[u8]) -> Option<Greeting> {
    let rest = payload.strip_prefix(&[10])?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    let rest = rest.get(end + 1 + 4..)?;
    let mut nonce = rest.get(..8)?.to_vec();
    let rest = rest.get(8 + 1 + 2 + 1 + 2 + 2..)?;
    let length = usize::from(*rest.first()?).saturating_sub(8).max(13);
    let rest = rest.get(1 + 10..)?;
    nonce.extend_from_slice(rest.get(..12)?);
    let plugin = rest.get(length..).unwrap_or_default();
    let plugin = plugin.split(|byte| *byte == 0).next().unwrap_or_default();
    Some(Greeting { nonce, plugin: String::from_utf8_lossy(plugin).into_owned() })
}

/// Logs in. Errors have the text of the server. Unknown authentication methods count as success.
pub(crate) async fn log_in(
    stream: &mut TcpStream,
    greeting: &Greeting,
    database: &Database,
) -> Result<(), String> {
    const FLAGS: u32 = 0x1 | 0x8 | 0x200 | 0x8000 | 0x8_0000;
    let known = greeting.plugin.is_empty() || greeting.plugin == NATIVE;
    let proof = if known { scramble(&database.password, &greeting.nonce) } else { Vec::new() };
    let mut payload = FLAGS.to_le_bytes().to_vec();
    payload.extend_from_slice(&0x0100_0000_u32.to_le_bytes());
    payload.push(33);
    payload.extend_from_slice(&[0; 23]);
    payload.extend_from_slice(database.username.as_bytes());
    payload.push(0);
    payload.push(u8::try_from(proof.len()).unwrap_or(0));
    payload.extend_from_slice(&proof);
    payload.extend_from_slice(database.name.as_bytes());
    payload.push(0);
    payload.extend_from_slice(NATIVE.as_bytes());
    payload.push(0);
    send(stream, 1, &payload).await?;
    let (number, answer) = packet(stream).await?;
    match answer.first() {
        Some(0xfe) => {
            let mut parts = answer[1..].splitn(2, |byte| *byte == 0);
            if parts.next() != Some(NATIVE.as_bytes()) {
                return Ok(());
            }
            let nonce = parts.next().unwrap_or_default();
            send(
                stream,
                number.wrapping_add(1),
                &scramble(&database.password, nonce.get(..20).unwrap_or(nonce)),
            )
            .await?;
            let (_, answer) = packet(stream).await?;
            error_text(&answer).map_or(Ok(()), |text| Err(format!("java.sql.SQLException: {text}")))
        }
        _ => error_text(&answer).map_or(Ok(()), |text| Err(format!("java.sql.SQLException: {text}"))),
    }
}

/// Runs a statement and checks only the first answer.
pub(crate) async fn query(stream: &mut TcpStream, statement: &str) -> Result<(), String> {
    let mut payload = vec![3];
    payload.extend_from_slice(statement.as_bytes());
    send(stream, 0, &payload).await?;
    let (_, answer) = packet(stream).await?;
    error_text(&answer).map_or(Ok(()), |text| Err(format!("java.sql.SQLSyntaxErrorException: {text}")))
}

fn scramble(password: &str, nonce: &[u8]) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    let once = Sha1::digest(password.as_bytes());
    let twice = Sha1::digest(once);
    let mut hasher = Sha1::new();
    hasher.update(nonce);
    hasher.update(twice);
    once.iter().zip(hasher.finalize()).map(|(a, b)| a ^ b).collect()
}

fn error_text(payload: &[u8]) -> Option<String> {
    let rest = payload.strip_prefix(&[0xff])?.get(2..)?;
    let text = rest.strip_prefix(b"#").and_then(|rest| rest.get(5..)).unwrap_or(rest);
    Some(String::from_utf8_lossy(text).into_owned())
}

async fn send(stream: &mut TcpStream, number: u8, payload: &[u8]) -> Result<(), String> {
    let length = u32::try_from(payload.len()).unwrap_or(0).to_le_bytes();
    let mut bytes = vec![length[0], length[1], length[2], number];
    bytes.extend_from_slice(payload);
    stream.write_all(&bytes).await.map_err(|error| error.to_string())
}

async fn packet(stream: &mut TcpStream) -> Result<(u8, Vec<u8>), String> {
    let read = async {
        let mut head = [0; 4];
        stream.read_exact(&mut head).await?;
        let mut payload = vec![0; u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize];
        stream.read_exact(&mut payload).await?;
        Ok::<_, std::io::Error>((head[3], payload))
    };
    match timeout(ANSWER, read).await {
        Ok(Ok(packet)) => Ok(packet),
        Ok(Err(error)) => Err(format!("The server closed the connection: {error}")),
        Err(_) => Err("The server sent no greeting or answer".to_owned()),
    }
}
