//! The command line itself.

use clap::CommandFactory as _;

use super::*;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn codes_are_a_promise() {
    let codes = [Kind::Converged, Kind::Failed, Kind::Usage, Kind::Pending, Kind::Bug, Kind::Interrupted];
    assert_eq!(codes.map(Kind::code), [0, 1, 2, 3, 70, 130]);
}

#[test]
fn help_of_apply() {
    let mut command = Cli::command();
    let apply = command.find_subcommand_mut("apply").expect("the verb");
    insta::assert_snapshot!(apply.render_long_help().to_string());
}

#[test]
fn budgets_are_numbers_for_all_or_for_one_role() {
    let parse =
        |text: &str| Cli::try_parse_from(["apim-deploy", "apply", "x.yaml", "--max-unavailable", text]);
    assert!(parse("2").is_ok());
    assert!(parse("gateway=0").is_ok());
    assert!(parse("gateways=1").is_err());
    assert!(parse("many").is_err());
}
