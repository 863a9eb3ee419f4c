//! The command line: one file per verb, `pipeline` is the plot of those that run a plan, `exit` says how it ends.

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

/// Takes WSO2 API Manager 4.5+ from an inventory to a healthy cluster, and keeps it so.
#[derive(Debug, Parser)]
#[command(name = "apim-deploy", version, max_term_width = 110, infer_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Bring the hosts to what inventory and playbook say; a second time changes nothing
    Apply(apply::Args),
    /// Show what apply would change on each host, without changing anything
    Plan(plan::Args),
    /// Roll another version or zip of the product out, node by node; says first what goes where and what the databases need
    Upgrade(upgrade::Args),
    /// Bring nodes back to the release before the present one, with the configuration that it had
    Rollback(rollback::Args),
    /// Check inventory and playbook without contacting any host
    Validate(validate::Args),
    /// Look whether the hosts can take what apply would bring, and say what to do where they cannot
    Preflight(preflight::Args),
    /// Go through the checklist for production: what holds, with the evidence
    Audit(audit::Args),
    /// Take a host out of the cluster, with everything that was installed on it
    Remove(remove::Args),
    /// Write every file that apply would place, into a folder of this machine
    Render(render::Args),
    /// Show hosts, groups and variables as ansible-inventory does
    Inventory(inventory::Args),
    /// Show how every node is: release, unit, health, drift
    Status(status::Args),
    /// Restart nodes, one of a role after the other
    Restart(restart::Restart),
    /// Stop nodes; all nodes of a role only with --allow-outage
    Stop(restart::Args),
    /// Start nodes that are down, in order
    Start(restart::Args),
    /// Show the files on the hosts against those that apply would write
    Diff(diff::Args),
    /// Show what hosts are like: system, memory, disks, JDKs, clock, addresses, releases
    Facts(facts::Args),
    /// Show the logs of nodes in one order, and what is added to them
    Logs(logs::Args),
    /// Run a command on hosts at once; the same answers are told once
    Exec(exec::Args),
    /// Show what was done from this machine: every run that changed something, and whether the records are whole
    History(history::Args),
    /// Take nodes out of the load balancers, until `undrain` or the next apply
    Drain(restart::Shift),
    /// Put nodes back into the load balancers
    Undrain(restart::Shift),
    /// Draw the topology: hosts, nodes, ports, who connects to whom
    Graph(graph::Args),
    /// Write a first inventory, from a few answers or flags
    Init(init::Args),
    /// List every certificate of the cluster with its end; issue what is missing
    Certs(certs::Args),
    /// Show how the databases stand from every host, or print what their administrator runs
    Databases(databases::Args),
}

impl Verb {
    /// Says whether programs read what is said.
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

/// Runs the program.
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
