//! An account exists. Below `--root` no database is edited: an account that is missing there is noted in the state folder, and then counts as made.

use apim_protocol::operation::account::Account;
use apim_protocol::outcome::{Difference, Failure, Outcome};

use super::group;
use crate::operation::converge::{Converge, Finding};
use crate::operation::support::dialogue::Dialogue;
use crate::system::{Entry, System};

/// Returns what differs on an account that exists: in words, and the options that put it right.
fn differences(
    account: &Account,
    system: &System,
    found: &Entry,
) -> Result<(Vec<String>, Vec<String>), Failure> {
    if let Some(uid) = account.uid
        && uid != found.uid
    {
        let what = format!("the account `{}` has the number {}, expected {uid}", account.name, found.uid);
        return Err(Failure::new(what)
            .hint("numbers of accounts that exist are not changed: files would change hands"));
    }
    let (mut items, mut options) = (Vec::new(), Vec::new());
    if let Some(group) = &account.group
        && system.group(group)?.is_none_or(|group| group.gid != found.gid)
    {
        items.push(format!("primary group {} -> {group}", system.group_name(found.gid)));
        options.extend(["--gid".to_owned(), group.clone()]);
    }
    for (what, option, desired, found) in
        [("home", "--home", &account.home, &found.home), ("shell", "--shell", &account.shell, &found.shell)]
    {
        if let Some(desired) = desired
            && desired.as_str() != found
        {
            items.push(format!("{what} {found} -> {desired}"));
            options.extend([option.to_owned(), desired.to_string()]);
        }
    }
    Ok((items, options))
}

fn useradd(account: &Account) -> Vec<String> {
    let mut argv = vec!["useradd".to_owned()];
    if account.system {
        argv.push("--system".to_owned());
    }
    argv.extend(account.uid.iter().flat_map(|uid| ["--uid".to_owned(), uid.to_string()]));
    argv.extend(account.group.iter().flat_map(|group| ["--gid".to_owned(), group.clone()]));
    match &account.home {
        Some(home) => argv.extend(["--home-dir".to_owned(), home.to_string(), "--create-home".to_owned()]),
        None => argv.push("--no-create-home".to_owned()),
    }
    argv.extend(account.shell.iter().flat_map(|shell| ["--shell".to_owned(), shell.to_string()]));
    argv.push(account.name.clone());
    argv
}

impl Converge for Account {
    fn check(&self, system: &System) -> Result<Finding, Failure> {
        group::valid("an account", &self.name)?;
        let Some(found) = system.account(&self.name)? else {
            if system.is_rooted() && group::is_noted(system, &format!("account:{}", self.name))? {
                return Ok(Finding::UpToDate);
            }
            return Ok(Finding::of([format!("new account `{}`", self.name)]));
        };
        let (items, _) = differences(self, system, &found)?;
        Ok(if system.is_rooted() { Finding::UpToDate } else { Finding::of(items) })
    }

    fn apply(
        &self,
        system: &System,
        _: &mut dyn Dialogue,
        difference: &Difference,
    ) -> Result<Outcome, Failure> {
        if system.is_rooted() {
            group::note(system, &format!("account:{}", self.name))?;
        } else if let Some(found) = system.account(&self.name)? {
            let (_, mut options) = differences(self, system, &found)?;
            options.insert(0, "usermod".to_owned());
            options.push(self.name.clone());
            group::edit(system, options)?;
        } else {
            group::edit(system, useradd(self))?;
            group::note(system, &format!("account:{}", self.name))?;
        }
        Ok(Outcome::Changed(difference.clone()))
    }
}

#[cfg(test)]
mod tests {
    use apim_protocol::operation::{Mode, Operation};
    use apim_protocol::value::AbsPath;

    use super::*;
    use crate::operation::testing::Bench;

    fn desired() -> Account {
        let path = |text| Some(AbsPath::parse(text).unwrap());
        let (home, shell) = (path("/var/app"), path("/usr/sbin/nologin"));
        Account { name: "app".into(), uid: None, group: Some("staff".into()), home, shell, system: true }
    }

    #[test]
    fn below_a_root_a_missing_account_is_only_noted() {
        let bench = Bench::new();
        bench.assert_converges(&Operation::Account(desired()));
        assert!(!bench.real("/etc/passwd").exists());
    }

    #[test]
    fn another_number_is_a_failure_and_other_differences_are_named() {
        let bench = Bench::new();
        bench.write("/etc/passwd", "app:x:4711:4712::/home/app:/bin/sh\n");
        bench.write("/etc/group", "app:x:4712:\nstaff:x:50:\n");
        let wrong = Account { uid: Some(1), ..desired() };
        assert!(bench.run(&Operation::Account(wrong), Mode::Check).is_failure());
        let found = bench.system.account("app").unwrap().unwrap();
        let (items, options) = differences(&desired(), &bench.system, &found).unwrap();
        assert_eq!(
            items,
            [
                "primary group app -> staff",
                "home /home/app -> /var/app",
                "shell /bin/sh -> /usr/sbin/nologin"
            ]
        );
        assert_eq!(options.join(" "), "--gid staff --home /var/app --shell /usr/sbin/nologin");
    }

    #[test]
    fn new_account_gets_all_options() {
        let argv = useradd(&Account { uid: Some(815), ..desired() }).join(" ");
        let expected = "useradd --system --uid 815 --gid staff --home-dir /var/app --create-home \
                        --shell /usr/sbin/nologin app";
        assert_eq!(argv, expected);
    }
}
