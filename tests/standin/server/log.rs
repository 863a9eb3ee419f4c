//! The log in both forms of the product: `wso2carbon.log` and the console.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;

/// Line severities.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Level {
    Info,
    Warn,
    Error,
    Fatal,
}

impl Level {
    fn text(self) -> &'static str {
        match self {
            Level::Info => " INFO",
            Level::Warn => " WARN",
            Level::Error => "ERROR",
            Level::Fatal => "FATAL",
        }
    }
}

/// The open log file.
#[derive(Debug)]
pub(crate) struct Log {
    file: Mutex<Option<File>>,
}

impl Log {
    /// Opens `repository/logs/wso2carbon.log` for appending. If that fails, lines are written only to the
    /// console, as in the product.
    pub(crate) fn open(home: &Path) -> Log {
        let folder = home.join("repository/logs");
        let open = |name: &str| OpenOptions::new().create(true).append(true).open(folder.join(name));
        let file = std::fs::create_dir_all(&folder).and_then(|()| {
            for name in ["audit.log", "wso2-apigw-errors.log", "http_access_.log"] {
                open(name)?;
            }
            open("wso2carbon.log")
        });
        if let Err(error) = &file {
            console(&format!(
                "main ERROR Unable to create file {}/wso2carbon.log: {error}",
                folder.display()
            ));
        }
        Log { file: Mutex::new(file.ok()) }
    }

    /// Writes a line of `logger`, a full class name.
    pub(crate) fn line(&self, level: Level, logger: &str, text: &str) {
        let time = now();
        let level = level.text();
        self.append(&format!("TID: [-1234] [] [{time}] {level} {{{logger}}} - {text}\n"));
        console(&format!("[{time}] {level} - {} {text}", logger.rsplit('.').next().unwrap_or(logger)));
    }

    pub(crate) fn info(&self, logger: &str, text: &str) {
        self.line(Level::Info, logger, text);
    }

    pub(crate) fn warn(&self, logger: &str, text: &str) {
        self.line(Level::Warn, logger, text);
    }

    pub(crate) fn error(&self, logger: &str, text: &str) {
        self.line(Level::Error, logger, text);
    }

    /// Writes the lines of a stack trace.
    pub(crate) fn trace(&self, lines: &[&str]) {
        for line in lines {
            self.append(&format!("{line}\n"));
            console(line);
        }
    }

    fn append(&self, text: &str) {
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(file) = file.as_mut()
            && let Err(error) = file.write_all(text.as_bytes())
        {
            console(&format!("main ERROR Unable to write wso2carbon.log: {error}"));
        }
    }
}

/// Prints a line. Errors are ignored.
pub(crate) fn console(text: &str) {
    drop(writeln!(io::stdout(), "{text}"));
}

/// The time in the format of the product's logs.
pub(crate) fn now() -> String {
    jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S,%3f").to_string()
}
