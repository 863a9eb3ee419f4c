//! Authentication, in OpenSSH's order: the inventory's key, the ssh-agent's keys, the user's own
//! keys, then a password.

use std::collections::HashSet;
use std::sync::Arc;

use russh::client::{AuthResult, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{Algorithm, HashAlg, PrivateKeyWithHashAlg, PublicKey};
use russh::{MethodKind, MethodSet};
use tokio::net::UnixStream;

use crate::session::text::one_line;

use super::agent_keys::{AgentKeys, agent_keys, agent_mark};
use super::attempt::{ANSWER, AttemptError, QueryOnlySigner, Unsigned, with_timeout};
use super::client::{Client, Heard};
use super::destination::{Destination, Identity};
use super::error::SshError;
use super::keyring::{self, KeyError, KeyRing};
use super::known_hosts::fingerprint;

/// Maximum number of keys to try before the password: by default, servers stop after six attempts
/// in total (MaxAuthTries).
const KEYS_BEFORE_PASSWORD: usize = 4;

/// Maximum number of keyboard-interactive prompts from one server.
const QUESTIONS: usize = 5;

/// Logs in to `to` over a fresh connection.
pub(super) async fn authenticate(
    client: &mut Client,
    heard: &Heard,
    to: &Destination,
    ring: &KeyRing,
) -> Result<(), SshError> {
    let mut login = Login {
        client,
        to,
        tried: Vec::new(),
        offered: HashSet::new(),
        attempts: 0,
        allowed: None,
        closed: false,
        open: false,
    };
    login.run(ring).await;
    if login.open {
        return Ok(());
    }
    Err(login.failure(heard))
}

struct Login<'a> {
    client: &'a mut Client,
    to: &'a Destination,
    /// Every attempt with its result.
    tried: Vec<String>,
    /// Fingerprints of keys already offered.
    offered: HashSet<String>,
    attempts: usize,
    allowed: Option<MethodSet>,
    closed: bool,
    open: bool,
}

