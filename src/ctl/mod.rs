//! `waystation ctl`: calls the administration interface of a running service. It finds address
//! and token where the service has them: in the configuration and the data directory.

mod node;
mod output;
mod password;
mod session;
mod user;

use crate::cli::{Ctl, CtlCommand};
use anyhow::{Context, bail};
use api::Bearer;
use api::v1::{nodes_client::NodesClient, sessions_client::SessionsClient, users_client::UsersClient};
use runtime::config::Config;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};

/// How long to wait for a node that does not answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait for an answer: deriving SCRAM keys takes its time.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs one command.
pub async fn run(ctl: &Ctl, config: &Config) -> anyhow::Result<ExitCode> {
    let connection = Connection::new(config)?;
    let output = output::Output::new(ctl.json);
    match &ctl.command {
        CtlCommand::User(command) => user::run(command, connection, output).await?,
        CtlCommand::Session(command) => session::run(command, connection, output).await?,
        CtlCommand::Node(command) => node::run(command, connection, output).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A node to call.
pub struct Connection {
    address: SocketAddr,
    token_file: PathBuf,
}

type Authorized = InterceptedService<Channel, Bearer>;

impl Connection {
    fn new(config: &Config) -> anyhow::Result<Connection> {
        let Some(address) = config.admin.listen.first() else {
            bail!("admin.listen is empty: there is no address to call");
        };
        Ok(Connection { address: reachable(*address), token_file: config.admin_token_file() })
    }

    async fn open(&self) -> anyhow::Result<Authorized> {
        let token = runtime::secret::read(&self.token_file).map_err(|error| {
            anyhow::anyhow!("{error}; is this the service's data directory (--data-dir), and was it started?")
        })?;
        let bearer = Bearer::new(&token).context("the admin token cannot be sent")?;
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address))?
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT);
        let Ok(channel) = endpoint.connect().await else {
            bail!("no service answers on {}; is it running?", self.address);
        };
        Ok(InterceptedService::new(channel, bearer))
    }

    /// The accounts' side.
    pub async fn users(&self) -> anyhow::Result<UsersClient<Authorized>> {
        Ok(UsersClient::new(self.open().await?))
    }

    /// The sessions' side.
    pub async fn sessions(&self) -> anyhow::Result<SessionsClient<Authorized>> {
        Ok(SessionsClient::new(self.open().await?))
    }

    /// The nodes' side.
    pub async fn nodes(&self) -> anyhow::Result<NodesClient<Authorized>> {
        Ok(NodesClient::new(self.open().await?))
    }

    /// A refusal in plain words.
    pub fn explain(&self, status: tonic::Status) -> anyhow::Error {
        match status.code() {
            tonic::Code::Unauthenticated => anyhow::anyhow!(
                "the service on {} refuses the token in {}; is it another one's data directory?",
                self.address,
                self.token_file.display()
            ),
            tonic::Code::Unavailable | tonic::Code::Unknown if status.message().is_empty() => {
                anyhow::anyhow!("the service on {} went away", self.address)
            }
            _ => anyhow::anyhow!("{}", status.message()),
        }
    }
}

/// An address to call for one that is listened on: every address means this host.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
