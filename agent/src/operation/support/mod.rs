//! Helpers that several operations share.

pub mod arrival;
pub(crate) mod attributes;
pub mod dialogue;
pub(crate) mod diff;
pub(crate) mod edited;
pub(crate) mod pull;
pub(crate) mod text;
pub(crate) mod version;
