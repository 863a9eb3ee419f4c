//! Writes reproducible archives: fixed times, sorted entries, one compression.

use std::fs::File;
use std::io::{self, BufWriter, Cursor, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use super::tree::Entry;

/// The path of the server program in a distribution.
const SERVER: &str = "lib/stand-in/java";

/// The size of a padding file, in bytes.
const PAD: u64 = 4 << 20;

/// The server program, compressed once for all zips.
pub(super) struct Shared {
    zip: Vec<u8>,
}

impl Shared {
    /// Compresses the program.
    pub(super) fn new(program: Vec<u8>) -> io::Result<Shared> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.start_file(SERVER, options(0o755))?;
        writer.write_all(&program)?;
        Ok(Shared { zip: writer.finish()?.into_inner() })
    }
}

fn options(mode: u32) -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(1))
        .last_modified_time(DateTime::default())
        .unix_permissions(mode)
}

/// Writes a distribution: `entries` and the server program below `top`, padded up to `size` bytes.
pub(super) fn write_zip(
    path: &Path,
    top: &str,
    entries: &[Entry],
    server: &Shared,
    size: Option<u64>,
) -> io::Result<()> {
    let mut zip = ZipWriter::new(BufWriter::new(File::create(path)?));
    zip.add_directory(top, options(0o755))?;
    for entry in entries {
        let name = format!("{top}/{}", entry.path);
        if entry.path.ends_with('/') {
            zip.add_directory(name, options(entry.mode))?;
        } else {
            zip.start_file(name, options(entry.mode))?;
            zip.write_all(&entry.content)?;
        }
    }
    let mut shared = ZipArchive::new(Cursor::new(&server.zip))?;
    zip.raw_copy_file_rename(shared.by_index(0)?, format!("{top}/{SERVER}"))?;
    zip.flush()?;
    let left = size.unwrap_or(0).saturating_sub(std::fs::metadata(path)?.len());
    pad(&mut zip, top, left)?;
    zip.finish()?.flush()
}

/// Adds `left` bytes in files that look like bundles and do not compress.
fn pad<W: Write + io::Seek>(zip: &mut ZipWriter<W>, top: &str, left: u64) -> io::Result<()> {
    let stored = options(0o644).compression_method(CompressionMethod::Stored).compression_level(None);
    for number in 0..left.div_ceil(PAD) {
        let length = PAD.min(left - number * PAD) as usize;
        zip.start_file(format!("{top}/repository/components/plugins/padding_{number:04}.jar"), stored)?;
        zip.write_all(&noise(number, length))?;
    }
    Ok(())
}

/// Returns pseudorandom bytes, equal for equal seeds.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let start: [u8; 32] = Sha256::digest(seed.to_le_bytes()).into();
    let mut state = u64::from_le_bytes(start[..8].try_into().unwrap_or_default()) | 1;
    let mut out = Vec::with_capacity(length + 8);
    while out.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(length);
    out
}

/// A small jar with these entries.
pub(super) fn jar(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        let written = zip
            .start_file(*name, options(0o644))
            .map_err(io::Error::from)
            .and_then(|()| zip.write_all(content));
        written.expect("a zip in memory takes any small entry");
    }
    zip.finish().expect("a zip in memory can be finished").into_inner()
}
