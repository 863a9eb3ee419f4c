//! A node on an empty database server: one apply creates the databases and starts the node.

use std::fs;

use apim_tests::cli::Operator;
use apim_tests::distributions::Distributions;
use apim_tests::rehearsal::Rehearsal;
use apim_tests::servers::{DatabaseServer, Kind};
use apim_tests::skip::skip;
use serde_json::json;

use super::{assert_no_leak, settings};
use crate::{JSON, assert_nothing_changed};

#[test]
fn one_apply_creates_databases_and_starts_node() {
    let server = match DatabaseServer::start(Kind::Mariadb) {
        Ok(server) => server,
        Err(why) => return skip(&why),
    };
    let nodes = [("am1", "all_in_one", "all-in-one")];
    let mut rehearsal = Rehearsal::up(&nodes, &Distributions::ready()).expect("the process lab comes up");
    settings(&mut rehearsal, &server);
    rehearsal.inventory.set("endpoints", json!({}));
    // The stand-in has MySQL's driver, logs in at its start and checks its tables.
    rehearsal.inventory.set("databases.type", json!("mysql"));
    let host = &rehearsal.lab.hosts()[0];
    let switches = host.root.join("opt/wso2/all-in-one/standin.toml");
    let text = fs::read_to_string(&switches).expect("the switches").replace("\"off\"", "\"tables\"");
    fs::write(&switches, text).expect("the switches");
    let operator = Operator::new();
    let inventory = rehearsal.write();
    let first = operator.run(["apply".as_ref(), inventory.as_os_str()]).ended_with(0);
    assert_no_leak(&first);
    let again = ["apply".as_ref(), inventory.as_os_str()].into_iter().chain(JSON.map(AsRef::as_ref));
    assert_nothing_changed(operator.run(again));
}
