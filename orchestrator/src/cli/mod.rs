//! The command line: one file per verb. `pipeline` is shared by the verbs that run a plan; `exit`
//! maps results to exit codes and messages.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod apply;
mod audit;
mod bound;
mod certs;
mod confirm;
mod connect;
mod databases;
mod diff;
mod exec;
mod exit;
mod facts;
mod graph;
mod guard;
mod history;
mod init;
mod installed;
mod inventory;
mod issuing;
mod journals;
mod logs;
mod looking;
mod merge;
mod moment;
mod moves;
mod options;
mod outage;
mod pipeline;
mod pki;
mod placed;
mod plan;
mod preflight;
mod probe;
mod read;
mod record;
mod remove;
mod render;
mod restart;
mod rollback;
mod serving;
mod standing;
mod status;
mod target;
mod upgrade;
mod validate;

pub use exit::{Exit, Kind};

/// Deploy and operate WSO2 API Manager 4.5+ clusters over SSH.
#[derive(Debug, Parser)]
#[command(name = "apim-deploy", version, max_term_width = 110, infer_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Apply the inventory; idempotent
    Apply(apply::Args),
    /// Show what apply would change on each host; changes nothing
    Plan(plan::Args),
    /// Upgrade nodes one at a time
    Upgrade(upgrade::Args),
    /// Roll nodes back to their previous release and its configuration
    Rollback(rollback::Args),
    /// Check inventory and playbook; contacts no host
    Validate(validate::Args),
    /// Check host prerequisites
    Preflight(preflight::Args),
    /// Audit production readiness
    Audit(audit::Args),
    /// Remove a host from the cluster and uninstall its nodes
    Remove(remove::Args),
    /// Write the files that apply would deploy to a local folder
    Render(render::Args),
    /// Show hosts, groups and variables in the format of ansible-inventory
    Inventory(inventory::Args),
    /// Show the status of each node: release, unit, health, drift
    Status(status::Args),
    /// Restart nodes, one node of a role at a time
    Restart(restart::Restart),
    /// Stop nodes; stopping all nodes of a role requires --allow-outage
    Stop(restart::Args),
    /// Start stopped nodes in dependency order
    Start(restart::Args),
    /// Compare the files on the hosts with the files that apply would write
    Diff(diff::Args),
    /// Show host facts: system, memory, disks, JDKs, clock, addresses, releases
    Facts(facts::Args),
    /// Show merged node logs; --follow to stream
    Logs(logs::Args),
    /// Run a command on hosts; identical output is grouped
    Exec(exec::Args),
    /// Show the runs started from this machine; verify their records
    History(history::Args),
    /// Take nodes out of rotation until `undrain` or the next apply
    Drain(restart::Shift),
    /// Put nodes back in rotation
    Undrain(restart::Shift),
    /// Draw the topology: hosts, nodes, ports and connections
    Graph(graph::Args),
    /// Create an inventory, interactively or from flags
    Init(init::Args),
    /// List certificates and expiry; --issue creates missing ones
    Certs(certs::Args),
    /// Show database status; --print-sql prints the setup statements
    Databases(databases::Args),
}

impl Verb {
    /// Returns whether the output format is JSON.
    fn is_json(&self) -> bool {
        let output = match self {
            Self::Apply(args) => args.shown.output,
            Self::Plan(args) => args.shown.output,
            Self::Upgrade(args) => args.shown.output,
            Self::Rollback(args) => args.shown.output,
            Self::Remove(args) => args.shown.output,
            Self::Validate(args) => args.shown.output,
            Self::Status(args) => args.shown.output,
            Self::Restart(restart) => restart.args.shown.output,
            Self::Stop(args) | Self::Start(args) => args.shown.output,
            Self::Diff(args) => args.shown.output,
            Self::Facts(args) => args.shown.output,
            Self::Exec(args) => args.shown.output,
            Self::Drain(args) | Self::Undrain(args) => args.shown.output,
            Self::Logs(args) => args.shown.output,
            Self::Preflight(args) => args.shown.output,
            Self::Audit(args) => args.shown.output,
            Self::Certs(args) => args.shown.output,
            Self::Databases(args) => args.shown.output,
            Self::History(args) => args.output(),
            Self::Render(args) => args.output,
            Self::Inventory(args) => args.output,
            Self::Graph(_) | Self::Init(_) => return false,
        };
        output == options::Output::Json
    }
}

/// Parses the command line, runs the verb and returns the exit code.
#[must_use]
pub fn main() -> ExitCode {
    exit::catch_bugs();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::usage(&error),
    };
    let json = cli.verb.is_json();
    let ended = match cli.verb {
        Verb::Apply(args) => apply::run(args),
        Verb::Plan(args) => plan::run(args),
        Verb::Upgrade(args) => upgrade::run(args),
        Verb::Rollback(args) => rollback::run(args),
        Verb::Remove(args) => remove::run(args),
        Verb::Validate(args) => validate::run(&args),
        Verb::Render(args) => render::run(&args),
        Verb::Inventory(args) => inventory::run(&args),
        Verb::Status(args) => status::run(args),
        Verb::Diff(args) => diff::run(args),
        Verb::Facts(args) => facts::run(&args),
        Verb::Exec(args) => exec::run(&args),
        Verb::History(args) => history::run(&args),
        Verb::Logs(args) => logs::run(&args),
        Verb::Graph(args) => graph::run(&args),
        Verb::Init(args) => init::run(&args),
        Verb::Restart(args) => restart::restart(args),
        Verb::Stop(args) => restart::stop(args),
        Verb::Drain(args) => restart::drain(args),
        Verb::Undrain(args) => restart::undrain(args),
        Verb::Start(args) => restart::start(args),
        Verb::Preflight(args) => preflight::run(args),
        Verb::Audit(args) => audit::run(args),
        Verb::Certs(args) => certs::run(&args),
        Verb::Databases(args) => databases::run(args),
    };
    exit::code(ended, json)
}

#[cfg(test)]
mod tests;
