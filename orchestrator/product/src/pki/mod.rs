//! Certificate decisions: which certificates a cluster needs, which must be issued or renewed,
//! which keystores contain them, and what each node trusts. Pure: the caller stores keys and
//! certificates and passes the current time.

mod due;
mod issue;
mod keystores;
mod list;
mod model;
mod required;
#[cfg(test)]
mod tests;
pub mod trust;

pub use due::{Unissued, authority_due, due, is_due, preview};
pub use issue::issue;
pub use keystores::{KeystoreWriter, assign_keystores};
pub use list::{Listed, State, list};
pub use model::{
    AUTHORITY_ALIAS, DueCertificate, DueReason, ExternalTrust, Material, PRIMARY, RequiredCertificate,
    SIGNER_ALIAS, settings, shipped_password,
};
pub use required::{balancer_name, name_of, required};
