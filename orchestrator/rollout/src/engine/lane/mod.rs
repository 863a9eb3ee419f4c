//! One host's part of a stage.
//!
//! ```text
//! run         agent steps in one session, local tasks in their order
//! talk        one session: steps sent ahead, replies read
//! state       what is left to do, and what is pending
//! permit      permit requests; upload: content for the host; completion: the end of a step
//! rescue      rescue steps of a failed step
//! ```

mod completion;
mod permit;
pub(super) mod rescue;
mod run;
mod state;
mod talk;
mod upload;

pub(super) use run::run;
pub(super) use state::Pass;
