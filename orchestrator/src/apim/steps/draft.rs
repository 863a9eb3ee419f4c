//! A draft of a step: what a task means for one node, before the plan gives it a number and its bytes a home.

use std::sync::Arc;

use apim_protocol::operation::Operation;
use apim_protocol::operation::archive::{Archive, Source};
use apim_protocol::operation::directory::Directory;
use apim_protocol::operation::file::File;
use apim_protocol::value::{AbsPath, Content, FileMode, Owner, Sha256};

use crate::apim::artifact::ArtifactName;
use crate::apim::files::PlacedFile;
use crate::apim::topology::{Node, NodeName};
use crate::apim::work::Work;

/// One step to be.
#[derive(Debug, Clone)]
pub struct Draft {
    /// For people.
    pub title: String,
    /// The wish.
    pub work: Work,
    /// The node concerned; `None` for the host as a whole.
    pub node: Option<NodeName>,
    /// The pool that leave to take the node down comes from.
    pub budget: Option<String>,
    /// Whether the success of this step shows that the node is healthy.
    pub proves_health: bool,
    /// The bytes that the operation names by digest, where they were made here.
    pub contents: Vec<Arc<[u8]>>,
    /// The artifacts that the operation names by digest.
    pub files: Vec<(Sha256, ArtifactName)>,
    /// What is done for the node once this has failed, where this step follows one that starts it; without bytes of their own.
    pub rescue: Vec<Draft>,
}

impl Draft {
    /// Returns a draft of `work` that concerns no node and needs no bytes.
    pub(crate) fn new(title: impl Into<String>, work: impl Into<Work>) -> Self {
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

    /// Returns the wish that the host's agent sees to, if it is one.
    #[must_use]
    pub const fn operation(&self) -> Option<&Operation> {
        self.work.operation()
    }

    /// Returns a draft that makes a folder.
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

    /// Returns the draft as one that concerns `node`.
    pub(crate) fn of(mut self, node: &Node) -> Self {
        self.node = Some(node.name.clone());
        self
    }

    /// Tells the operation how long the artifact with digest `sha256` is; drafts name artifacts by digest, with size 0.
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
