//! Settings of the kernel: what they are, whether they can be set from here, and setting them.

use std::{fs, io};

use apim_protocol::value::AbsPath;
use rustix::fs::{Access, access};

use super::error::SystemError;
use super::host::System;

/// A setting is read up to this size.
const LIMIT: u64 = 64 * 1024;

/// What there is of one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// The kernel (or this container) has no such setting.
    Absent,
    /// It has this value, and keeps it: it cannot be set from here.
    Fixed(String),
    /// It has this value, and can be set.
    Free(String),
}

impl System {
    /// Returns the setting `key`, such as `net.core.rmem_max`; blanks in its value are single ones.
    ///
    /// # Errors
    /// When it cannot be read, or is not a setting.
    pub fn kernel_setting(&self, key: &str) -> Result<Setting, SystemError> {
        let path = path(key)?;
        let Some(bytes) = self.read(&path, LIMIT)? else { return Ok(Setting::Absent) };
        let value = neat(&String::from_utf8_lossy(&bytes));
        Ok(match access(self.resolve(&path), Access::WRITE_OK) {
            Ok(()) => Setting::Free(value),
            Err(_) => Setting::Fixed(value),
        })
    }

    /// Sets `key` to `value` until the next boot.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_kernel_setting(&self, key: &str, value: &str) -> Result<(), SystemError> {
        let path = path(key)?;
        let real = self.resolve(&path);
        // No file of a disk: it is written in place, in one go.
        let opened = fs::OpenOptions::new().write(true).open(&real);
        opened
            .and_then(|mut file| io::Write::write_all(&mut file, format!("{value}\n").as_bytes()))
            .map_err(|error| SystemError::io("set", path.as_str(), error))
    }
}

fn path(key: &str) -> Result<AbsPath, SystemError> {
    let is_sound = key.contains('.') && !key.contains('/') && !key.split('.').any(str::is_empty);
    let text = format!("/proc/sys/{}", key.replace('.', "/"));
    AbsPath::parse(&text).ok().filter(|_| is_sound).ok_or_else(|| {
        SystemError::io("find the kernel's setting", key, io::Error::from(io::ErrorKind::InvalidInput))
    })
}

/// Returns `text` with single blanks between its words.
#[must_use]
pub fn neat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
