//! Releases side by side: moved to, with what the service keeps; gone back from, with what it was started with.

use std::fs;

use apim_protocol::operation::revert::{Proved, Revert};
use apim_protocol::operation::unit::{ProcessMatch, Release, Script, State, Unit};
use apim_protocol::operation::wait::{Condition, Service, Wait};
use apim_protocol::operation::{Mode, Operation};
use apim_protocol::outcome::Outcome;
use apim_protocol::value::{AbsPath, Sha256, UnitName};

use super::{Orchestrator, Site, changed};
use crate::operation::converge;

fn path(text: &str) -> AbsPath {
    AbsPath::parse(text).unwrap()
}

/// A host with the releases 1 and 2 of a service, each with what it is shipped with.
fn site() -> Site {
    let site = Site::living();
    for name in ["1", "2"] {
        let folder = site.real(&format!("srv/releases/{name}"));
        fs::create_dir_all(folder.join("data/db")).unwrap();
        fs::write(folder.join("run.sh"), "sh server.sh -Dhome=$PWD\n").unwrap();
        fs::write(folder.join("server.sh"), "while :; do sleep 0.05; done\n").unwrap();
        fs::write(folder.join("data/db/MAIN.db"), format!("shipped with {name}")).unwrap();
        fs::write(folder.join("data/db/OTHER.db"), format!("shipped with {name}")).unwrap();
        let stamp = format!("{{\"sha256\":\"{}\",\"finished\":1}}", Sha256::of(name.as_bytes()));
        fs::write(folder.join(".apim-deploy.json"), stamp).unwrap();
    }
    site
}

fn process() -> ProcessMatch {
    ProcessMatch { arguments: vec!["server.sh".to_owned(), "-Dhome=/srv/releases".to_owned()] }
}

fn unit(site: &Site, release: &str) -> Unit {
    let folder = path(&format!("/srv/releases/{release}"));
    let mut unit = site.unit(State::Started);
    unit.inputs = [("release", release), ("configuration", release)]
        .map(|(label, of)| (label.to_owned(), of.to_owned()))
        .into();
    unit.process = process();
    unit.script = Some(Script {
        argv: vec!["/bin/sh".to_owned(), format!("{folder}/run.sh")],
        directory: Some(folder.clone()),
        ..Script::default()
    });
    let keeps = vec!["data/db/MAIN*".to_owned(), "index/data".to_owned(), "nothing".to_owned()];
    unit.release = Some(Release { folder, link: path("/srv/current"), keeps, max_bytes: 1 << 20 });
    unit
}

fn revert(to: Option<&str>, unless: Option<Proved>) -> Operation {
    Operation::Revert(Box::new(Revert {
        unit: UnitName::parse("app").unwrap(),
        releases: path("/srv/releases"),
        link: path("/srv/current"),
        to: to.map(str::to_owned),
        unless,
        process: process(),
        stop_timeout_secs: 10,
        ask: true,
    }))
}

/// The service is seen to be healthy.
fn wait(site: &Site) {
    wait_for(site, 0);
}

/// The service is seen to be healthy, and to stay so for a while.
fn wait_for(site: &Site, settle_secs: u64) {
    let service =
        Service { unit: UnitName::parse("app").unwrap(), process: process(), log: None, causes: Vec::new() };
    let wait = Operation::Wait(Box::new(Wait {
        awaited: "it".to_owned(),
        conditions: vec![Condition::Process(process())],
        deadline_secs: 10,
        service: Some(service),
        settle_secs,
        remedy: None,
    }));
    let outcome = converge(&wait, Mode::Apply, &site.system, &mut Orchestrator::default());
    assert_eq!(outcome, Outcome::Ok);
}

fn run(site: &Site, operation: &Operation) -> Outcome {
    converge(operation, Mode::Apply, &site.system, &mut Orchestrator::default())
}

fn text(site: &Site, name: &str) -> String {
    fs::read_to_string(site.real(name)).unwrap()
}

fn current(site: &Site) -> String {
    fs::read_link(site.real("srv/current")).unwrap().display().to_string()
}

