//! Runs a plan, stage by stage, one worker per host; everything that happens is an event.

pub mod event;
