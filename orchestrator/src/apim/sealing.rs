//! What lies beside a component so that its service finds its secrets: a file of variables, or what the product's cipher tool needs.

use apim_protocol::operation::command::{Command, Invocation};
use apim_protocol::operation::file::Show;
use apim_protocol::value::{FileMode, Secret, Sha256};

use super::cluster::Cluster;
use super::config::{self, Rendered};
use super::files::{PlacedFile, owner};
use super::settings::keystores::Purpose;
use super::settings::secrets::SecretsMode;
use super::topology::Node;

/// Writes the configuration from standard input, has the cipher tool encrypt it, and keeps what came of it. `WISH` is the digest of what is
/// wished. The tool takes the
/// keystore's password from a system property; as an option of the launcher's environment it stands in no list of processes. It wants `carbon.xml` to be
/// there, which is rendered at the first start, and empties `deployment.toml` when it fails, so the old one is put back (wso2/cipher-tool).
const SEAL: &str = r##"#!/bin/sh
# Written by apim-deploy: encrypts the secrets of deployment.toml with the product's cipher tool. Run by apply, never by hand.
umask 077
: "${WISH:?}"
conf=repository/conf
toml=$conf/deployment.toml
kept=$conf/.deployment.toml.kept
made=
put_back() {
    if [ -f "$kept" ]; then mv -f "$kept" "$toml"; else rm -f "$toml"; fi
    if [ -n "$made" ]; then rm -f "$made"; fi
}
rm -f "$kept" "$conf/.deployment.toml.sealed"
if [ -f "$toml" ]; then cp -p "$toml" "$kept" || exit 1; fi
trap 'put_back; exit 1' HUP INT TERM
rm -f "$toml"
cat >"$toml" || { put_back; exit 1; }
if [ ! -e "$conf/carbon.xml" ]; then
    made=$conf/carbon.xml
    echo '<Server xmlns="http://wso2.org/projects/carbon/carbon.xml"/>' >"$made"
fi
if ! /bin/sh bin/ciphertool.sh -Dconfigure; then
    put_back
    echo "the cipher tool failed; the configuration is as it was" >&2
    exit 1
fi
if ! [ -s "$toml" ] || sed -n '/^\[secrets\]/,$p' "$toml" | grep -q '= *"\['; then
    put_back
    echo "the cipher tool said that it succeeded, and left secrets unencrypted; the configuration is as it was" >&2
    exit 1
fi
if [ -n "$made" ]; then rm -f "$made"; fi
rm -f "$kept"
chmod 600 "$toml"
sum=$(sha256sum <"$toml") || exit 1
echo "$WISH ${sum%% *}" >"$conf/.deployment.toml.sealed"
"##;

/// Says whether what was sealed last is what is wished (`WISH`), and still lies there.
const IS_SEALED: &str = r#"sum=$(sha256sum <repository/conf/deployment.toml) && read -r have <repository/conf/.deployment.toml.sealed && [ "$have" = "$WISH ${sum%% *}" ]"#;

/// Returns the files beside `deployment.toml` that a node's secrets need.
#[must_use]
pub fn files(cluster: &Cluster, node: &Node) -> Vec<PlacedFile> {
    let private = |path: &apim_protocol::value::AbsPath, text: String, show, mode| PlacedFile {
        path: path.clone(),
        bytes: text.into_bytes().into(),
        mode: FileMode::new(mode),
        owner: owner(node),
        show,
        is_block: false,
    };
    match node.settings.secrets {
        SecretsMode::Plain => Vec::new(),
        SecretsMode::Environment => {
            let rendered = config::render(cluster, node);
            vec![private(&node.home.variables, variables(&rendered), Show::Nothing, 0o600)]
        }
        SecretsMode::Cipher => {
            let password = keystore_password(node);
            let show = Show::Nothing;
            vec![
                private(&node.home.seal, SEAL.to_owned(), Show::Text, 0o700),
                private(&node.home.password, format!("{}\n", password.expose()), show, 0o600),
            ]
        }
    }
}

/// Variables as systemd and a shell both read them: in double quotes, with the same four signs escaped.
fn variables(rendered: &Rendered) -> String {
    let mut text =
        "# Written by apim-deploy from the inventory: apim.secrets. The next apply puts edits right.\n"
            .to_owned();
    for (name, secret) in &rendered.extracted.variables {
        let mut quoted = String::new();
        for sign in secret.expose().chars() {
            if "\"\\`$".contains(sign) {
                quoted.push('\\');
            }
            quoted.push(sign);
        }
        text.push_str(&format!("{name}=\"{quoted}\"\n"));
    }
    text
}

/// The password of the keystore whose key encrypts secrets: the internal one, else the primary one, else the shipped one.
fn keystore_password(node: &Node) -> Secret {
    let stores = &node.settings.keystores.stores;
    let of = |purpose| stores.iter().find(|store| store.purpose == purpose);
    let store = of(Purpose::Internal).or_else(|| of(Purpose::Primary));
    store.map_or_else(|| Secret::new("wso2carbon"), |store| store.password.clone())
}

/// Returns the command that encrypts the configuration of `node`: due when another one is wished, or when somebody edited it.
#[must_use]
pub fn seal(cluster: &Cluster, node: &Node) -> Command {
    let rendered = config::render(cluster, node);
    let mut wish = format!("{}\n", rendered.text);
    // Another key encrypts otherwise.
    for store in &node.keystores {
        wish.push_str(&format!("{} {}\n", store.path.name(), Sha256::of(&store.bytes)));
    }
    // Not an argument: whoever knows the rest of the file could try out passwords against its digest.
    let wish = ("WISH".to_owned(), Secret::new(Sha256::of(wish.as_bytes()).to_string()));
    let run_as = Some(node.settings.user.clone());
    let directory = Some(node.home.release.clone());
    let password = keystore_password(node);
    let quote = if password.expose().contains('"') { '\'' } else { '"' };
    let options = format!("{quote}-Dpassword={}{quote}", password.expose());
    let sh = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    Command {
        run: Invocation {
            argv: sh(&["/bin/sh", node.home.seal.as_str()]),
            directory: directory.clone(),
            environment: [
                wish.clone(),
                ("JAVA_HOME".to_owned(), Secret::new(node.java_home.to_string())),
                ("JDK_JAVA_OPTIONS".to_owned(), Secret::new(options)),
            ]
            .into(),
            run_as: run_as.clone(),
            stdin: Some(Secret::new(rendered.text)),
            timeout_secs: 120,
        },
        creates: None,
        removes: None,
        unless: Some(Invocation {
            argv: sh(&["/bin/sh", "-c", IS_SEALED]),
            directory,
            environment: [wish].into(),
            run_as,
            timeout_secs: 30,
            ..Invocation::default()
        }),
        success: Vec::new(),
        changes: true,
    }
}

/// Returns the command line of a service that takes its variables from their file, where no systemd reads it for us.
#[must_use]
pub fn with_variables(node: &Node, script: &str) -> Vec<String> {
    let read = "set -a; . \"$0\"; set +a; exec /bin/sh \"$@\"";
    ["/bin/sh", "-c", read, node.home.variables.as_str(), script].map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests;
