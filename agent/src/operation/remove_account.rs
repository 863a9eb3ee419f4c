//! An account and its group that we made are gone again. One that was there before us, or that something still needs, stays.

use apim_protocol::operation::remove_account::RemoveAccount;
use apim_protocol::outcome::{Difference, Failure, Outcome};

use super::group;
use crate::operation::converge::{Converge, Finding};
use crate::operation::support::dialogue::Dialogue;
use crate::system::System;

/// Returns which of the two are to go: the account, the group.
fn find_leaving(accounts: &RemoveAccount, system: &System) -> Result<(bool, bool), Failure> {
    group::valid("an account", &accounts.user)?;
    group::valid("a group", &accounts.group)?;
    for folder in &accounts.needed_by {
        if system.stat(folder)?.is_some() {
            return Ok((false, false));
        }
    }
    let is_rooted = system.is_rooted();
    let user = group::is_noted(system, &format!("account:{}", accounts.user))?
        && (is_rooted || system.account(&accounts.user)?.is_some());
    let group = group::is_noted(system, &format!("group:{}", accounts.group))?
        && (is_rooted || system.group(&accounts.group)?.is_some());
    Ok((user, group))
}

impl Converge for RemoveAccount {
    fn check(&self, system: &System) -> Result<Finding, Failure> {
        let (user, group) = find_leaving(self, system)?;
        let mut items = Vec::new();
        items.extend(user.then(|| format!("remove the account `{}`", self.user)));
        items.extend(group.then(|| format!("remove the group `{}`", self.group)));
        Ok(Finding::of(items))
    }

    fn apply(
        &self,
        system: &System,
        _: &mut dyn Dialogue,
        difference: &Difference,
    ) -> Result<Outcome, Failure> {
        let (user, group) = find_leaving(self, system)?;
        if user {
            if !system.is_rooted() {
                group::edit(system, vec!["userdel".to_owned(), self.user.clone()])?;
            }
            group::forget(system, &format!("account:{}", self.user))?;
        }
        if group {
            // It may have gone with the account.
            if !system.is_rooted() && system.group(&self.group)?.is_some() {
                group::edit(system, vec!["groupdel".to_owned(), self.group.clone()])?;
            }
            group::forget(system, &format!("group:{}", self.group))?;
        }
        Ok(Outcome::Changed(difference.clone()))
    }
}

#[cfg(test)]
mod tests {
    use apim_protocol::operation::account::Account;
    use apim_protocol::operation::{Mode, Operation};
    use apim_protocol::value::AbsPath;

    use super::*;
    use crate::operation::testing::Bench;

    fn desired() -> Operation {
        let needed_by = vec![AbsPath::parse("/opt/app").unwrap()];
        Operation::RemoveAccount(RemoveAccount { user: "app".into(), group: "staff".into(), needed_by })
    }

    #[test]
    fn an_account_that_we_made_goes_once_nothing_needs_it() {
        let bench = Bench::new();
        let account =
            Account { name: "app".into(), uid: None, group: None, home: None, shell: None, system: true };
        bench.run(&Operation::Account(account), Mode::Apply);
        bench.write("/opt/app/file", "x");
        assert_eq!(bench.run(&desired(), Mode::Apply), Outcome::Ok);
        std::fs::remove_dir_all(bench.real("/opt/app")).unwrap();
        let Outcome::Changed(done) = bench.assert_converges(&desired()) else { panic!() };
        assert_eq!(done.statements(), ["remove the account `app`"]);
    }

    #[test]
    fn an_account_that_was_there_before_us_stays() {
        let bench = Bench::new();
        bench.write("/etc/passwd", "app:x:4711:50::/:/bin/sh\n");
        bench.write("/etc/group", "staff:x:50:\n");
        assert_eq!(bench.run(&desired(), Mode::Apply), Outcome::Ok);
    }
}
