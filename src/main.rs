//! The binary: reads the command line and starts what it asks for. What the service does is in the
//! crates `gateway` and `router`; what they share in `shared/`.

mod cli;
mod ctl;
mod roles;
mod start;

use clap::Parser;
use runtime::config::{Config, Role};
use std::io::Write;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match dispatch(cli) {
        Ok(code) => code,
        Err(error) => {
            // One line, whatever the causes said.
            let line = format!("{error:#}").replace('\n', " ");
            let _ = writeln!(std::io::stderr(), "waystation: {line}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(cli: cli::Cli) -> anyhow::Result<ExitCode> {
    let sources = cli.options.sources();
    let (config, _) = Config::load(&sources)?;
    match cli.command.unwrap_or(cli::Command::Run) {
        cli::Command::Run => {
            if !config.node.embedded() {
                let roles: Vec<&str> = config.node.roles.iter().map(role_name).collect();
                anyhow::bail!(
                    "--role {}: running roles apart needs the cluster, which this version does not have; use --role all",
                    roles.join(",")
                );
            }
            start::raise_file_limit();
            start::runtime(config.node.threads)?.block_on(roles::run(config, sources))
        }
        cli::Command::CheckConfig => {
            writeln!(std::io::stdout(), "The configuration is good.")?;
            Ok(ExitCode::SUCCESS)
        }
        cli::Command::Ctl(command) => start::small_runtime()?.block_on(ctl::run(&command, &config)),
    }
}

fn role_name(role: &Role) -> &'static str {
    match role {
        Role::All => "all",
        Role::Gateway => "gateway",
        Role::Router => "router",
        Role::Proxy => "proxy",
    }
}
