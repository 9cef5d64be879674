//! `[telemetry]`: logs.

use super::section::section;
use super::value::words;
use super::{Broken, broken};

section! {
    /// Logs. The level is read again on SIGHUP.
    Telemetry "telemetry" {
        /// What is logged: `error`, `warn`, `info`, `debug` or `trace`, also by part, such as
        /// `info,router=debug`.
        level: String = "info".to_owned();
        /// How a line looks.
        format: LogFormat = LogFormat::Text;
        /// Where lines go.
        output: LogOutput = LogOutput::Stderr;
    }
}

words! {
    /// How a log line looks.
    LogFormat { Text = "text", Json = "json" }
}

words! {
    /// Where log lines go.
    LogOutput { Stderr = "stderr", Stdout = "stdout" }
}

impl Telemetry {
    pub(super) fn check(&mut self) -> Result<(), Broken> {
        match tracing_subscriber::EnvFilter::builder().parse(&self.level) {
            Ok(_) if !self.level.trim().is_empty() => Ok(()),
            _ => broken("telemetry.level", "expected error, warn, info, debug or trace"),
        }
    }
}
