//! apim-deploy: from an inventory to a healthy cluster. The program: verbs, use cases, reports.

pub mod cli;
pub mod history;
pub mod report;
