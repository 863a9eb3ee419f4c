//! Stand-ins while the operations are being built; each line goes when its operation's own file has it.

use crate::operation::{Converge, Dialogue};
use crate::outcome::{Difference, Failure, Outcome};
use crate::system::System;

macro_rules! pending {
    ($($t:ty),*) => { $(
        impl Converge for $t {
            fn check(&self, _: &System) -> Result<Option<Difference>, Failure> { Err(Failure::new("not built")) }
            fn apply(&self, _: &System, _: &mut dyn Dialogue, _: &Difference) -> Result<Outcome, Failure> { Err(Failure::new("not built")) }
        }
    )* };
}
pending!(super::wait::Wait, super::inspect::Inspect);

impl super::inspect::Inspect {
    pub(crate) fn observe(&self, _: &System) -> super::inspect::Observation {
        super::inspect::Observation::default()
    }
}
