//! What the operator configured, as values.

use xmpp::sasl::Mechanism;

/// Limits and choices of the router.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Domains served here, prepared.
    pub hosts: Vec<String>,
    /// Number of partitions, a power of two.
    pub partitions: u32,
    /// Accounts held in memory without a session, in all.
    pub accounts_cached_max: usize,
    /// Sessions of one account.
    pub resources_max: usize,
    /// Seconds for which a broken session is kept unless the client asks for less.
    pub resume_seconds: u32,
    /// Most it may ask for.
    pub resume_seconds_max: u32,
    /// Stanzas a session may leave unacknowledged before messages wait in the log for it.
    pub unacked_stanzas_max: usize,
    /// The same in bytes.
    pub unacked_bytes_max: usize,
    /// Messages read from the log at once.
    pub feed_page_stanzas: usize,
    /// Messages that wait for one account before senders are refused.
    pub waiting_stanzas_max: u64,
    /// Contacts in one roster.
    pub roster_items_max: usize,
    /// Groups of one contact.
    pub roster_groups_max: usize,
    /// Bytes of a contact's name or of a group's.
    pub roster_name_bytes_max: usize,
    /// PBKDF2 iterations of new SCRAM keys.
    pub scram_iterations: u32,
    /// SASL mechanisms allowed.
    pub mechanisms: Vec<Mechanism>,
    /// Whether PLAIN is accepted on a stream in the clear.
    pub plain_without_tls: bool,
    /// SASL exchanges under way in one partition.
    pub exchanges_max: usize,
    /// Seconds an exchange may take.
    pub exchange_seconds: u32,
    /// Failed logins of one account in a minute, beyond which attempts are refused for the minute.
    pub attempts_per_minute: u32,
    /// Whether XEP-0077 may create accounts.
    pub registration: bool,
    /// Accounts that one address may make in an hour.
    pub registrations_per_address_per_hour: u32,
    /// Name and version told by XEP-0092.
    pub version: &'static str,
    /// Whether XEP-0092 tells the operating system.
    pub show_os: bool,
    /// Unix milliseconds at which the process started (XEP-0012).
    pub started_ms: u64,
}

impl Settings {
    /// Whether this domain is served here.
    pub fn is_ours(&self, domain: &str) -> bool {
        self.hosts.iter().any(|host| host == domain)
    }
}
