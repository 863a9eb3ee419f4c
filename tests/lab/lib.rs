//! The lab: hosts to deploy to that need nothing but this machine, and what end-to-end tests use to drive the real programs.
//!
//! `machine` boots real systemd hosts with OpenSSH (root on Linux). The product is never imported to judge the product.

pub mod machine;
