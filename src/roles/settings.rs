//! From the configuration to the values that each part takes.

use bus::NodeId;
use router::Settings;
use router::admin::{AdminSettings, NodeInfo};
use runtime::config::Config;
use std::time::Duration;
use store::LogConfig;
use store::log::Retention;
use xmpp::stream::Caps;

/// What XEP-0092 and `ctl node list` call this program's version.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The router's.
pub fn router(config: &Config, started_ms: u64) -> Settings {
    Settings {
        hosts: config.domains.hosts.clone(),
        partitions: config.router.partitions,
        accounts_cached_max: config.router.accounts_cached_max,
        resources_max: config.session.resources_max,
        resume_seconds: config.session.resume_seconds_default,
        resume_seconds_max: config.session.resume_seconds_max,
        unacked_stanzas_max: config.session.unacked_stanzas_max,
        unacked_bytes_max: config.session.unacked_bytes_max,
        feed_page_stanzas: config.log.page_messages,
        waiting_stanzas_max: config.log.offline_messages_max,
        roster_items_max: config.roster.items_max,
        roster_groups_max: config.roster.groups_max,
        roster_name_bytes_max: config.roster.name_bytes_max,
        scram_iterations: config.sasl.scram_iterations,
        mechanisms: router::mechanisms(&config.sasl.mechanisms),
        plain_without_tls: config.c2s.allow_plaintext,
        exchanges_max: config.sasl.exchanges_per_partition_max,
        exchange_seconds: config.sasl.exchange_timeout_seconds,
        attempts_per_minute: config.sasl.attempts_per_account_per_minute,
        registration: config.registration.enabled,
        registrations_per_address_per_hour: config.registration.accounts_per_address_per_hour,
        version: VERSION,
        show_os: config.router.show_os,
        started_ms,
    }
}

/// The gateway's. What the domain announces is the router's to know.
pub fn gateway(config: &Config, router: &Settings) -> gateway::Settings {
    let caps = Caps { node: router::CAPS_NODE.to_owned(), ver: router::caps_ver(router) };
    let registration = config.registration.enabled;
    gateway::Settings::new(&config.c2s, &config.sasl, &config.domains.hosts, registration, Some(caps))
}

/// Administration's.
pub fn admin(config: &Config, node: NodeId, started_ms: u64) -> AdminSettings {
    AdminSettings {
        hosts: config.domains.hosts.clone(),
        scram_iterations: config.sasl.scram_iterations,
        page_entries_max: config.admin.page_entries_max,
        node: NodeInfo {
            name: config.node.name.clone(),
            incarnation: node.0,
            roles: vec!["gateway", "router"],
            version: VERSION,
            started_ms,
        },
    }
}

/// The message log's.
pub fn log(config: &Config) -> LogConfig {
    LogConfig {
        commit_interval: Duration::from_millis(config.log.commit_interval_ms),
        lazy_commit_interval: Duration::from_millis(config.log.lazy_commit_interval_ms),
        settle_after: Duration::from_secs(config.log.settle_after_seconds),
        journal_bytes_max: config.log.journal_bytes_max,
        log_bytes_max: config.log.uncommitted_bytes_max,
        retention: match config.log.retention_days {
            0 => Retention::UntilDelivered,
            days => Retention::Days(days),
        },
    }
}
