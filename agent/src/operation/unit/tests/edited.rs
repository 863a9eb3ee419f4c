//! Files that were edited: what the service has read of them decides.

use crate::operation::support::dialogue::Report;
use apim_protocol::operation::unit::State;
use apim_protocol::value::AbsPath;
use apim_protocol::value::Content;
use apim_protocol::value::UnitName;
use std::fs;
use std::time::Duration;

use apim_protocol::operation::file::{File, Show};
use apim_protocol::operation::wait::{Condition, Service, Wait};
use apim_protocol::value::{Owner, Sha256};

use super::*;

const CONF: &str = "/srv/app/app.toml";
const OURS: &str = "[server]\nport = 1\n";

fn conf() -> AbsPath {
    AbsPath::parse(CONF).unwrap()
}

/// A service that reads a managed file.
struct Reader {
    site: Site,
    unit: Unit,
    orchestrator: Orchestrator,
}

impl Reader {
    fn new() -> Self {
        let site = Site::living();
        let unit = Unit { watch: vec![conf()], ..site.unit(State::Started) };
        let reader = Self { site, unit, orchestrator: Orchestrator::default() };
        reader.put_right();
        reader
    }

    /// A service that was started by us, and was up.
    fn up() -> Self {
        let mut reader = Self::new();
        reader.start();
        reader.see_it_up();
        assert_eq!(reader.due(), None);
        reader
    }

    fn start(&mut self) {
        let outcome = self.site.converge(&self.unit, &mut self.orchestrator);
        assert!(matches!(outcome, Outcome::Changed(_)), "{outcome:?}");
    }

    /// As its health is awaited.
    fn see_it_up(&self) {
        let log = AbsPath::parse("/srv/app/server.log").unwrap();
        let unit = self.unit.name.clone();
        let wait = Wait {
            awaited: "up".to_owned(),
            conditions: vec![Condition::Logged {
                log: log.clone(),
                pattern: "^up$".to_owned(),
                since_start_of: unit.clone(),
            }],
            deadline_secs: 20,
            service: Some(Service { unit, process: process(), log: Some(log), causes: Vec::new() }),
            settle_secs: 0,
            remedy: None,
        };
        let wait = Operation::Wait(Box::new(wait));
        let outcome = converge(&wait, Mode::Apply, &self.site.system, &mut Orchestrator::default());
        assert_eq!(outcome, Outcome::Ok);
    }

    fn edit(&self, text: &str) {
        fs::write(self.site.real(&CONF[1..]), text).unwrap();
    }

    /// As the step before does.
    fn put_right(&self) {
        let file = File {
            path: conf(),
            content: Content { sha256: Sha256::of(OURS.as_bytes()), size: OURS.len() as u64 },
            mode: None,
            owner: Owner::default(),
            show: Show::Text,
        };
        let text = self.site.real("ours");
        fs::write(&text, OURS).unwrap();
        let mut gives = Gives(text);
        let outcome = converge(&Operation::File(file), Mode::Apply, &self.site.system, &mut gives);
        assert!(!outcome.is_failure(), "{outcome:?}");
    }

    fn due(&self) -> Option<Vec<String>> {
        self.unit.check(&self.site.system).unwrap().difference().map(|difference| difference.statements())
    }

    /// The service crashes, and is started again outside apim-deploy.
    fn comes_back_by_itself(&mut self) {
        for process in self.site.own() {
            std::process::Command::new("kill").args(["-KILL", &process.pid.to_string()]).status().unwrap();
            while process.is_alive() {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        // Two starts in one tick of the kernel's clock could not be distinguished from an edit between them.
        std::thread::sleep(Duration::from_millis(50));
        let folder = self.site.real("srv/app");
        let child = std::process::Command::new("sh")
            .args(["server.sh", &format!("-Dhome={}", folder.display())])
            .current_dir(&folder)
            .spawn()
            .unwrap();
        // It ends with the site.
        drop(child);
        while self.site.own().is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

struct Gives(PathBuf);

impl Dialogue for Gives {
    fn content_arriving(&mut self, _: &Content, _: &Arrival) -> Result<PathBuf, Failure> {
        Ok(self.0.clone())
    }
    fn permit(&mut self, _: &UnitName, _: &str) -> Result<(), Failure> {
        Ok(())
    }
}

impl Report for Gives {
    fn progress(&mut self, _: &str, _: u64, _: u64) {}

    fn entries(&mut self, _: Vec<apim_protocol::observation::LogEntry>, _: bool) {}

    fn is_cancelled(&self) -> bool {
        false
    }
}

fn edited() -> Option<Vec<String>> {
    Some(vec![format!("restart: {CONF} was edited manually")])
}

#[test]
fn what_was_edited_after_it_was_up_was_never_read() {
    let reader = Reader::up();
    for text in ["# only a comment\n", "port = 2\n", ""] {
        reader.edit(text);
        assert_eq!(reader.due(), None, "{text}");
        reader.put_right();
        assert_eq!(reader.due(), None, "{text}");
    }
}

#[test]
fn edit_before_foreign_start_was_read() {
    let mut reader = Reader::up();
    reader.edit("port = 2\n");
    reader.comes_back_by_itself();
    assert_eq!(reader.due(), edited());
    reader.put_right();
    assert_eq!(reader.due(), edited(), "it still runs with what it read");
    reader.start();
    reader.see_it_up();
    assert_eq!(reader.due(), None);
}

#[test]
fn comments_that_were_read_say_nothing() {
    let mut reader = Reader::up();
    reader.edit(&format!("# mine\n{OURS}\n"));
    reader.comes_back_by_itself();
    assert_eq!(reader.due(), None);
    reader.put_right();
    assert_eq!(reader.due(), None);
}

#[test]
fn process_started_after_overwrite_has_read_managed_content() {
    let mut reader = Reader::up();
    reader.edit("port = 2\n");
    reader.put_right();
    reader.comes_back_by_itself();
    assert_eq!(reader.due(), None);
}

#[test]
fn what_was_edited_while_it_came_up_may_have_been_read() {
    let mut reader = Reader::new();
    reader.start();
    reader.edit("port = 2\n");
    reader.see_it_up();
    assert_eq!(reader.due(), edited());
    reader.put_right();
    assert_eq!(reader.due(), edited());
    // And back in time is as good as not at all: it may have been read in between.
    let mut reader = Reader::new();
    reader.start();
    reader.edit("port = 2\n");
    reader.edit(OURS);
    reader.see_it_up();
    reader.edit("port = 3\n");
    assert_eq!(reader.due(), edited());
}

#[test]
fn start_that_was_not_confirmed_proves_nothing() {
    let mut reader = Reader::new();
    reader.start();
    reader.edit("port = 2\n");
    assert_eq!(reader.due(), edited());
    reader.put_right();
    reader.start();
    assert_eq!(reader.due(), None);
}

#[test]
fn a_start_with_an_edited_file_counts_as_one() {
    let mut reader = Reader::new();
    reader.edit("port = 2\n");
    reader.start();
    reader.see_it_up();
    assert_eq!(reader.due(), edited());
}
