//! `unarchive`, `get_url`.

use std::sync::Arc;

use apim_protocol::operation::Operation;
use apim_protocol::operation::archive::{Archive, Format, Pull, Source};
use apim_protocol::operation::download::Download;
use apim_protocol::value::{Content, Sha256};

use super::files::{destination, read};
use super::options::Options;
use super::site::Site;
use apim_product::Draft;

/// The maximum size of a download or an unpacked archive.
const BYTES: u64 = 8 * 1024 * 1024 * 1024;
/// The maximum number of entries in an archive.
const ENTRIES: u64 = 200_000;

pub(super) fn unarchive(options: &mut Options<'_>, site: &Site<'_>) -> Option<Vec<Draft>> {
    options.only("remote_src", false);
    if options.has("creates") {
        let span = options.span();
        options.wrong(
            &span,
            "`unarchive` does not support `creates`",
            "remove it: an unpacked archive is detected by its digest",
        );
    }
    let (path, span) = options.local("src", "files")?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let format = if name.ends_with(".zip") {
        Format::Zip
    } else if name.ends_with(".tar.gz") || name.ends_with(".tgz") {
        Format::TarGz
    } else {
        options.wrong(&span, format!("unsupported archive `{name}`"), "supported: zip, tar.gz, tgz");
        return None;
    };
    let bytes: Arc<[u8]> = read(&path, &span, options)?.into();
    let destination = options.path(&["dest"]);
    let archive = Archive {
        source: Source::Pushed(Content::of(&bytes)),
        format,
        destination: destination?,
        strip_top: false,
        owner: options.owner(),
        prepare: Vec::new(),
        max_bytes: BYTES,
        max_entries: ENTRIES,
    };
    let mut draft = Draft::new(site.title, Operation::Archive(archive));
    draft.contents.push(bytes);
    Some(vec![draft])
}

pub(super) fn get_url(options: &mut Options<'_>, site: &Site<'_>) -> Option<Vec<Draft>> {
    options.only("backup", false);
    options.only("force", false);
    let span = options.span();
    let url = options.require(&["url"])?;
    if !url.starts_with("http://") && !url.starts_with("https://") {
        options.wrong(&span, format!("invalid URL `{url}`"), "supported protocols: http://, https://");
    }
    let checksum = options.require(&["checksum"])?;
    let Some(Ok(sha256)) = checksum.strip_prefix("sha256:").map(Sha256::parse) else {
        options.wrong(
            &span,
            "`checksum` must be `sha256:` and 64 hex digits",
            "compute it with `sha256sum FILE`",
        );
        return None;
    };
    let name = url.split(['?', '#']).next().unwrap_or("").rsplit('/').next().unwrap_or("").to_owned();
    let path = destination(options, &name);
    let pull = Pull { url, sha256, proxy: None, max_bytes: BYTES };
    let download = Download { pull, path: path?, mode: options.mode(), owner: options.owner() };
    Some(vec![Draft::new(site.title, Operation::Download(download))])
}