fn runs_from(site: &Site) -> Vec<String> {
    let found = crate::operation::unit::supervisor::matcher(&site.system, &process()).find();
    let cwd = |pid: u32| fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
    found.iter().map(|one| cwd(one.pid).file_name().unwrap().to_string_lossy().into_owned()).collect()
}

/// Release 1 has run, was healthy, and made something.
fn grown() -> Site {
    let site = site();
    assert_eq!(site.converge(&unit(&site, "1"), &mut Orchestrator::default()), changed(&["start"]));
    wait(&site);
    fs::write(site.real("srv/releases/1/data/db/MAIN.db"), "grown").unwrap();
    fs::create_dir_all(site.real("srv/releases/1/index/data")).unwrap();
    fs::write(site.real("srv/releases/1/index/data/segment"), "grown").unwrap();
    site
}

#[test]
fn what_a_service_keeps_goes_along_to_the_next_release_and_stays_in_the_former() {
    let site = grown();
    let mut orchestrator = Orchestrator::default();
    let outcome = site.converge(&unit(&site, "2"), &mut orchestrator);
    let items = [
        "release 1 -> 2",
        "restart: configuration, release, start command changed",
        "carried over data/db/MAIN.db, index/data",
    ];
    assert_eq!(outcome, changed(&items));
    assert_eq!(
        orchestrator.asked,
        ["app: restart: release 1 -> 2; configuration, release, start command changed"]
    );
    assert_eq!(text(&site, "srv/releases/2/data/db/MAIN.db"), "grown");
    assert_eq!(text(&site, "srv/releases/2/data/db/OTHER.db"), "shipped with 2");
    assert_eq!(text(&site, "srv/releases/2/index/data/segment"), "grown");
    assert_eq!(text(&site, "srv/releases/1/data/db/MAIN.db"), "grown");
    assert_eq!((current(&site).as_str(), runs_from(&site)), ("/srv/releases/2", vec!["2".to_owned()]));
    assert_eq!(site.converge(&unit(&site, "2"), &mut orchestrator), Outcome::Ok);
}

#[test]
fn release_that_was_up_keeps_its_own_data() {
    for (was_up, expected) in [(true, "of its own"), (false, "grown later")] {
        let site = grown();
        site.converge(&unit(&site, "2"), &mut Orchestrator::default());
        if was_up {
            wait(&site);
        }
        fs::write(site.real("srv/releases/2/data/db/MAIN.db"), "of its own").unwrap();
        site.converge(&unit(&site, "1"), &mut Orchestrator::default());
        assert_eq!(text(&site, "srv/releases/1/data/db/MAIN.db"), "grown", "it was up before");
        fs::write(site.real("srv/releases/1/data/db/MAIN.db"), "grown later").unwrap();
        site.converge(&unit(&site, "2"), &mut Orchestrator::default());
        assert_eq!(text(&site, "srv/releases/2/data/db/MAIN.db"), expected);
    }
}

#[test]
fn an_agent_that_died_before_the_link_was_turned_begins_again() {
    let site = grown();
    let desired = unit(&site, "2");
    let release = desired.release.clone().unwrap();
    crate::operation::unit::release::carry_over(
        &release,
        &site.system,
        &desired.name,
        &mut Orchestrator::default(),
    )
    .unwrap();
    fs::write(site.real("srv/releases/1/data/db/MAIN.db"), "grown since").unwrap();
    site.converge(&Unit { state: State::Stopped, ..desired.clone() }, &mut Orchestrator::default());
    let outcome = site.converge(&desired, &mut Orchestrator::default());
    let items = ["release 1 -> 2", "start", "carried over data/db/MAIN.db, index/data"];
    assert_eq!(outcome, changed(&items));
    assert_eq!(text(&site, "srv/releases/2/data/db/MAIN.db"), "grown since");
}

#[test]
fn a_service_whose_data_cannot_be_carried_over_runs_on_as_it_was() {
    let site = grown();
    let mut desired = unit(&site, "2");
    desired.release.as_mut().unwrap().max_bytes = 4;
    let Outcome::Failed(failure) = site.converge(&desired, &mut Orchestrator::default()) else { panic!() };
    assert!(failure.what.contains("`data/db/MAIN.db` could not be carried over from 1"), "{failure:?}");
    assert!(failure.causes.contains(&"app was started again as it was".to_owned()), "{failure:?}");
    assert_eq!((current(&site).as_str(), runs_from(&site)), ("/srv/releases/1", vec!["1".to_owned()]));
    assert_eq!(site.converge(&unit(&site, "1"), &mut Orchestrator::default()), Outcome::Ok);
}

