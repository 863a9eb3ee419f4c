//! Tests of the command line definition.

use clap::CommandFactory as _;

use super::*;

#[test]
fn command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn exit_codes_are_stable() {
    let codes = [
        Kind::Converged,
        Kind::Failed,
        Kind::Usage,
        Kind::Pending,
        Kind::PlanStale,
        Kind::Bug,
        Kind::Interrupted,
    ];
    assert_eq!(codes.map(Kind::code), [0, 1, 2, 3, 4, 70, 130]);
}

#[test]
fn help_of_apply() {
    let mut command = Cli::command();
    let apply = command.find_subcommand_mut("apply").expect("the verb");
    insta::assert_snapshot!(apply.render_long_help().to_string());
}

#[test]
fn inventory_limit_requires_list() {
    let parse = |what: &[&str]| {
        let words = ["apim-deploy", "inventory", "x.yaml", "--limit", "gateway"];
        Cli::try_parse_from(words.iter().chain(what)).is_ok()
    };
    assert!(parse(&["--list"]));
    assert!(!parse(&["--graph"]));
    assert!(!parse(&["--host", "gw1"]));
}

#[test]
fn forks_below_one_are_rejected() {
    let error = Cli::try_parse_from(["apim-deploy", "apply", "x.yaml", "-f", "-1"])
        .expect_err("not a positive number");
    assert!(error.to_string().contains("--forks"), "{error}");
}

#[test]
fn render_rejects_a_file_as_output_folder() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let cli = Cli::try_parse_from([
        "apim-deploy".as_ref(),
        "render".as_ref(),
        "x.yaml".as_ref(),
        "--out".as_ref(),
        file.path().as_os_str(),
    ]);
    let Ok(Cli { verb: Verb::Render(args) }) = cli else { panic!("not parsed") };
    let said = format!("{:?}", Box::new(args).run().expect_err("it is a file"));
    assert!(said.contains("is a file; `--out` needs a folder") && said.contains("Usage"), "{said}");
}

#[test]
fn budgets_apply_to_all_roles_or_one() {
    let parse =
        |text: &str| Cli::try_parse_from(["apim-deploy", "apply", "x.yaml", "--max-unavailable", text]);
    assert!(parse("2").is_ok());
    assert!(parse("gateway=0").is_ok());
    assert!(parse("gateways=1").is_err());
    assert!(parse("many").is_err());
}
