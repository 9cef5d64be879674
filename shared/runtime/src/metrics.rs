//! The catalogue: every metric of every role is declared here, once, with its meaning. Names are
//! `waystation_<role>_<noun>_<unit>`; counters end in `_total`.
//!
//! A [`Metric`] is a cached handle: `metrics::GATEWAY_STANZAS_IN_TOTAL.increment(1)` costs one
//! atomic addition. Used before [`install`], it counts nothing, for good: install first.

use ::metrics::{Counter, Gauge, Histogram, Label};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use parking_lot::Mutex;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::Lifecycle;

/// How often collected samples are folded into their histograms.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Bounds of histograms of times, in seconds.
const SECONDS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

/// What a metric is declared as.
#[derive(Debug, Clone, Copy)]
pub struct Declared {
    /// Its name, the same for all values of its label.
    pub name: &'static str,
    /// Its label, where it has one.
    pub label: Option<(&'static str, &'static str)>,
    /// What it tells.
    pub help: &'static str,
    /// What it is.
    pub kind: Kind,
}

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts samples below each of these bounds.
    Histogram(&'static [f64]),
}

/// A declared metric and its handle, made at the first use.
pub struct Metric<T> {
    declared: Declared,
    handle: OnceLock<T>,
    register: fn(&Declared) -> T,
}

impl<T> Deref for Metric<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.handle.get_or_init(|| (self.register)(&self.declared))
    }
}

/// The labels of a metric, as the façade wants them.
fn labels(declared: &Declared) -> Vec<Label> {
    declared.label.iter().map(|(name, value)| Label::from_static_parts(name, value)).collect()
}

macro_rules! catalogue {
    ($($kind:ident $id:ident = $name:literal $({ $label:ident = $value:literal })? $([$buckets:ident])?, $help:literal;)+) => {
        $(
            #[doc = $help]
            pub static $id: Metric<catalogue!(@type $kind)> = Metric {
                declared: Declared {
                    name: $name,
                    label: catalogue!(@label $($label $value)?),
                    help: $help,
                    kind: catalogue!(@kind $kind $($buckets)?),
                },
                handle: OnceLock::new(),
                register: |declared| catalogue!(@register $kind declared),
            };
        )+

        /// Every metric there is, but those that have one value per certificate.
        pub fn catalogue() -> Vec<Declared> {
            vec![$($id.declared),+]
        }

        /// Makes every handle, so that what has not happened yet reads 0.
        fn touch() {
            $(let _ = &*$id;)+
        }
    };
    (@type counter) => { Counter };
    (@type gauge) => { Gauge };
    (@type histogram) => { Histogram };
    (@kind counter) => { Kind::Counter };
    (@kind gauge) => { Kind::Gauge };
    (@kind histogram $buckets:ident) => { Kind::Histogram($buckets) };
    (@label) => { None };
    (@label $label:ident $value:literal) => { Some((stringify!($label), $value)) };
    (@register counter $declared:ident) => { ::metrics::counter!($declared.name, labels($declared)) };
    (@register gauge $declared:ident) => { ::metrics::gauge!($declared.name, labels($declared)) };
    (@register histogram $declared:ident) => { ::metrics::histogram!($declared.name, labels($declared)) };
}