#[test]
fn back_to_the_former_release_means_with_what_it_was_started_with() {
    let site = grown();
    site.converge(&unit(&site, "2"), &mut Orchestrator::default());
    wait(&site);
    assert_eq!(run(&site, &revert(None, None)), changed(&["release 2 -> 1"]));
    assert_eq!((current(&site).as_str(), runs_from(&site)), ("/srv/releases/1", vec!["1".to_owned()]));
    assert_eq!(
        site.converge(&unit(&site, "1"), &mut Orchestrator::default()),
        Outcome::Ok,
        "its inputs, too"
    );
    // The one that was left was given up: there is nothing before this one.
    let Outcome::Failed(failure) = run(&site, &revert(None, None)) else { panic!() };
    assert!(failure.what.contains("cannot roll back"), "{failure:?}");
    assert!(failure.hint.unwrap().contains("2, 1"));
    // By its name it can be had, and an apply goes forward, too.
    assert_eq!(run(&site, &revert(Some("2"), None)), changed(&["release 1 -> 2"]));
    assert_eq!(run(&site, &revert(Some("2"), None)), Outcome::Ok);
    let Outcome::Failed(failure) = run(&site, &revert(Some("3"), None)) else { panic!() };
    assert!(failure.what.contains("the release does not exist on this host"), "{failure:?}");
}

#[test]
fn a_release_that_is_no_longer_whole_is_nothing_to_go_back_to() {
    let site = grown();
    site.converge(&unit(&site, "2"), &mut Orchestrator::default());
    fs::remove_file(site.real("srv/releases/1/.apim-deploy.json")).unwrap();
    assert!(run(&site, &revert(None, None)).is_failure());
    assert_eq!(runs_from(&site), ["2"]);
}

#[test]
fn what_was_healthy_once_is_not_gone_back_from_by_itself() {
    let site = grown();
    let skipped = |why: &str| Outcome::Skipped(why.to_owned());
    assert_eq!(run(&site, &revert(None, Some(Proved::Up))), skipped("the release was healthy before"));
    site.converge(&unit(&site, "2"), &mut Orchestrator::default());
    assert_eq!(run(&site, &revert(None, Some(Proved::Up))), changed(&["release 2 -> 1"]));

    let fresh = self::site();
    fresh.converge(&unit(&fresh, "1"), &mut Orchestrator::default());
    assert_eq!(run(&fresh, &revert(None, Some(Proved::Up))), skipped("no former release to roll back to"));
}

#[test]
fn what_was_up_and_never_settled_is_gone_back_from_where_that_is_asked_for_and_has_nothing_of_its_own() {
    let site = grown();
    site.converge(&unit(&site, "2"), &mut Orchestrator::default());
    wait(&site);
    let before = Outcome::Skipped("the release was healthy before".to_owned());
    assert_eq!(run(&site, &revert(None, Some(Proved::Up))), before);
    fs::write(site.real("srv/releases/2/data/db/MAIN.db"), "of its own").unwrap();
    assert_eq!(run(&site, &revert(None, Some(Proved::Settled))), changed(&["release 2 -> 1"]));
    fs::write(site.real("srv/releases/1/data/db/MAIN.db"), "grown later").unwrap();
    site.converge(&unit(&site, "2"), &mut Orchestrator::default());
    assert_eq!(text(&site, "srv/releases/2/data/db/MAIN.db"), "grown later");
    // Once it stayed so it has its own, and is not left any more.
    wait_for(&site, 1);
    assert_eq!(run(&site, &revert(None, Some(Proved::Settled))), before);
    fs::write(site.real("srv/releases/2/data/db/MAIN.db"), "of its own").unwrap();
    run(&site, &revert(None, None));
    site.converge(&unit(&site, "2"), &mut Orchestrator::default());
    assert_eq!(text(&site, "srv/releases/2/data/db/MAIN.db"), "of its own");
}
