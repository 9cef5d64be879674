//! The configuration: one file per section, three sources, one checked value.
//!
//! The file, the environment (`WAYSTATION__SECTION__KEY`) and the command line
//! (`--set section.key=value`) are laid over the defaults, each winning over the one before it.
//! A key that does not exist or a value that is not allowed is an error wherever it comes from.

pub mod admin;
pub mod c2s;
pub mod domains;
pub mod http;
pub mod log;
pub mod node;
pub mod operations;
pub mod registration;
pub mod roster;
pub mod router;
pub mod sasl;
pub mod section;
pub mod session;
pub mod shutdown;
pub mod telemetry;
pub mod tls;
pub mod value;

mod load;

pub use load::{ConfigError, Provenance, Source, Sources};
pub use node::Role;

use section::{Key, Section};
use value::Raw;

/// Declares the whole configuration from its sections.
macro_rules! sections {
    ($($name:ident: $type:ty),+ $(,)?) => {
        /// The whole configuration. Parts of the service are handed the values they need, never this.
        #[derive(Debug, Clone, PartialEq, Default)]
        pub struct Config {
            $(
                #[doc = concat!("`[", stringify!($name), "]`")]
                pub $name: $type,
            )+
        }

        impl Config {
            /// Names, meanings and keys of all sections, in the order of the documentation.
            pub const SECTIONS: &'static [(&'static str, &'static str, &'static [Key])] = &[
                $((<$type>::NAME, <$type>::HELP, <$type>::KEYS),)+
            ];

            /// Sets a key that exists.
            fn set(&mut self, section: &str, key: &str, raw: &Raw) -> Result<(), String> {
                match section {
                    $(<$type>::NAME => self.$name.set(key, raw),)+
                    _ => Err("a section that exists".to_owned()),
                }
            }

            /// The value of a key, as the file would have it.
            pub fn get(&self, section: &str, key: &str) -> Option<toml::Value> {
                match section {
                    $(<$type>::NAME => self.$name.get(key),)+
                    _ => None,
                }
            }
        }
    };
}

sections! {
    node: node::Node,
    domains: domains::Domains,
    c2s: c2s::C2s,
    tls: tls::Tls,
    sasl: sasl::Sasl,
    registration: registration::Registration,
    session: session::Session,
    roster: roster::Roster,
    log: log::Log,
    router: router::Router,
    http: http::Http,
    operations: operations::Operations,
    admin: admin::Admin,
    telemetry: telemetry::Telemetry,
    shutdown: shutdown::Shutdown,
}

impl Config {
    /// All keys as `section.key`, in the order of the documentation.
    pub fn keys() -> impl Iterator<Item = (&'static str, &'static Key)> {
        Config::SECTIONS.iter().flat_map(|(name, _, keys)| keys.iter().map(move |key| (*name, key)))
    }

    /// The file of the administration token.
    pub fn admin_token_file(&self) -> std::path::PathBuf {
        match self.admin.token_file.as_os_str().is_empty() {
            true => self.node.data_dir.join("admin-token"),
            false => self.admin.token_file.clone(),
        }
    }

    /// The keys whose values differ between two configurations, as `section.key`.
    pub fn differences(&self, other: &Config) -> Vec<String> {
        Config::keys()
            .filter(|(section, key)| self.get(section, key.name) != other.get(section, key.name))
            .map(|(section, key)| format!("{section}.{}", key.name))
            .collect()
    }

    /// Checks what a single key cannot tell, and fills in what follows from the rest.
    fn check(&mut self) -> Result<(), Broken> {
        self.node.check()?;
        self.domains.check()?;
        self.c2s.check()?;
        self.tls.check()?;
        self.sasl.check()?;
        self.session.check()?;
        if self.session.unacked_bytes_max > self.c2s.outbound_bytes_max / 3 {
            return broken("session.unacked_bytes_max", "expected at most a third of c2s.outbound_bytes_max");
        }
        self.router.check()?;
        self.telemetry.check()?;
        self.check_addresses()
    }

    /// No address may be listened on twice.
    fn check_addresses(&self) -> Result<(), Broken> {
        let lists = [
            ("c2s.starttls", &self.c2s.starttls),
            ("c2s.direct_tls", &self.c2s.direct_tls),
            ("http.listen", &self.http.listen),
            ("operations.listen", &self.operations.listen),
            ("admin.listen", &self.admin.listen),
        ];
        let mut seen: Vec<(&str, std::net::SocketAddr)> = Vec::new();
        for (key, addresses) in lists {
            for address in addresses.iter().filter(|address| address.port() != 0) {
                if let Some((other, _)) = seen.iter().find(|(_, known)| known == address) {
                    return broken(key, &format!("{address} is already taken by {other}"));
                }
                seen.push((key, *address));
            }
        }
        Ok(())
    }
}

/// A value that is not allowed beside the others.
#[derive(Debug)]
struct Broken {
    key: &'static str,
    reason: String,
}

fn broken<T>(key: &'static str, reason: &str) -> Result<T, Broken> {
    Err(Broken { key, reason: reason.to_owned() })
}
