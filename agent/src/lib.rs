//! apim-agent: carries out operations on a host and answers queries about it, for one orchestrator at a time. Knows Unix, and no product.
//!
//! The contract with the orchestrator is the crate `apim_protocol`. Here are [`system`] (the only access to the host), [`probe`]
//! (reading running services), the `check` and `apply` of each [`operation`], the answer to each [`query`], and [`serve`].

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]
#![deny(clippy::print_stdout)]

pub mod operation;
pub mod probe;
pub mod query;
pub mod serve;
pub mod system;
