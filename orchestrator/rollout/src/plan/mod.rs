//! The plan: everything that is to be done, as a value. Pure: building one touches nothing but the named files.

pub mod build;
pub mod hooks;
pub mod model;
pub mod rotation;
pub mod show;

pub use build::{Drafted, Wish, draft};

#[cfg(test)]
mod tests;
