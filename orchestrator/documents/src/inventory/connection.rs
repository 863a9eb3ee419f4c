//! Ansible's connection variables, typed and checked.

use std::path::PathBuf;

use apim_protocol::value::{AbsPath, Secret};

use super::arguments;
use crate::template::Scope;
use apim_product::yaml::{Kind, Mistakes, Node, Span};
use apim_transport::host::{Become, Connection, ConnectionKind};

/// Reads the connection variables of the host `name`. `variables` is its map of variables.
pub(super) fn read(name: &str, variables: &Node, scope: &Scope, mistakes: &mut Mistakes) -> Connection {
    let mut reader = Reader { variables, scope, mistakes };
    let mut connection = Connection {
        kind: reader.kind(),
        address: reader.address(name),
        port: reader.port(),
        user: reader.user(&["ansible_user", "ansible_ssh_user"]),
        password: reader.secret(&["ansible_password", "ansible_ssh_password", "ansible_ssh_pass"]),
        private_key_file: reader.path(&["ansible_ssh_private_key_file", "ansible_private_key_file"]),
        key_passphrase: reader.secret(&["apim_ssh_key_passphrase"]),
        host_keys: reader.texts("apim_host_keys"),
        agent_state: reader.absolute("apim_agent_state"),
        agent_root: reader.absolute("apim_agent_root"),
        ..Connection::default()
    };
    for variable in ["ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args"] {
        if let Some((text, span)) = reader.text(&[variable]) {
            arguments::read(&text, &span, &mut connection, reader.mistakes);
        }
    }
    if let Some(seconds) = reader.seconds(&["ansible_ssh_timeout", "ansible_timeout"]) {
        connection.options.connect_timeout_secs.get_or_insert(seconds);
    }
    reader.refuse_unverified();
    reader.escalation(&mut connection);
    connection
}

struct Reader<'a> {
    variables: &'a Node,
    scope: &'a Scope,
    mistakes: &'a mut Mistakes,
}

