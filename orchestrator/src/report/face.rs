//! The interface of the renderers of run events.

use apim_rollout::engine::event::Event;

/// A renderer of run events.
pub(super) trait Face: Send {
    fn event(&mut self, event: &Event);
    fn end(&mut self) {}
}
