//! From the sources to the checked configuration.

use super::Config;
use super::value::Raw;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// What names in the environment begin with.
const PREFIX: &str = "WAYSTATION__";

/// Where values may come from, the weakest first.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The configuration file.
    pub file: Option<PathBuf>,
    /// Variables of the environment; only those that begin with `WAYSTATION__` matter.
    pub environment: Vec<(String, String)>,
    /// `section.key=value`, from the command line, the last one winning.
    pub settings: Vec<String>,
}

impl Sources {
    /// The environment of this process and what the command line said.
    pub fn of_process(file: Option<PathBuf>, settings: Vec<String>) -> Sources {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| name.starts_with(PREFIX))
            .map(|(name, value)| (name, value.to_string_lossy().into_owned()))
            .collect();
        Sources { file, environment, settings }
    }
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// This variable of the environment.
    Environment(String),
    /// `--set`, or an option that stands for it.
    CommandLine,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File(path) => write!(f, "{}", path.display()),
            Source::Environment(name) => write!(f, "environment, {name}"),
            Source::CommandLine => f.write_str("command line"),
        }
    }
}

/// Where each value came from.
#[derive(Debug, Clone, Default)]
pub struct Provenance(BTreeMap<String, Source>);

impl Provenance {
    /// Where the value of `section.key` came from.
    pub fn of(&self, key: &str) -> Source {
        self.0.get(key).cloned().unwrap_or(Source::Default)
    }
}

/// Why there is no configuration. Each is one line.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: std::io::Error,
    },
    /// The file is no TOML.
    #[error("{path}:{line}: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// There is no such key.
    #[error("unknown configuration key {key} ({source_}){}", hint(.suggestion))]
    UnknownKey {
        /// As `section.key`.
        key: String,
        /// Where it came from.
        source_: Source,
        /// The key that was probably meant.
        suggestion: Option<String>,
    },
    /// The value is not allowed.
    #[error("{key} = {value} ({source_}): {expected}")]
    BadValue {
        /// As `section.key`.
        key: String,
        /// The value as its source wrote it.
        value: String,
        /// Where it came from.
        source_: Source,
        /// What would be allowed.
        expected: String,
    },
    /// An argument of `--set` is not of the form `section.key=value`.
    #[error("--set {0}: expected section.key=value")]
    NoAssignment(String),
}

fn hint(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map_or_else(String::new, |key| format!("; did you mean {key}?"))
}

impl Config {
    /// Reads the sources in their order and checks the result.
    ///
    /// # Errors
    /// The first thing that is wrong, in one line.
    pub fn load(sources: &Sources) -> Result<(Config, Provenance), ConfigError> {
        let mut loading = Loading::default();
        if let Some(path) = &sources.file {
            loading.file(path)?;
        }
        for (name, value) in &sources.environment {
            if let Some(key) = name.strip_prefix(PREFIX) {
                let key = key.to_ascii_lowercase().replacen("__", ".", 1);
                loading.set(key, Raw::Text(value.clone()), Source::Environment(name.clone()))?;
            }
        }
        for setting in &sources.settings {
            let Some((key, value)) = setting.split_once('=') else {
                return Err(ConfigError::NoAssignment(setting.clone()));
            };
            loading.set(key.trim().to_owned(), Raw::Text(value.to_owned()), Source::CommandLine)?;
        }
        loading.finish()
    }
}

/// What the sources say, the strongest word on each key. Only what takes effect has to be allowed:
/// a stronger source can mend a weaker one.
#[derive(Default)]
struct Loading {
    said: BTreeMap<String, (Source, Raw)>,
}

impl Loading {
    fn file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|reason| ConfigError::Unreadable { path: path.to_owned(), reason })?;
        let table: toml::Table = toml::from_str(&text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start.min(text.len()));
            ConfigError::Syntax {
                path: path.to_owned(),
                line: text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count() + 1,
                message: error.message().lines().collect::<Vec<_>>().join(", "),
            }
        })?;
        let source = Source::File(path.to_owned());
        for (section, value) in table {
            if !Config::SECTIONS.iter().any(|(name, ..)| *name == section) {
                return Err(unknown(section, source));
            }
            let toml::Value::Table(keys) = value else {
                return Err(ConfigError::BadValue {
                    key: section.clone(),
                    value: value.to_string(),
                    source_: source,
                    expected: format!("expected a section, [{section}]"),
                });
            };
            for (key, value) in keys {
                self.set(format!("{section}.{key}"), Raw::Toml(value), source.clone())?;
            }
        }
        Ok(())
    }

    fn set(&mut self, key: String, raw: Raw, source: Source) -> Result<(), ConfigError> {
        if !Config::keys().any(|(section, known)| key == format!("{section}.{}", known.name)) {
            return Err(unknown(key, source));
        }
        self.said.insert(key, (source, raw));
        Ok(())
    }

    fn finish(self) -> Result<(Config, Provenance), ConfigError> {
        let mut config = Config::default();
        for (key, (source, raw)) in &self.said {
            let (section, name) = key.split_once('.').unwrap_or_default();
            config.set(section, name, raw).map_err(|expected| ConfigError::BadValue {
                key: key.clone(),
                value: raw.shown(),
                source_: source.clone(),
                expected: format!("expected {expected}"),
            })?;
        }
        if let Err(broken) = config.check() {
            let (source_, value) = match self.said.get(broken.key) {
                Some((source, raw)) => (source.clone(), raw.shown()),
                None => {
                    let (section, name) = broken.key.split_once('.').unwrap_or_default();
                    let value = config.get(section, name).map(|value| value.to_string());
                    (Source::Default, value.unwrap_or_default())
                }
            };
            let (key, expected) = (broken.key.to_owned(), broken.reason);
            return Err(ConfigError::BadValue { key, value, source_, expected });
        }
        let sources = self.said.into_iter().map(|(key, (source, _))| (key, source));
        Ok((config, Provenance(sources.collect())))
    }
}

/// The error for a key that does not exist, with the nearest one that does.
fn unknown(key: String, source: Source) -> ConfigError {
    let wanted = key.as_str();
    let sections = Config::SECTIONS.iter().map(|(name, ..)| format!("[{name}]"));
    let keys = Config::keys().map(|(section, key)| format!("{section}.{}", key.name));
    let candidates: Vec<String> =
        if wanted.contains('.') { keys.collect() } else { sections.chain(keys).collect() };
    let last = |text: &str| text.rsplit('.').next().unwrap_or(text).to_owned();
    let score = |candidate: &String| {
        let bare = candidate.trim_matches(['[', ']']);
        // The right key in the wrong section, or without one, is a near miss.
        if bare.contains('.') && last(bare) == last(wanted) { 1 } else { strsim::osa_distance(bare, wanted) }
    };
    let suggestion = candidates
        .iter()
        .map(|candidate| (score(candidate), candidate))
        .min()
        .filter(|(score, _)| *score <= 2 + wanted.len() / 5)
        .map(|(_, candidate)| candidate.clone());
    ConfigError::UnknownKey { key, source_: source, suggestion }
}
