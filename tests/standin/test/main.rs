//! Tests of the stand-in distributions: that they behave as the product is known to. Each node has a loopback address of its
//! own, so that default ports can be used and tests may run at the same time.

mod archive;
mod cluster;
mod faults;
mod node;
mod scripts;
