//! Logs: structured lines, as text or JSON, at a level that can be changed while running.
//!
//! A line carries node, role, session and stanza id where it has them; never a message's body and
//! never a secret.

use crate::config::telemetry::{LogFormat, LogOutput};
use std::io::IsTerminal;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

/// The installed logs.
pub struct Logs {
    filter: reload::Handle<EnvFilter, Registry>,
}

/// Why logs cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level is not one.
    #[error("telemetry.level = {0}: expected error, warn, info, debug or trace")]
    Level(String),
    /// There is a subscriber already.
    #[error("cannot install the log subscriber: {0}")]
    Install(String),
}

/// Installs the logs of this process. Called once.
///
/// # Errors
/// When the level is not one, or logs are installed already.
pub fn install(level: &str, format: LogFormat, output: LogOutput) -> Result<Logs, TelemetryError> {
    let (filter, handle) = reload::Layer::new(parse(level)?);
    let (writer, terminal) = match output {
        LogOutput::Stderr => (BoxMakeWriter::new(std::io::stderr), std::io::stderr().is_terminal()),
        LogOutput::Stdout => (BoxMakeWriter::new(std::io::stdout), std::io::stdout().is_terminal()),
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(terminal);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init()
        .map_err(|error| TelemetryError::Install(error.to_string()))?;
    Ok(Logs { filter: handle })
}

impl Logs {
    /// Changes the level.
    ///
    /// # Errors
    /// When it is not one; the old one stays.
    pub fn set_level(&self, level: &str) -> Result<(), TelemetryError> {
        let filter = parse(level)?;
        // It fails only when the subscriber is gone, and then nobody logs.
        let _ = self.filter.reload(filter);
        Ok(())
    }
}

fn parse(level: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::builder().parse(level).map_err(|_| TelemetryError::Level(level.to_owned()))
}
