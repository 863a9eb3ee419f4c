//! `certs`: list the certificates of the cluster and their expiry.

use std::path::PathBuf;

use serde_json::json;

use crate::app::exit::{Exit, Kind};
use crate::app::issue::{self, Issue};
use crate::app::options::{Files, Shown};
use crate::app::read;
use crate::report::style::count;
use crate::report::table::{Paint, Table};
use crate::report::{self, Style};
use apim_product::pki::{Listed, State, list};
use apim_product::settings::keystores::KeystoreMode;
use apim_rollout::artifact::Cache;

/// Options of `certs`.
#[derive(Debug, Clone)]
pub(crate) struct CertsRequest {
    pub(crate) files: Files,
    /// Issue missing and expiring certificates in mode `issued`; contacts no host
    pub(crate) issue: bool,
    /// Also list the public authorities in truststores
    pub(crate) all: bool,
    /// Cache downloads in this folder [default: $XDG_CACHE_HOME/apim-deploy]
    pub(crate) cache_dir: Option<PathBuf>,
    pub(crate) shown: Shown,
}

pub(crate) fn run(args: &CertsRequest) -> Result<Kind, Exit> {
    let look = args.shown.look();
    let cache = args.cache_dir.clone().map_or_else(Cache::of_user, Cache::new);
    let issue = if args.issue { Issue::Offline } else { Issue::ReportOnly };
    let mut read = read::unchecked(&args.files)?;
    let is_issued = |mode: KeystoreMode| mode == KeystoreMode::Issued;
    if args.issue && !read.cluster.nodes().iter().any(|node| is_issued(node.settings.keystores.mode)) {
        let exit = Exit::new(Kind::Usage, "nothing to issue: `apim.keystores.mode` is not `issued`");
        return Err(exit.hint("see docs/keystores.md"));
    }
    let findings = issue::provide_all(&mut read.cluster, &args.files.inventory, &cache, issue)?;
    read::report(&read, &look)?;
    let limited = read::limited(&read.inventory, &args.files)?;
    let now = issue::now();
    let listed: Vec<Listed> = list(&read.cluster, now, args.all)
        .into_iter()
        .filter(|one| one.host.as_ref().is_none_or(|host| limited.contains(host.as_str())))
        .collect();
    let expired = listed.iter().filter(|one| one.state == State::Expired).count();
    if look.json {
        for one in &listed {
            report::say(&object(one))?;
        }
        report::say(
            &json!({"event": "certificates", "count": listed.len(), "expired": expired}).to_string(),
        )?;
    } else {
        report::say(&table(&listed, look.out))?;
        if expired > 0 {
            report::say(&look.out.bad(format!("{} expired", count(expired, "certificate"))))?;
        }
    }
    if expired > 0 {
        return Ok(Kind::Failed);
    }
    if findings.0.is_empty() { Ok(Kind::Converged) } else { Err(findings.into()) }
}

fn date(moment: i64) -> String {
    jiff::Timestamp::from_second(moment)
        .map_or_else(|_| "?".to_owned(), |moment| moment.strftime("%Y-%m-%d").to_string())
}

fn table(listed: &[Listed], style: Style) -> String {
    let heads = ["node", "purpose", "alias", "subject", "names", "issuer", "expires", "days", "state"];
    let mut table = Table::new(style, &heads);
    for one in listed {
        let (state, paint) = (one.state.word().to_owned(), paint(one.state));
        let (subject, names, issuer, ends, days) = match &one.certificate {
            None => ("-".to_owned(), "-".to_owned(), "-".to_owned(), "-".to_owned(), "-".to_owned()),
            Some(certificate) => (
                certificate.subject.clone(),
                certificate.names().join("\n"),
                certificate.issuer.clone(),
                date(certificate.not_after),
                one.days.to_string(),
            ),
        };
        table.row([
            (one.node.clone(), Paint::Plain),
            (one.purpose.to_owned(), Paint::Plain),
            (one.alias.clone(), Paint::Plain),
            (subject, Paint::Plain),
            (names, Paint::Plain),
            (issuer, Paint::Plain),
            (ends, Paint::Plain),
            (days, paint),
            (state, paint),
        ]);
    }
    table.text()
}

fn paint(state: State) -> Paint {
    match state {
        State::Valid => Paint::Good,
        State::Soon | State::Missing | State::Shipped => Paint::Change,
        State::Expired | State::Early => Paint::Bad,
    }
}

fn object(one: &Listed) -> String {
    let certificate = one.certificate.as_ref();
    json!({
        "event": "certificate", "node": one.node, "host": one.host, "purpose": one.purpose, "alias": one.alias,
        "subject": certificate.map(|c| c.subject.clone()), "names": certificate.map(apim_product::keystore::Certificate::names),
        "issuer": certificate.map(|c| c.issuer.clone()), "not_before": certificate.map(|c| date(c.not_before)),
        "not_after": certificate.map(|c| date(c.not_after)), "days": certificate.map(|_| one.days),
        "fingerprint": certificate.map(|c| c.fingerprint.to_string()), "state": one.state.word(),
    })
    .to_string()
}
