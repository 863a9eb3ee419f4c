//! Content for hosts: whole, in parts, and outlines of it. A host gets nothing that is meant for another one.

use std::path::PathBuf;
use std::sync::Arc;

use apim_protocol::message::{Request, StepId};
use apim_protocol::operation::archive::part::{self, Part};
use apim_protocol::value::{Content, Sha256};

use super::Lane;
use crate::engine::wire::{Upload, Wire};
use crate::plan::model::ContentSource;

impl Lane<'_> {
    /// Sends content of the step, or an outline of it.
    pub(super) fn give(&self, wire: &mut Wire, step: StepId, content: Content, offset: u64) {
        let source = match self.contents(step).find(|known| *known == content) {
            Some(_) => self.shared.plan.contents.sources.get(&content.sha256).cloned(),
            None => self.outline_of(step, &content).map(ContentSource::File),
        };
        match source.filter(|_| offset <= content.size) {
            Some(source) => wire.give(step, Upload { content, source, parts: Vec::new(), offset }),
            None => refuse(wire, content.sha256, "the step that asks for it has no such content"),
        }
    }

    /// Sends parts of content of the step.
    pub(super) fn give_parts(
        &self,
        wire: &mut Wire,
        step: StepId,
        content: Content,
        wanted: (Vec<Part>, u64),
    ) {
        let (parts, offset) = wanted;
        let is_sound = part::total(&parts, content.size).is_some_and(|total| offset <= total);
        match self.file_of(step, content.sha256) {
            Some((known, path)) if is_sound && known == content => {
                wire.give(step, Upload { content, source: ContentSource::File(path), parts, offset });
            }
            _ => refuse(
                wire,
                content.sha256,
                "the step that asks for parts of it has no content with such parts",
            ),
        }
    }

    /// Says what outline there is of content of the step, once it is made.
    pub(super) fn give_outline(&self, wire: &Wire, step: StepId, sha256: Sha256) {
        let Some((_, zip)) = self.file_of(step, sha256) else {
            wire.send(Request::Outline { sha256, outline: None });
            return;
        };
        let outlines = Arc::clone(&self.shared.outlines);
        wire.send_later(async move { Request::Outline { sha256, outline: outlines.of(sha256, zip).await } });
    }

    fn contents(&self, step: StepId) -> impl Iterator<Item = Content> {
        self.left.iter().filter(move |known| known.id == step).flat_map(|known| known.contents())
    }

    /// Returns the file behind content of the step.
    fn file_of(&self, step: StepId, sha256: Sha256) -> Option<(Content, PathBuf)> {
        let content = self.contents(step).find(|known| known.sha256 == sha256)?;
        match self.shared.plan.contents.sources.get(&sha256)? {
            ContentSource::File(path) => Some((content, path.clone())),
            ContentSource::Bytes(_) => None,
        }
    }

    /// Returns where the outline is that was made of content of the step.
    fn outline_of(&self, step: StepId, outline: &Content) -> Option<PathBuf> {
        self.contents(step).find_map(|zip| self.shared.outlines.find(&zip.sha256, outline))
    }
}

fn refuse(wire: &Wire, sha256: Sha256, why: &str) {
    wire.send(Request::NoContent { sha256, why: why.to_owned() });
}
