//! PostgreSQL's password verifier (RFC 5802, SCRAM-SHA-256). Computed here, so that the password
//! appears in no statement and in no server log.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2_vault::{Digest as _, Sha256};

/// Iteration count; PostgreSQL's default.
const ITERATIONS: u32 = 4096;

/// Returns the verifier of `password` for `CREATE ROLE … PASSWORD`. A password with non-ASCII
/// characters is returned unchanged, because the server normalizes it.
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
    pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), salt, ITERATIONS, &mut salted);
    let stored = Sha256::digest(keyed(&salted, b"Client Key"));
    let server = keyed(&salted, b"Server Key");
    format!(
        "SCRAM-SHA-256${ITERATIONS}:{}${}:{}",
        STANDARD.encode(salt),
        STANDARD.encode(stored),
        STANDARD.encode(server)
    )
}

fn keyed(key: &[u8; 32], text: &[u8]) -> Vec<u8> {
    // HMAC accepts keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verifier_matches_the_rfc_example() {
        // RFC 7677, section 3: user `user`, password `pencil`, this salt, 4096 iterations. The
        // expected server signature is derived from this key.
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = with_salt("pencil", &salt);
        assert!(verifier.starts_with("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"), "{verifier}");
        let server = verifier.rsplit(':').next().unwrap();
        let key: [u8; 32] = STANDARD.decode(server).unwrap().try_into().unwrap();
        let said = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,\
                    i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let signature = keyed(&key, said.as_bytes());
        assert_eq!(STANDARD.encode(signature), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn non_ascii_passwords_are_normalized_by_the_server() {
        assert_eq!(verifier("pässword").unwrap(), "pässword");
        assert_ne!(verifier("a").unwrap(), verifier("a").unwrap(), "each has its own salt");
    }
}
