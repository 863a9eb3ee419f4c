//! What PostgreSQL keeps of a password (RFC 5802, SCRAM-SHA-256). Made here, so that the password itself is in no statement and no
//! server's log.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2_vault::{Digest as _, Sha256};

/// PostgreSQL's own default.
const ROUNDS: u32 = 4096;

/// Returns what `CREATE ROLE … PASSWORD` takes in place of `password`; one with letters beyond ASCII is returned as it is, for the
/// server knows how such are to be prepared.
pub(super) fn verifier(password: &str) -> Result<String, getrandom::Error> {
    if !password.is_ascii() {
        return Ok(password.to_owned());
    }
    let mut salt = [0; 16];
    getrandom::fill(&mut salt)?;
    Ok(with_salt(password, &salt))
}

fn with_salt(password: &str, salt: &[u8]) -> String {
    let mut salted = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), salt, ROUNDS, &mut salted);
    let stored = Sha256::digest(keyed(&salted, b"Client Key"));
    let server = keyed(&salted, b"Server Key");
    format!(
        "SCRAM-SHA-256${ROUNDS}:{}${}:{}",
        STANDARD.encode(salt),
        STANDARD.encode(stored),
        STANDARD.encode(server)
    )
}

fn keyed(key: &[u8; 32], text: &[u8]) -> Vec<u8> {
    // A key of any length will do.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_the_rfc_says() {
        // RFC 7677, section 3: user, password `pencil`, this salt, 4096 rounds; the server's signature there follows from this key.
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let made = with_salt("pencil", &salt);
        assert!(made.starts_with("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"), "{made}");
        let server = made.rsplit(':').next().unwrap();
        let key: [u8; 32] = STANDARD.decode(server).unwrap().try_into().unwrap();
        let said = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,\
                    i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let signature = keyed(&key, said.as_bytes());
        assert_eq!(STANDARD.encode(signature), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn letters_beyond_ascii_are_left_to_the_server() {
        assert_eq!(verifier("pässword").unwrap(), "pässword");
        assert_ne!(verifier("a").unwrap(), verifier("a").unwrap(), "each has its own salt");
    }
}
