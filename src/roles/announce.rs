//! What the process says on the terminal when it is ready.

use runtime::config::{Config, Sources};
use std::io::{self, Write};
use std::net::SocketAddr;

/// What is listened on, by what it is for.
pub type Addresses = Vec<(&'static str, Vec<SocketAddr>)>;

/// Says what listens where and how to add a user.
pub fn started(config: &Config, sources: &Sources, addresses: &Addresses) -> io::Result<()> {
    let mut text = format!(
        "waystation {} serves {} as node {}; data in {}\n",
        env!("CARGO_PKG_VERSION"),
        config.domains.hosts.join(", "),
        config.node.name,
        config.node.data_dir.display()
    );
    for (purpose, addresses) in addresses.iter().filter(|(_, addresses)| !addresses.is_empty()) {
        let addresses: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
        text.push_str(&format!("  {purpose:<15} {}\n", addresses.join(" ")));
    }
    text.push_str(&format!("Add a user: {}\n", add_user(config, sources)));
    io::stdout().write_all(text.as_bytes())?;
    io::stdout().flush()
}

/// The command that adds a user to this very process.
fn add_user(config: &Config, sources: &Sources) -> String {
    // Cargo says so to what it runs.
    let program = match std::env::var_os("CARGO") {
        Some(_) => "cargo run --release --",
        None => "waystation",
    };
    let mut command = format!("{program} ctl user add alice@{}", config.domains.hosts[0]);
    if let Some(file) = &sources.file {
        command.push_str(&format!(" --config {}", file.display()));
    }
    // Only what `ctl` looks at: where the process listens, and the token.
    let matters = ["node.data_dir=", "admin.listen=", "admin.token_file="];
    for setting in
        sources.settings.iter().filter(|setting| matters.iter().any(|key| setting.starts_with(key)))
    {
        command.push_str(&match setting.strip_prefix("node.data_dir=") {
            Some(dir) => format!(" --data-dir {dir}"),
            None => format!(" --set {setting}"),
        });
    }
    command
}
