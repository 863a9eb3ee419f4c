//! Settings of the running kernel. A file of `/etc/sysctl.d` brings them back at boot; placing that is `file`'s work.
//!
//! In a container some settings belong to its host: they are reported, and do not count as a change.

use apim_protocol::operation::sysctl::Sysctl;
use apim_protocol::outcome::{Difference, Failure, Outcome};

use crate::operation::converge::{Converge, Finding};
use crate::operation::support::dialogue::Dialogue;
use crate::system::{Setting, System, neat};

/// What a look found.
struct Found<'a> {
    /// Key, actual and desired value of what can be set.
    differ: Vec<(&'a str, String, &'a str)>,
    /// What differs and cannot be set from here.
    stuck: Vec<String>,
}

fn look<'s>(sysctl: &'s Sysctl, system: &System) -> Result<Found<'s>, Failure> {
    let mut found = Found { differ: Vec::new(), stuck: Vec::new() };
    for (key, desired) in &sysctl.values {
        match system.kernel_setting(key)? {
            Setting::Absent => found.stuck.push(format!("{key} does not exist")),
            Setting::Free(is) | Setting::Fixed(is) if is == neat(desired) => {}
            Setting::Free(is) => found.differ.push((key, is, desired)),
            Setting::Fixed(is) => found.stuck.push(format!("{key} is {is} and read-only")),
        }
    }
    Ok(found)
}

impl Converge for Sysctl {
    fn check(&self, system: &System) -> Result<Finding, Failure> {
        let Found { differ, stuck } = look(self, system)?;
        let stuck = (!stuck.is_empty()).then(|| {
            format!("not in effect: the kernel belongs to the container's host: {}", stuck.join(", "))
        });
        if differ.is_empty() {
            return Ok(stuck.map_or(Finding::UpToDate, Finding::NotApplicable));
        }
        let items = differ.iter().map(|(key, is, desired)| format!("{key} {is} -> {}", neat(desired)));
        Ok(Finding::of(items.chain(stuck)))
    }

    fn apply(
        &self,
        system: &System,
        _: &mut dyn Dialogue,
        difference: &Difference,
    ) -> Result<Outcome, Failure> {
        for (key, _, desired) in &look(self, system)?.differ {
            system.set_kernel_setting(key, desired)?;
        }
        // The kernel takes some values only in part, without a word.
        if let Some((key, is, desired)) = look(self, system)?.differ.first() {
            let what = format!("{key} was set to {}, and the kernel has {is}", neat(desired));
            return Err(Failure::new(what).hint("give another value, or leave the key out"));
        }
        Ok(Outcome::Changed(difference.clone()))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use apim_protocol::operation::{Mode, Operation};

    use super::*;
    use crate::operation::testing::Bench;

    fn desired(pairs: &[(&str, &str)]) -> Operation {
        let values = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Operation::Sysctl(Sysctl { values })
    }

    #[test]
    fn values_that_differ_are_set_and_blanks_do_not_matter() {
        let bench = Bench::new();
        bench.write("/proc/sys/net/core/rmem_max", "212992\n");
        bench.write("/proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n");
        let desired =
            desired(&[("net.core.rmem_max", "67108864"), ("net.ipv4.tcp_rmem", "4096 87380 16777216")]);
        let Outcome::Changed(done) = bench.assert_converges(&desired) else { panic!() };
        assert_eq!(done.changes.first(), Some(&"net.core.rmem_max 212992 -> 67108864".into()));
        bench.write("/proc/sys/net/ipv4/tcp_rmem", "4096\t87380\t16777216\n");
        assert_eq!(bench.run(&desired, Mode::Check), Outcome::Ok);
    }

    #[test]
    fn missing_setting_is_reported_as_skipped() {
        let bench = Bench::new();
        bench.write("/proc/sys/net/core/wmem_max", "5\n");
        let desired = desired(&[("net.core.rmem_max", "1"), ("net.core.wmem_max", "5")]);
        for mode in [Mode::Check, Mode::Apply] {
            let Outcome::Skipped(why) = bench.run(&desired, mode) else { panic!() };
            assert!(why.contains("net.core.rmem_max does not exist") && !why.contains("wmem_max"), "{why}");
        }
    }

    #[test]
    fn read_only_setting_is_skipped_without_privilege() {
        let bench = Bench::new();
        bench.write("/proc/sys/net/core/rmem_max", "1\n");
        fs::set_permissions(bench.real("/proc/sys/net/core/rmem_max"), fs::Permissions::from_mode(0o444))
            .unwrap();
        let outcome = bench.run(&desired(&[("net.core.rmem_max", "2")]), Mode::Check);
        if bench.system.is_privileged() {
            assert!(matches!(outcome, Outcome::WouldChange(_)), "{outcome:?}");
        } else {
            assert!(matches!(outcome, Outcome::Skipped(_)), "{outcome:?}");
        }
    }

    #[test]
    fn a_key_that_leads_elsewhere_is_refused() {
        let bench = Bench::new();
        for key in ["net/core", "plain", "net..core", "../../etc/passwd"] {
            assert!(bench.run(&desired(&[(key, "1")]), Mode::Apply).is_failure(), "{key}");
        }
    }
}
