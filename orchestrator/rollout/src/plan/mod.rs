//! The plan: all work of a run as a value. Building one is pure and reads only the named files.

pub mod build;
pub mod hooks;
pub mod model;
pub mod rotation;
pub mod show;

pub use build::{Drafted, Wish, draft};

#[cfg(test)]
mod tests;
