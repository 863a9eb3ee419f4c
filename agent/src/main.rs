//! The agent's entry: stdio in, `serve` out.
fn main() {}
