//! Questions asked of a host below a temporary root, and of the machine itself where there is no other way.

use apim_protocol::query::Query;
use std::net::TcpListener;

use apim_protocol::observation::Answer;
use apim_protocol::outcome::Outcome;
use apim_protocol::value::AbsPath;

use crate::operation::testing::Bench;
use crate::query::observe;
use apim_protocol::query::examine::{Examine, Question};

fn path(text: &str) -> AbsPath {
    AbsPath::parse(text).unwrap()
}

fn ask(bench: &Bench, question: Question) -> Answer {
    let before = bench.snapshot();
    let Outcome::Observed(seen) =
        observe(&Query::Examine(Examine { questions: vec![question] }), &bench.system, &mut bench.dialogue())
    else {
        panic!()
    };
    assert_eq!(bench.snapshot(), before, "a question changed the host");
    let [answer] = seen.answers.as_slice() else { panic!("{seen:?}") };
    answer.clone()
}

#[test]
fn files_accounts_and_room_are_those_below_the_root() {
    let bench = Bench::new();
    bench.write("/etc/passwd", "svc:x:802:802::/home/svc:/usr/sbin/nologin\n");
    bench.write("/etc/secret", "password = \"wso\"\n");
    let Answer::Account(Some(account)) = ask(&bench, Question::Account("svc".into())) else { panic!() };
    assert_eq!((account.uid, account.shell.as_str()), (802, "/usr/sbin/nologin"));
    assert_eq!(ask(&bench, Question::Account("no-such-account".into())), Answer::Account(None));
    let Answer::Space { folder, free_bytes, .. } = ask(&bench, Question::Space(path("/srv/a/b"))) else {
        panic!()
    };
    assert!(folder == "/" && free_bytes > 0);
    let entry = |text, digest| ask(&bench, Question::Entry { path: path(text), digest });
    let Answer::Entry(Some(file)) = entry("/etc/secret", true) else { panic!() };
    assert!(file.kind == "file" && file.sha256.is_some_and(|digest| digest.len() == 64));
    let Answer::Entry(Some(folder)) = entry("/etc", true) else { panic!() };
    assert!(folder.kind == "folder" && folder.sha256.is_none());
    assert_eq!(entry("/etc/none", false), Answer::Entry(None));
    let holds = |file| Question::Holds { path: path(file), texts: vec!["\"wso\"".into(), "other".into()] };
    assert_eq!(ask(&bench, holds("/etc/secret")), Answer::Holds(vec![true, false]));
    assert_eq!(ask(&bench, holds("/etc/none")), Answer::Holds(Vec::new()));
}

#[test]
fn a_text_is_bounded_and_what_cannot_be_read_says_why() {
    let bench = Bench::new();
    bench.write("/proc/x", "1\n");
    bench.write("/proc/big", &"x".repeat(5000));
    assert_eq!(ask(&bench, Question::Text(path("/proc/x"))), Answer::Text(Some("1\n".into())));
    assert_eq!(ask(&bench, Question::Text(path("/proc/none"))), Answer::Text(None));
    let Answer::Unknown(why) = ask(&bench, Question::Text(path("/proc/big"))) else { panic!() };
    assert!(why.contains("/proc/big"), "{why}");
    assert!(matches!(ask(&bench, Question::Text(path("/proc"))), Answer::Unknown(_)));
}

#[test]
fn listeners_are_returned_and_free_ports_are_not() {
    let bench = Bench::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let Answer::Listeners(found) =
        ask(&bench, Question::Listeners { ports: vec![port, free], own: Vec::new() })
    else {
        panic!()
    };
    assert_eq!(found.iter().map(|one| one.port).collect::<Vec<_>>(), [port]);
    assert_eq!(found.first().map(|one| (one.address.as_str(), one.own)), Some(("127.0.0.1", None)));
}

#[test]
fn connections_are_tried_and_names_resolved() {
    let bench = Bench::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let open = listener.local_addr().unwrap().port();
    let shut = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let Answer::Reach(reached) =
        ask(&bench, Question::Reach(vec![("127.0.0.1".into(), open), ("127.0.0.1".into(), shut)]))
    else {
        panic!()
    };
    let problems: Vec<bool> = reached.iter().map(|one| one.problem.is_some()).collect();
    assert_eq!(problems, [false, true]);
    bench.write("/etc/hosts", "127.0.0.1 localhost\n");
    let names = vec!["localhost".to_owned(), "no such name".to_owned()];
    let Answer::Names(found) = ask(&bench, Question::Names { names, marker: None }) else { panic!() };
    let [local, none] = found.as_slice() else { panic!() };
    assert!(local.addresses.iter().any(|address| address == "127.0.0.1") && local.problem.is_none());
    assert_eq!(local.line, Some((1, "127.0.0.1".to_owned())));
    assert!(none.addresses.is_empty() && none.problem.is_some());
}

#[test]
fn agent_reports_itself() {
    let bench = Bench::new();
    let Answer::Agent { rooted, open_files, systemd, .. } = ask(&bench, Question::Agent) else { panic!() };
    assert!(rooted && open_files > 0 && systemd.is_none());
    let Answer::Clock { unix_millis, .. } = ask(&bench, Question::Clock) else { panic!() };
    assert!(unix_millis > 1_700_000_000_000);
}
