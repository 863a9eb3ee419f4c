//! apim-deploy: from an inventory to a healthy cluster. The program: verbs, use cases, reports.
//!
//! ```text
//! main > cli > app > report
//! ```

mod app;
pub mod cli;
pub mod report;