impl Reader<'_> {
    /// Returns the first of these variables that is set, rendered. `null` and an empty text count
    /// as not set.
    fn value(&mut self, names: &[&str]) -> Option<Node> {
        let name = names.iter().find(|name| self.variables.get(name).is_some())?;
        match self.scope.variable(name)? {
            Ok(node) => match &node.kind {
                Kind::Null => None,
                Kind::Text { text, .. } if text.is_empty() => None,
                _ => Some(node),
            },
            Err(found) => {
                self.mistakes.0.extend(found.0);
                None
            }
        }
    }

    /// Returns a text that may appear in output: in the plan, in errors, in messages of ssh.
    fn text(&mut self, names: &[&str]) -> Option<(String, Span)> {
        let node = self.value(names)?;
        if let Some(text) = node.as_text() {
            return Some((text, node.span));
        }
        let name = names.iter().find(|name| self.variables.get(name).is_some()).unwrap_or(&"");
        match &node.kind {
            Kind::Secret(_) => self.mistakes.add_hint(
                &node.span,
                format!("`{name}` must not be a secret, because it is shown"),
                "write it as plain text, or pass it with -e (the value is not shown here, because it is a secret)",
            ),
            _ => {
                self.mistakes.add(&node.span, format!("`{name}` must be a text, not {}", node.describe()));
            }
        }
        None
    }

    fn secret(&mut self, names: &[&str]) -> Option<Secret> {
        let node = self.value(names)?;
        match (&node.kind, node.as_text()) {
            (Kind::Secret(secret), _) => Some(secret.clone()),
            (_, Some(text)) => Some(Secret::new(text)),
            _ => {
                let name = names.first().unwrap_or(&"");
                self.mistakes.add(&node.span, format!("`{name}` must be a text, not {}", node.describe()));
                None
            }
        }
    }

    fn kind(&mut self) -> ConnectionKind {
        let Some((text, span)) = self.text(&["ansible_connection"]) else { return ConnectionKind::Ssh };
        match text.rsplit('.').next().unwrap_or_default() {
            "ssh" | "smart" | "paramiko" | "paramiko_ssh" => ConnectionKind::Ssh,
            "local" => ConnectionKind::Local,
            _ => {
                self.mistakes.add_hint(
                    &span,
                    "this `ansible_connection` is not supported",
                    "supported: ssh, local",
                );
                ConnectionKind::Ssh
            }
        }
    }

    fn address(&mut self, name: &str) -> String {
        let Some((address, span)) = self.text(&["ansible_host", "ansible_ssh_host"]) else {
            return name.to_owned();
        };
        if let Err(why) = super::range::check(&address) {
            self.mistakes.add(&span, format!("the address of `{name}` {why}"));
        }
        address
    }

    fn port(&mut self) -> Option<u16> {
        let (text, span) = self.text(&["ansible_port", "ansible_ssh_port"])?;
        match text.parse::<u16>() {
            Ok(port) if port > 0 => Some(port),
            _ => {
                self.mistakes.add(&span, "`ansible_port` must be a number from 1 to 65535");
                None
            }
        }
    }

    fn user(&mut self, names: &[&str]) -> Option<String> {
        let (user, span) = self.text(names)?;
        let name = names.first().unwrap_or(&"");
        match arguments::check_user(&user) {
            Ok(()) => Some(user),
            Err(why) => {
                self.mistakes.add(&span, format!("`{name}` {why}"));
                None
            }
        }
    }

    fn path(&mut self, names: &[&str]) -> Option<PathBuf> {
        self.text(names).map(|(text, _)| arguments::expand_home(&text))
    }

    fn absolute(&mut self, name: &str) -> Option<AbsPath> {
        let (text, span) = self.text(&[name])?;
        AbsPath::parse(&text).map_err(|error| self.mistakes.add(&span, format!("`{name}`: {error}"))).ok()
    }

    fn texts(&mut self, name: &str) -> Vec<String> {
        let Some(node) = self.value(&[name]) else { return Vec::new() };
        let items = match &node.kind {
            Kind::List(items) => items.as_slice(),
            _ => std::slice::from_ref(&node),
        };
        let mut texts = Vec::new();
        for item in items {
            match item.as_text() {
                Some(text) => texts.push(text.trim().to_owned()),
                None => self
                    .mistakes
                    .add(&item.span, format!("`{name}` must contain texts, not {}", item.describe())),
            }
        }
        texts
    }

    fn seconds(&mut self, names: &[&str]) -> Option<u64> {
        let (text, span) = self.text(names)?;
        let name = names.first().unwrap_or(&"");
        let seconds = text.parse().ok().filter(|seconds| (1..=3600).contains(seconds));
        if seconds.is_none() {
            self.mistakes.add(&span, format!("`{name}` must be a number of seconds from 1 to 3600"));
        }
        seconds
    }

    fn flag(&mut self, names: &[&str]) -> Option<(bool, Span)> {
        let node = self.value(names)?;
        let truth = match &node.kind {
            Kind::Bool(truth) => Some(*truth),
            _ => match node.as_text()?.to_ascii_lowercase().as_str() {
                "yes" | "true" | "on" | "1" | "y" | "t" => Some(true),
                "no" | "false" | "off" | "0" | "n" | "f" => Some(false),
                _ => None,
            },
        };
        if truth.is_none() {
            let name = names.first().unwrap_or(&"");
            self.mistakes.add(&node.span, format!("`{name}` must be true or false, not {}", node.describe()));
        }
        truth.map(|truth| (truth, node.span))
    }

    /// Host keys are always verified, so a variable that disables the check is an error.
    fn refuse_unverified(&mut self) {
        if let Some((false, span)) =
            self.flag(&["ansible_host_key_checking", "ansible_ssh_host_key_checking"])
        {
            self.mistakes.add_hint(&span, "host key checking cannot be disabled", arguments::KEYS);
        }
    }

    fn escalation(&mut self, connection: &mut Connection) {
        let method = self.text(&["ansible_become_method"]);
        if let Some((_, span)) = method.filter(|(method, _)| method.rsplit('.').next() != Some("sudo")) {
            self.mistakes.add_hint(&span, "this `ansible_become_method` is not supported", "supported: sudo");
        }
        for name in ["ansible_become_exe", "ansible_become_flags", "ansible_sudo_flags"] {
            if let Some((_, span)) = self.text(&[name]) {
                self.mistakes.add_hint(
                    &span,
                    format!("`{name}` is not supported"),
                    "apim-deploy runs sudo with -n or -S only",
                );
            }
        }
        let user = self.user(&["ansible_become_user"]).unwrap_or_else(|| "root".to_owned());
        let names = ["ansible_become_password", "ansible_become_pass", "ansible_sudo_pass"];
        let password = self.secret(&names);
        let requested = self.flag(&["ansible_become"]).map(|(requested, _)| requested);
        connection.become_with = Become { user, password };
        connection.become_setting = requested;
        connection.escalate = (requested == Some(true)).then(|| connection.become_with.clone());
    }
}
