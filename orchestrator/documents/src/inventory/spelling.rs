//! Warns of misspelled connection variables, which would otherwise be ignored.

use apim_product::yaml::{Kind, Mistakes, Node};

/// Connection and interpreter variables of Ansible, and those of apim-deploy.
const KNOWN: &[&str] = &[
    "ansible_become",
    "ansible_become_exe",
    "ansible_become_flags",
    "ansible_become_method",
    "ansible_become_pass",
    "ansible_become_password",
    "ansible_become_user",
    "ansible_config_file",
    "ansible_connection",
    "ansible_connection_timeout",
    "ansible_command_timeout",
    "ansible_facts",
    "ansible_group_priority",
    "ansible_host",
    "ansible_host_key_checking",
    "ansible_network_os",
    "ansible_paramiko_host_key_checking",
    "ansible_password",
    "ansible_pipelining",
    "ansible_port",
    "ansible_private_key_file",
    "ansible_python_interpreter",
    "ansible_remote_tmp",
    "ansible_remote_user",
    "ansible_scp_executable",
    "ansible_sftp_executable",
    "ansible_shell_executable",
    "ansible_shell_type",
    "ansible_ssh_args",
    "ansible_ssh_common_args",
    "ansible_ssh_executable",
    "ansible_ssh_extra_args",
    "ansible_ssh_host",
    "ansible_ssh_host_key_checking",
    "ansible_ssh_pass",
    "ansible_ssh_password",
    "ansible_ssh_pipelining",
    "ansible_ssh_port",
    "ansible_ssh_private_key",
    "ansible_ssh_private_key_file",
    "ansible_ssh_private_key_passphrase",
    "ansible_ssh_retries",
    "ansible_ssh_timeout",
    "ansible_ssh_transfer_method",
    "ansible_ssh_user",
    "ansible_sudo_flags",
    "ansible_sudo_pass",
    "ansible_timeout",
    "ansible_user",
    "apim",
    "apim_agent_root",
    "apim_agent_state",
    "apim_host_keys",
    "apim_ssh_key_passphrase",
];

/// Names with a higher similarity are typos. `ansible_user` and `ansible_become_user` are less
/// similar.
const MIN_SIMILARITY: f64 = 0.95;

/// Warns of host variables that are similar to a known variable.
pub(super) fn warn(variables: &Node, warnings: &mut Mistakes) {
    let Kind::Map(entries) = &variables.kind else { return };
    for (key, _) in entries {
        let name = key.text.as_str();
        let is_checked = name.starts_with("ansible") || name.starts_with("apim");
        if !is_checked || KNOWN.contains(&name) {
            continue;
        }
        let score = |known: &&str| {
            // Such as `ansible_hosts` and `ansible-user`.
            let typos = strsim::damerau_levenshtein(name, known);
            let score = strsim::jaro_winkler(name, known);
            (typos <= known.len() / 6 || score > MIN_SIMILARITY).then_some((typos, score))
        };
        let near = KNOWN.iter().filter_map(|known| score(known).map(|score| (score, *known)));
        let near = near.min_by(|a, b| a.0.0.cmp(&b.0.0).then(b.0.1.total_cmp(&a.0.1)));
        if let Some((_, near)) = near {
            warnings.add_hint(
                &key.span,
                format!("unknown connection variable `{name}`"),
                format!("did you mean `{near}`?"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(text: &str) -> Vec<(String, Option<String>)> {
        let node = apim_product::yaml::parse("t.yaml", text).expect("YAML");
        let mut warnings = Mistakes::default();
        warn(&node, &mut warnings);
        warnings.0.into_iter().map(|warning| (warning.what, warning.hint)).collect()
    }

    #[test]
    fn typos_are_reported_with_the_intended_name() {
        for (wrong, intended) in [
            ("ansible_usr", "ansible_user"),
            ("ansible_prot", "ansible_port"),
            ("ansible_hosts", "ansible_host"),
            ("ansible-user", "ansible_user"),
            ("ansible_becomes", "ansible_become"),
            ("ansible_ssh_private_keyfile", "ansible_ssh_private_key_file"),
            ("ansible_ssh_common_arg", "ansible_ssh_common_args"),
            ("apim_hostkeys", "apim_host_keys"),
        ] {
            let found = warnings(&format!("{wrong}: x\n"));
            assert_eq!(found.len(), 1, "{wrong}");
            assert_eq!(
                found[0].1.as_deref(),
                Some(format!("did you mean `{intended}`?").as_str()),
                "{wrong}"
            );
        }
    }

    #[test]
    fn known_and_unrelated_variables_give_no_warning() {
        let text = "ansible_user: x\nansible_become_pass: x\nansible_winrm_transport: x\nmy_user: x\napim: {}\napim_downloads: x\n";
        assert_eq!(warnings(text), []);
    }
}
