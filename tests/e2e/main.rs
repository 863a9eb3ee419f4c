//! End-to-end tests: the real `apim-deploy`, the real agent, real SSH.
//!
//! `machine` needs root on Linux and says so where it cannot run; `process` runs anywhere.

#![expect(clippy::print_stderr, reason = "a skipped test says why")]

mod machine;
