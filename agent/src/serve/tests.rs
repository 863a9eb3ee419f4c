//! Conversations with the agent over in-memory pipes.
