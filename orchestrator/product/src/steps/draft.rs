//! A draft of a step, before the plan assigns its number and stores its content.

use std::sync::Arc;

use apim_protocol::operation::Operation;
use apim_protocol::operation::archive::{Archive, Source};
use apim_protocol::operation::directory::Directory;
use apim_protocol::operation::file::File;
use apim_protocol::value::{AbsPath, Content, FileMode, Owner, Sha256};

use crate::artifact::ArtifactName;
use crate::files::PlacedFile;
use crate::topology::{Node, NodeName};
use crate::work::Work;

/// One step before planning.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The title in output.
    pub title: String,
    /// The desired state, or the local task.
    pub work: Work,
    /// The affected node; `None`: the host as a whole.
    pub node: Option<NodeName>,
    /// The disruption budget that permits taking the node down.
    pub budget: Option<String>,
    /// Whether the success of this step proves that the node is healthy.
    pub proves_health: bool,
    /// Generated content that the operation refers to by digest.
    pub contents: Vec<Arc<[u8]>>,
    /// Artifacts that the operation refers to by digest.
    pub files: Vec<(Sha256, ArtifactName)>,
    /// Steps for the node after this one failed, if this step follows its start; they have no
    /// content of their own.
    pub rescue: Vec<Draft>,
}

impl Draft {
    /// Returns a draft of `work` without a node and without content.
    pub fn new(title: impl Into<String>, work: impl Into<Work>) -> Self {
        Self {
            title: title.into(),
            work: work.into(),
            node: None,
            budget: None,
            proves_health: false,
            contents: Vec::new(),
            files: Vec::new(),
            rescue: Vec::new(),
        }
    }

    /// Returns the operation for the host's agent; `None` for a local task.
    #[must_use]
    pub const fn operation(&self) -> Option<&Operation> {
        self.work.operation()
    }

    /// Returns a draft that creates a folder.
    pub(crate) fn folder(title: impl Into<String>, path: &AbsPath, mode: u32, owner: Owner) -> Self {
        let folder = Directory { path: path.clone(), mode: Some(FileMode::new(mode)), owner };
        Self::new(title, Operation::Directory(folder))
    }

    /// Returns a draft that places a file.
    pub(crate) fn file(title: impl Into<String>, file: PlacedFile) -> Self {
        let operation = Operation::File(File {
            path: file.path,
            content: Content::of(&file.bytes),
            mode: Some(file.mode),
            owner: file.owner,
            show: file.show,
        });
        let mut draft = Self::new(title, operation);
        draft.contents.push(file.bytes);
        draft
    }

    /// Returns the draft with `node` as the affected node.
    pub fn of(mut self, node: &Node) -> Self {
        self.node = Some(node.name.clone());
        self
    }

    /// Sets the size in bytes of the artifact with the digest `sha256`; in new drafts it is 0.
    pub fn set_size(&mut self, sha256: Sha256, size: u64) {
        let content: Option<&mut Content> = match &mut self.work {
            Work::Host(
                Operation::Archive(Archive { source: Source::Pushed(content), .. })
                | Operation::File(File { content, .. }),
            ) => Some(content),
            _ => None,
        };
        if let Some(content) = content.filter(|content| content.sha256 == sha256) {
            content.size = size;
        }
    }
}
