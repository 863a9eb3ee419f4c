//! Faulty servers in process.