impl Login<'_> {
    async fn run(&mut self, ring: &KeyRing) {
        let mut agent = match agent_keys(self.to, self.client.agent_session_binding()).await {
            Ok(agent) => agent,
            Err(error) => {
                self.tried.push(error.to_string());
                None
            }
        };
        let identities = &self.to.identities;
        for identity in identities.iter().filter(|identity| identity.required) {
            self.key_file(identity, ring, agent.as_mut()).await;
        }
        if let Some(agent) = &mut agent {
            let named = identities
                .iter()
                .filter_map(|identity| keyring::public_half(&identity.path))
                .collect::<Vec<_>>();
            for held in agent.keys.clone() {
                let is_named = named.iter().any(|key| key.key_data() == held.public_key().key_data());
                if is_named || !self.to.identities_only {
                    self.agent_key(&mut agent.client, &held).await;
                }
            }
        }
        for identity in identities.iter().filter(|identity| !identity.required) {
            self.key_file(identity, ring, agent.as_mut()).await;
        }
        self.password().await;
        if self.attempts == 0 && !self.is_done() {
            // Nothing to offer: try `none`, to list the allowed methods in the error and to log in
            // to servers that require no authentication.
            let answer = self.client.authenticate_none(self.to.user.clone());
            let answer = with_timeout(answer).await;
            self.note("nothing (no key, no ssh-agent, no password)".to_owned(), answer);
        }
    }

    fn is_done(&self) -> bool {
        self.open || self.closed
    }

    fn allows(&self, method: MethodKind) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| allowed.contains(&method))
    }

    fn may_offer_key(&self) -> bool {
        let room = self.to.password.is_none() || self.attempts < KEYS_BEFORE_PASSWORD;
        !self.is_done() && room && self.allows(MethodKind::PublicKey)
    }

    async fn key_file(&mut self, identity: &Identity, ring: &KeyRing, agent: Option<&mut AgentKeys>) {
        let public = keyring::public_half(&identity.path);
        if public.as_ref().is_some_and(|key| self.offered.contains(&fingerprint(key)))
            || !self.may_offer_key()
        {
            return;
        }
        // A key that is loaded in the ssh-agent needs no passphrase.
        if let (Some(agent), Some(public)) = (agent, &public)
            && let Some(held) = agent.find(public)
        {
            return self.agent_key(&mut agent.client, &held).await;
        }
        let name = format!("key {}", identity.path.display());
        if let Some(public) = public.filter(|_| !identity.required)
            && ring.would_ask(identity).await
            && !self.server_accepts(public, &name).await
        {
            return;
        }
        let key = match ring.load(identity).await {
            Ok(key) => key,
            Err(KeyError::Missing) if !identity.required => return,
            Err(error) => return self.tried.push(format!("{name} (not offered: {error})")),
        };
        if let Some(certificate) = keyring::certificate(&identity.path) {
            let answer =
                self.client.authenticate_openssh_cert(self.to.user.clone(), Arc::clone(&key), certificate);
            let answer = with_timeout(answer).await;
            self.note(format!("{name} with its certificate"), answer);
            if !self.may_offer_key() {
                return;
            }
        }
        self.offered.insert(fingerprint(key.public_key()));
        let hash = self.rsa_hash(&key.algorithm()).await;
        let key = PrivateKeyWithHashAlg::new(key, hash);
        let answer = with_timeout(self.client.authenticate_publickey(self.to.user.clone(), key)).await;
        self.note(name, answer);
    }

    /// Checks whether the server would accept a key, before the user is asked for its passphrase.
    async fn server_accepts(&mut self, public: PublicKey, name: &str) -> bool {
        let hash = self.rsa_hash(&public.algorithm()).await;
        let (user, mark) = (self.to.user.clone(), fingerprint(&public));
        let mut signer = QueryOnlySigner;
        let asking = self.client.authenticate_publickey_with(user, public, hash, &mut signer);
        match tokio::time::timeout(ANSWER, asking).await {
            Ok(Err(Unsigned::Accepted)) => return true,
            Ok(Err(Unsigned::Disconnected)) => self.note(name.to_owned(), Err(AttemptError::Disconnected)),
            Ok(Ok(answer)) => self.note(name.to_owned(), Ok(answer)),
            Err(_) => self.note(name.to_owned(), Err(AttemptError::Timeout)),
        }
        self.offered.insert(mark);
        false
    }

    async fn agent_key(&mut self, agent: &mut AgentClient<UnixStream>, held: &AgentIdentity) {
        let key = held.public_key().into_owned();
        if !self.may_offer_key() || !self.offered.insert(agent_mark(held, &key)) {
            return;
        }
        let hash = self.rsa_hash(&key.algorithm()).await;
        let name =
            format!("ssh-agent key {} {}", fingerprint(&key), one_line(held.comment().as_bytes(), 100));
        let user = self.to.user.clone();
        let answer = match held {
            AgentIdentity::PublicKey { key, .. } => {
                let key = key.clone();
                tokio::time::timeout(ANSWER, self.client.authenticate_publickey_with(user, key, hash, agent))
                    .await
            }
            AgentIdentity::Certificate { certificate, .. } => {
                let certificate = certificate.clone();
                tokio::time::timeout(
                    ANSWER,
                    self.client.authenticate_certificate_with(user, certificate, hash, agent),
                )
                .await
            }
        };
        match answer {
            Ok(answer) => self.note(
                name.trim_end().to_owned(),
                answer.map_err(|error| AttemptError::Protocol(error.to_string())),
            ),
            Err(_) => self.note(name, Err(AttemptError::Timeout)),
        }
    }

    /// Returns the hash to sign with, for RSA keys: never SHA-1.
    async fn rsa_hash(&self, algorithm: &Algorithm) -> Option<HashAlg> {
        if !matches!(algorithm, Algorithm::Rsa { .. }) {
            return None;
        }
        match self.client.best_supported_rsa_hash().await {
            Ok(Some(Some(HashAlg::Sha512))) => Some(HashAlg::Sha512),
            _ => Some(HashAlg::Sha256),
        }
    }

    async fn password(&mut self) {
        let Some(password) = &self.to.password else { return };
        if !self.is_done() && self.allows(MethodKind::Password) {
            let answer = self.client.authenticate_password(self.to.user.clone(), password.expose());
            let answer = with_timeout(answer).await;
            self.note("the inventory's password".to_owned(), answer);
        }
        if !self.is_done() && self.allows(MethodKind::KeyboardInteractive) {
            let answer = self.answer_questions(password.expose()).await;
            self.note("the inventory's password, as an answer (keyboard-interactive)".to_owned(), answer);
        }
    }

    async fn answer_questions(&mut self, password: &str) -> Result<AuthResult, AttemptError> {
        let start = self.client.authenticate_keyboard_interactive_start(self.to.user.clone(), None);
        let mut response = with_timeout(start).await?;
        for _ in 0..QUESTIONS {
            let prompts = match response {
                KeyboardInteractiveAuthResponse::Success => return Ok(AuthResult::Success),
                KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success } => {
                    return Ok(AuthResult::Failure { remaining_methods, partial_success });
                }
                KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => prompts,
            };
            if prompts.len() > 1 {
                return Err(AttemptError::SeveralPrompts);
            }
            let answers = prompts.iter().map(|_| password.to_owned()).collect();
            let answer = self.client.authenticate_keyboard_interactive_respond(answers);
            response = with_timeout(answer).await?;
        }
        Err(AttemptError::EndlessPrompts)
    }

    /// Records the result of an attempt.
    fn note(&mut self, what: String, answer: Result<AuthResult, AttemptError>) {
        self.attempts += 1;
        match answer {
            Ok(AuthResult::Success) => self.open = true,
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                // russh reports a closed connection as a refusal without remaining methods.
                self.closed = self.client.is_closed() || remaining_methods.is_empty();
                let became = match (self.closed, partial_success) {
                    (true, _) => "the server closed the connection",
                    (false, true) => "accepted, but the server requires another method",
                    (false, false) => "refused",
                };
                self.tried.push(format!("{what} ({became})"));
                if !self.closed {
                    self.allowed = Some(remaining_methods);
                }
            }
            Err(why) => {
                self.closed = self.client.is_closed();
                self.tried.push(format!("{what} ({why})"));
            }
        }
    }

    fn failure(&self, heard: &Heard) -> SshError {
        let allowed = match &self.allowed {
            Some(methods) if !methods.is_empty() => {
                methods.iter().map(String::from).collect::<Vec<_>>().join(", ")
            }
            _ => "unknown methods".to_owned(),
        };
        SshError::Authentication {
            peer: self.to.peer.clone(),
            user: self.to.user.clone(),
            tried: if self.tried.is_empty() { "nothing".to_owned() } else { self.tried.join(", ") },
            allowed,
            is_cut_off: self.closed && self.attempts > 1,
            banner: heard.banner(),
        }
    }
}