catalogue! {
    counter GATEWAY_CONNECTIONS_TOTAL = "waystation_gateway_connections_total",
        "Connections accepted.";
    counter GATEWAY_CONNECTIONS_REFUSED_TOTAL = "waystation_gateway_connections_refused_total",
        "Connections refused because their address had its share.";
    counter GATEWAY_ACCEPT_ERRORS_TOTAL = "waystation_gateway_accept_errors_total",
        "Times that no connection could be accepted, such as for want of file descriptors.";
    gauge GATEWAY_CONNECTIONS = "waystation_gateway_connections",
        "Open client connections.";
    gauge GATEWAY_CONNECTIONS_UNAUTHENTICATED = "waystation_gateway_connections_unauthenticated",
        "Open client connections that have not logged in.";
    counter GATEWAY_TLS_HANDSHAKES_TOTAL = "waystation_gateway_tls_handshakes_total",
        "TLS handshakes completed.";
    counter GATEWAY_TLS_FAILURES_TOTAL = "waystation_gateway_tls_failures_total",
        "TLS handshakes that failed.";
    counter GATEWAY_STREAM_ERRORS_TOTAL = "waystation_gateway_stream_errors_total",
        "Streams ended by this server with an error.";
    counter GATEWAY_STANZAS_IN_TOTAL = "waystation_gateway_stanzas_in_total",
        "Stanzas received from clients.";
    counter GATEWAY_STANZAS_OUT_TOTAL = "waystation_gateway_stanzas_out_total",
        "Stanzas written to clients.";
    counter GATEWAY_IN_BYTES_TOTAL = "waystation_gateway_in_bytes_total",
        "Bytes received from clients, without TLS.";
    counter GATEWAY_OUT_BYTES_TOTAL = "waystation_gateway_out_bytes_total",
        "Bytes written to clients, without TLS.";
    counter GATEWAY_WINDOW_STALLS_TOTAL = "waystation_gateway_window_stalls_total",
        "Times that a socket was not read because its session's window was full.";
    counter GATEWAY_OVERFLOWS_TOTAL = "waystation_gateway_overflows_total",
        "Connections closed because their client read too slowly.";
    counter GATEWAY_DEAD_PEERS_TOTAL = "waystation_gateway_dead_peers_total",
        "Connections closed because their client was silent or took no bytes.";

    gauge ROUTER_SESSIONS = "waystation_router_sessions",
        "Bound sessions, those waiting for resumption among them.";
    counter ROUTER_BINDS_TOTAL = "waystation_router_binds_total",
        "Sessions bound.";
    counter ROUTER_RESUMPTIONS_TOTAL = "waystation_router_resumptions_total" { outcome = "resumed" },
        "Attempts to resume a session.";
    counter ROUTER_RESUMPTIONS_REFUSED_TOTAL = "waystation_router_resumptions_total" { outcome = "refused" },
        "Attempts to resume a session.";
    counter ROUTER_LOGINS_TOTAL = "waystation_router_logins_total" { outcome = "success" },
        "SASL exchanges by outcome.";
    counter ROUTER_LOGINS_FAILED_TOTAL = "waystation_router_logins_total" { outcome = "failure" },
        "SASL exchanges by outcome.";
    counter ROUTER_LOGINS_PUT_OFF_TOTAL = "waystation_router_logins_total" { outcome = "put_off" },
        "SASL exchanges by outcome.";
    counter ROUTER_REGISTRATIONS_TOTAL = "waystation_router_registrations_total",
        "Accounts made by clients.";
    counter ROUTER_MESSAGES_TOTAL = "waystation_router_stanzas_total" { kind = "message" },
        "Stanzas from sessions.";
    counter ROUTER_PRESENCES_TOTAL = "waystation_router_stanzas_total" { kind = "presence" },
        "Stanzas from sessions.";
    counter ROUTER_IQS_TOTAL = "waystation_router_stanzas_total" { kind = "iq" },
        "Stanzas from sessions.";
    counter ROUTER_ERRORS_TOTAL = "waystation_router_stanza_errors_total",
        "Stanzas answered with an error.";
    counter ROUTER_DELIVERIES_TOTAL = "waystation_router_deliveries_total",
        "Stanzas for sessions, numbered and handed to their gateways.";
    counter ROUTER_WAITING_TOTAL = "waystation_router_waiting_total",
        "Messages kept in the log because no session could take them at once.";
    counter ROUTER_REROUTED_TOTAL = "waystation_router_rerouted_total",
        "Messages to be delivered anew because their session ended before it took them.";
    counter ROUTER_LOG_ENTRIES_TOTAL = "waystation_router_log_entries_total",
        "Messages appended to the message log.";
    counter ROUTER_LOG_BYTES_TOTAL = "waystation_router_log_bytes_total",
        "Bytes appended to the message log.";
    gauge ROUTER_LOG_UNCOMMITTED_BYTES = "waystation_router_log_uncommitted_bytes",
        "Bytes of the message log that wait for a commit.";
    gauge ROUTER_LOG_UNSETTLED_BYTES = "waystation_router_log_unsettled_bytes",
        "Bytes of the message log that are in the journal and in memory, not yet in the archive.";
    histogram ROUTER_LOAD_SECONDS = "waystation_router_load_seconds" [SECONDS],
        "Time that reading an account's state from the database takes.";

    counter PROCESS_CPU_MILLISECONDS_TOTAL = "waystation_process_cpu_milliseconds_total",
        "CPU time used by the process.";
    gauge PROCESS_RESIDENT_BYTES = "waystation_process_resident_bytes",
        "Memory of the process that is in RAM.";
    gauge PROCESS_FILES_OPEN = "waystation_process_files_open",
        "Open file descriptors.";
    gauge PROCESS_FILES_MAX = "waystation_process_files_max",
        "Most file descriptors that may be open.";
    gauge PROCESS_TASKS = "waystation_process_tasks",
        "Running tasks, one for each connection among them.";
    gauge PROCESS_UPTIME_SECONDS = "waystation_process_uptime_seconds",
        "Time since the start of the process.";
}

/// The one metric with a value per certificate.
const CERTIFICATE_EXPIRY: &str = "waystation_tls_certificate_expiry_timestamp_seconds";

