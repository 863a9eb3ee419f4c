//! A whole cluster that is applied onto an empty server, and comes up on what was made there.

use std::fs;

use apim_tests::cli::Operator;
use apim_tests::distributions::Distributions;
use apim_tests::rehearsal::Rehearsal;
use apim_tests::servers::{DatabaseServer, Kind};
use serde_json::json;

use super::{nothing_leaked, settings};
use crate::changed;

#[test]
fn one_apply_makes_the_databases_and_starts_the_node_on_them() {
    let server = match DatabaseServer::start(Kind::Mariadb) {
        Ok(server) => server,
        Err(why) => {
            eprintln!("SKIPPED: {why}");
            return;
        }
    };
    let nodes = [("am1", "all_in_one", "all-in-one")];
    let mut rehearsal = Rehearsal::up(&nodes, &Distributions::ready()).expect("the process lab comes up");
    settings(&mut rehearsal, &server);
    rehearsal.inventory.set("endpoints", json!({}));
    // The stand-in's driver is MySQL's; the stand-in itself logs in and looks for its tables at its start.
    rehearsal.inventory.set("databases.type", json!("mysql"));
    let host = &rehearsal.lab.hosts()[0];
    let switches = host.root.join("opt/wso2/all-in-one/standin.toml");
    let text = fs::read_to_string(&switches).expect("the switches").replace("\"off\"", "\"tables\"");
    fs::write(&switches, text).expect("the switches");
    let operator = Operator::new();
    let inventory = rehearsal.write();
    let first = operator.run(["apply".as_ref(), inventory.as_os_str()]).ended_with(0);
    nothing_leaked(&first);
    let second = operator.run(["apply".as_ref(), inventory.as_os_str()]).ended_with(0);
    assert_eq!(changed(&second), 0, "{}", second.text());
}
