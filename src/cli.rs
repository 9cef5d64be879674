//! The command line.

use clap::{Args, Parser, Subcommand};
use runtime::config::Sources;
use std::path::PathBuf;

/// An XMPP messaging service for load-balanced public deployments.
#[derive(Debug, Parser)]
#[command(name = "waystation", version, disable_help_subcommand = true)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub options: Options,
    /// What to do; `run` when nothing is given.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Where the configuration comes from.
#[derive(Debug, Args)]
pub struct Options {
    /// Read this configuration file
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Run these parts: all, or some of gateway,router,proxy
    #[arg(long, value_name = "ROLES", global = true)]
    role: Option<String>,
    /// Name of this node
    #[arg(long, value_name = "NAME", global = true)]
    node_name: Option<String>,
    /// Directory of the database, the certificate and the tokens
    #[arg(long, value_name = "DIR", global = true)]
    data_dir: Option<String>,
    /// Set a key of the configuration; wins over the environment and the file
    #[arg(long, value_name = "SECTION.KEY=VALUE", global = true)]
    set: Vec<String>,
}

impl Options {
    /// The sources that these options name; options of their own win over `--set`.
    pub fn sources(&self) -> Sources {
        let options =
            [("node.roles", &self.role), ("node.name", &self.node_name), ("node.data_dir", &self.data_dir)];
        let mut settings = self.set.clone();
        for (key, value) in options {
            settings.extend(value.iter().map(|value| format!("{key}={value}")));
        }
        Sources::of_process(self.config.clone(), settings)
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the service (the default)
    Run,
    /// Check the configuration and say what is wrong with it
    CheckConfig,
    /// Administer a running service
    Ctl(Ctl),
}

/// Administration of a running service.
#[derive(Debug, Args)]
pub struct Ctl {
    /// Answer in JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: CtlCommand,
}

/// What `ctl` can be about.
#[derive(Debug, Subcommand)]
pub enum CtlCommand {
    /// Accounts
    #[command(subcommand)]
    User(UserCommand),
    /// Bound sessions
    #[command(subcommand)]
    Session(SessionCommand),
    /// Processes of the service
    #[command(subcommand)]
    Node(NodeCommand),
}

/// What can be done with accounts.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Make an account; asks for the password where none is given
    Add(WithPassword),
    /// List accounts
    List {
        /// Only those of this domain
        #[arg(long)]
        domain: Option<String>,
    },
    /// Set a new password; asks for it where none is given
    Passwd(WithPassword),
    /// Remove an account with all it holds
    Delete {
        /// Its address, such as alice@localhost
        jid: String,
    },
}

/// An account and its password.
#[derive(Debug, Args)]
pub struct WithPassword {
    /// Its address, such as alice@localhost
    pub jid: String,
    /// The password; other users of this host can see it while the command runs
    pub password: Option<String>,
    /// Read the password from the first line of the standard input
    #[arg(long, conflicts_with = "password")]
    pub password_stdin: bool,
}

/// What can be done with sessions.
#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// List sessions
    List {
        /// Only those of this account
        jid: Option<String>,
    },
    /// End sessions
    Kick {
        /// A full address, or a bare one for all its sessions
        jid: String,
    },
}

/// What can be done with nodes.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// List nodes
    List,
}