/// Says until when the certificate served for `host` is valid, in seconds since the Unix epoch.
pub fn certificate_expiry(host: &str, unix_seconds: i64) {
    ::metrics::gauge!(CERTIFICATE_EXPIRY, "host" => host.to_owned()).set(unix_seconds as f64);
}

/// Reads a figure that somebody else keeps.
type Sample = Box<dyn Fn() + Send + Sync>;

/// The installed exporter. Cloning is cheap.
#[derive(Clone)]
pub struct Exporter {
    handle: PrometheusHandle,
    samples: Arc<Mutex<Vec<Sample>>>,
    life: Lifecycle,
    start: std::time::Instant,
}

/// Why metrics cannot be collected.
#[derive(Debug, thiserror::Error)]
#[error("cannot install the metrics recorder: {0}")]
pub struct InstallError(String);

/// Installs the recorder of this process and keeps it up. Called once, before any metric is used.
///
/// # Errors
/// When there is a recorder already.
pub fn install(life: &Lifecycle, clock: &crate::Clock) -> Result<Exporter, InstallError> {
    let mut builder = PrometheusBuilder::new();
    for metric in catalogue() {
        if let Kind::Histogram(bounds) = metric.kind {
            builder = builder
                .set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), bounds)
                .map_err(|error| InstallError(error.to_string()))?;
        }
    }
    let handle = builder.install_recorder().map_err(|error| InstallError(error.to_string()))?;
    for metric in catalogue() {
        match metric.kind {
            Kind::Counter => ::metrics::describe_counter!(metric.name, metric.help),
            Kind::Gauge => ::metrics::describe_gauge!(metric.name, metric.help),
            Kind::Histogram(_) => ::metrics::describe_histogram!(metric.name, metric.help),
        }
    }
    ::metrics::describe_gauge!(CERTIFICATE_EXPIRY, "When the certificate of a host expires.");
    touch();

    let samples = Arc::default();
    let exporter = Exporter { handle, samples, life: life.clone(), start: clock.instant() };
    let upkeep = exporter.handle.clone();
    let drained = life.drained().clone();
    life.spawn_service("metrics", async move {
        let rounds = async {
            loop {
                tokio::time::sleep(UPKEEP_INTERVAL).await;
                upkeep.run_upkeep();
            }
        };
        drained.run_until_cancelled(rounds).await;
    });
    Ok(exporter)
}

impl Exporter {
    /// Has `sample` called before each rendering, to set a gauge to what it is now. It must be
    /// quick. Called a few times at start.
    pub fn sampled(&self, sample: impl Fn() + Send + Sync + 'static) {
        self.samples.lock().push(Box::new(sample));
    }

    /// Everything in Prometheus's text format, with the process's own figures as of now.
    pub fn render(&self) -> String {
        process::update(self);
        self.samples.lock().iter().for_each(|sample| sample());
        self.handle.render()
    }
}

/// Figures that the system keeps about this process.
mod process {
    use super::*;
    use rustix::process::{Resource, getrlimit};
    use rustix::time::{ClockId, clock_gettime};

    pub(super) fn update(exporter: &Exporter) {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let milliseconds = cpu.tv_sec * 1_000 + cpu.tv_nsec / 1_000_000;
        PROCESS_CPU_MILLISECONDS_TOTAL.absolute(milliseconds as u64);
        if let Some(bytes) = resident_bytes() {
            PROCESS_RESIDENT_BYTES.set(bytes);
        }
        if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
            PROCESS_FILES_OPEN.set(files.count() as f64);
        }
        let limit = getrlimit(Resource::Nofile).current;
        PROCESS_FILES_MAX.set(limit.map_or(f64::INFINITY, |limit| limit as f64));
        PROCESS_TASKS.set(exporter.life.tasks_count() as f64);
        PROCESS_UPTIME_SECONDS.set(exporter.start.elapsed().as_secs_f64());
    }

    fn resident_bytes() -> Option<f64> {
        let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
        let pages: f64 = statm.split(' ').nth(1)?.parse().ok()?;
        Some(pages * rustix::param::page_size() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_convention() {
        for metric in catalogue() {
            let parts: Vec<&str> = metric.name.split('_').collect();
            assert_eq!(parts[0], "waystation", "{}", metric.name);
            let role = ["gateway", "router", "proxy", "process", "bus"].contains(&parts[1]);
            assert!(role && parts.len() >= 3, "{}", metric.name);
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
        }
    }

    #[test]
    fn each_is_declared_once() {
        let mut seen = std::collections::HashSet::new();
        for metric in catalogue() {
            assert!(seen.insert((metric.name, metric.label)), "{} is there twice", metric.name);
        }
    }
}
