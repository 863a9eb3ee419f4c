//! All product knowledge; pure: no I/O, no async, no clock.
