//! The command line, parsed like a JVM and the product's main class: options, `-D` properties, main class,
//! arguments.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::log::console;

/// The parsed command line.
#[derive(Debug, Default)]
pub(crate) struct Launch {
    /// The class that a JVM would run.
    pub(crate) main_class: String,
    /// System properties: those before the main class, then those among its arguments.
    pub(crate) properties: BTreeMap<String, String>,
    /// The arguments that are not properties.
    pub(crate) arguments: Vec<String>,
}

impl Launch {
    /// Reads a command line.
    ///
    /// # Errors
    /// The text that a JVM prints for invalid options.
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Launch, String> {
        let mut launch = Launch::default();
        let mut words = words.peekable();
        let mut heap = [None, None];
        while let Some(word) = words.next() {
            if let Some(property) = word.strip_prefix("-D") {
                let (name, value) = property.split_once('=').unwrap_or((property, "true"));
                launch.properties.insert(name.to_owned(), value.to_owned());
            } else if !launch.main_class.is_empty() {
                launch.arguments.push(word);
            } else if word == "-classpath" || word == "-cp" {
                words.next();
            } else if let Some(size) = word.strip_prefix("-Xms") {
                heap[0] =
                    Some(bytes(size).ok_or_else(|| refused(&format!("Invalid initial heap size: {word}")))?);
            } else if let Some(size) = word.strip_prefix("-Xmx") {
                heap[1] =
                    Some(bytes(size).ok_or_else(|| refused(&format!("Invalid maximum heap size: {word}")))?);
            } else if !word.starts_with('-') {
                launch.main_class = word;
            }
        }
        match heap {
            [Some(initial), Some(maximum)] if initial > maximum => Err(refused(
                "Error occurred during initialization of VM\nInitial heap size set to a larger value than the maximum heap size",
            )),
            _ => Ok(launch),
        }
    }

    /// The home folder as passed by the start script (links are not resolved).
    pub(crate) fn home(&self) -> Option<PathBuf> {
        self.properties.get("carbon.home").map(PathBuf::from)
    }
}

/// The options in `JDK_JAVA_OPTIONS`, which the launcher of JDK 9 and later puts before those of the command
/// line and prints. Split at blanks, except in single or double quotes.
pub(crate) fn options_of_environment() -> Vec<String> {
    let Ok(text) = std::env::var("JDK_JAVA_OPTIONS") else { return Vec::new() };
    console(&format!("NOTE: Picked up JDK_JAVA_OPTIONS: {text}"));
    let mut options = Vec::new();
    let mut option = String::new();
    let mut quote = None;
    for sign in text.chars() {
        match (quote, sign) {
            (Some(open), sign) if sign == open => quote = None,
            (None, '"' | '\'') => quote = Some(sign),
            (None, sign) if sign.is_whitespace() => {
                if !option.is_empty() {
                    options.push(std::mem::take(&mut option));
                }
            }
            (_, sign) => option.push(sign),
        }
    }
    options.extend(Some(option).filter(|option| !option.is_empty()));
    options
}

fn refused(text: &str) -> String {
    format!(
        "{text}\nError: Could not create the Java Virtual Machine.\nError: A fatal exception has occurred. Program will exit."
    )
}

fn bytes(text: &str) -> Option<u64> {
    let (digits, factor) = match text.char_indices().last()? {
        (at, 'k' | 'K') => (&text[..at], 1 << 10),
        (at, 'm' | 'M') => (&text[..at], 1 << 20),
        (at, 'g' | 'G') => (&text[..at], 1 << 30),
        _ => (text, 1),
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}
