//! What a rendering used and missed, across the variables of all hosts.

use std::cell::RefCell;

use apim_product::yaml::Mistake;

/// Observations of the current rendering, across the variables of all hosts.
#[derive(Default)]
pub(super) struct Observed {
    /// Whether a secret was used.
    pub(super) secret: bool,
    /// The last undefined name, and the known names.
    pub(super) missing: Option<(String, Vec<String>)>,
    /// The first error in a variable that was used.
    pub(super) mistake: Option<Mistake>,
}

thread_local! {
    /// Rendering never changes threads.
    static OBSERVED: RefCell<Observed> = RefCell::default();
}

fn observed<T>(work: impl FnOnce(&mut Observed) -> T) -> T {
    OBSERVED.with_borrow_mut(work)
}

/// Returns the observations and clears them.
pub(super) fn take() -> Observed {
    observed(std::mem::take)
}

/// Records the use of an undefined name, with the known names.
pub(super) fn note_missing(name: &str, known: Vec<String>) {
    observed(|observed| observed.missing = Some((name.to_owned(), known)));
}

/// Records an error in a variable; the first one is kept.
pub(super) fn note_mistake(mistake: Mistake) {
    observed(|observed| {
        observed.mistake.get_or_insert(mistake);
    });
}

/// Records the use of a secret.
pub(super) fn touch_secret() {
    observed(|observed| observed.secret = true);
}

/// Forgets the use of secrets: each part of a value is marked on its own.
pub(super) fn forget_secret() {
    observed(|observed| observed.secret = false);
}

/// Runs `work` and returns whether it used a secret. The use also counts for the outer
/// rendering.
pub(super) fn watch<T>(work: impl FnOnce() -> T) -> (T, bool) {
    let before = observed(|observed| {
        observed.missing = None;
        std::mem::replace(&mut observed.secret, false)
    });
    let result = work();
    let touched = observed(|observed| {
        let touched = observed.secret;
        observed.secret |= before;
        touched
    });
    (result, touched)
}
