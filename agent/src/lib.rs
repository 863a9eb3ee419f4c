//! apim-agent: the contract between orchestrator and host, and the executor behind it. Knows Unix, and no product.
//!
//! Contract: [`value`], [`outcome`], [`facts`], [`operation`] (the data), [`protocol`].
//! Executor: [`system`] (the one door to the host), [`probe`] (looking at running services), [`mask`], [`serve`], and the `check`/`apply` of each operation.

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]
#![deny(clippy::print_stdout)]

pub mod chain;
pub mod facts;
pub mod mask;
pub mod observation;
pub mod operation;
pub mod outcome;
pub mod probe;
pub mod protocol;
pub mod serve;
pub mod system;
pub mod value;
