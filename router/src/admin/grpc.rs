//! The services of `api`: from messages to [`Admin`] and back.

use super::accounts::address;
use super::{Admin, AdminError};
use crate::sessions::FLAG_TLS;
use api::TokenCheck;
use api::v1::nodes_server::{Nodes, NodesServer};
use api::v1::sessions_server::{Sessions, SessionsServer};
use api::v1::users_server::{Users, UsersServer};
use api::v1::*;
use bus::ToOwner;
use bus::envelope::OwnerBody;
use std::future::Future;
use std::sync::Arc;
use store::{Attachment, SessionRecord};
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use xmpp::error::StreamCondition;
use xmpp::{Jid, StreamError};

/// Serves administration on a port until `shutdown`, to whoever knows the token.
///
/// # Errors
/// When the port can no longer be served.
pub async fn serve(
    admin: Arc<Admin>,
    socket: TcpListener,
    token: &str,
    shutdown: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let check = TokenCheck::new(token);
    let face = Face(admin);
    Server::builder()
        .add_service(UsersServer::with_interceptor(face.clone(), check.clone()))
        .add_service(SessionsServer::with_interceptor(face.clone(), check.clone()))
        .add_service(NodesServer::with_interceptor(face, check))
        .serve_with_incoming_shutdown(TcpIncoming::from(socket), shutdown)
        .await
}

impl From<AdminError> for Status {
    fn from(error: AdminError) -> Status {
        let text = error.to_string();
        match error {
            AdminError::Address(..) | AdminError::NotAnAccount(_) | AdminError::Password(_) => {
                Status::invalid_argument(text)
            }
            AdminError::ForeignDomain(_) => Status::failed_precondition(text),
            AdminError::Exists(_) => Status::already_exists(text),
            AdminError::NoAccount(_) | AdminError::NoSession(_) => Status::not_found(text),
            AdminError::Store(_) => {
                tracing::error!(error = text, "administration failed");
                Status::internal(text)
            }
        }
    }
}

/// The gRPC face of [`Admin`].
#[derive(Clone)]
struct Face(Arc<Admin>);

#[tonic::async_trait]
impl Users for Face {
    async fn add(&self, request: Request<AddUserRequest>) -> Result<Response<AddUserResponse>, Status> {
        let AddUserRequest { jid, password } = request.into_inner();
        let jid = self.0.account_add(&jid, password).await?.as_str().to_owned();
        Ok(Response::new(AddUserResponse { jid }))
    }

    async fn list(&self, request: Request<ListUsersRequest>) -> Result<Response<ListUsersResponse>, Status> {
        let ListUsersRequest { domain, after, page_entries } = request.into_inner();
        let after = optional_address(&after)?;
        let entries = self.0.page_entries(page_entries);
        let domain = (!domain.is_empty()).then_some(domain.as_str());
        let listed = self.0.db.account_list(domain, after.as_ref(), entries).await;
        let accounts = listed.map_err(AdminError::Store)?;
        let users: Vec<User> =
            accounts.iter().map(|account| User { jid: account.jid.as_str().to_owned() }).collect();
        let last = users.last().filter(|_| users.len() == entries);
        let next = last.map(|user| user.jid.clone()).unwrap_or_default();
        Ok(Response::new(ListUsersResponse { users, next }))
    }

    async fn set_password(
        &self,
        request: Request<SetPasswordRequest>,
    ) -> Result<Response<SetPasswordResponse>, Status> {
        let SetPasswordRequest { jid, password } = request.into_inner();
        self.0.password_set(&jid, password).await?;
        Ok(Response::new(SetPasswordResponse {}))
    }

    async fn delete(
        &self,
        request: Request<DeleteUserRequest>,
    ) -> Result<Response<DeleteUserResponse>, Status> {
        self.0.account_delete(&request.into_inner().jid).await?;
        Ok(Response::new(DeleteUserResponse {}))
    }
}

#[tonic::async_trait]
impl Sessions for Face {
    async fn list(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        let ListSessionsRequest { jid, after, page_entries } = request.into_inner();
        let after = optional_address(&after)?;
        let entries = self.0.page_entries(page_entries);
        // The sessions of one account are few: they are one page.
        let records = match optional_address(&jid)? {
            Some(jid) => self.0.sessions.load(&jid.to_bare()).await,
            None => self.0.sessions.list(after.as_ref(), entries).await,
        };
        let records = records.map_err(AdminError::Store)?;
        let more = jid.is_empty() && records.len() == entries;
        let sessions: Vec<Session> = records.iter().map(|record| self.session(record)).collect();
        let last = sessions.last().filter(|_| more);
        let next = last.map(|session| session.jid.clone()).unwrap_or_default();
        Ok(Response::new(ListSessionsResponse { sessions, next }))
    }

    async fn kick(&self, request: Request<KickRequest>) -> Result<Response<KickResponse>, Status> {
        let jid = address(&request.into_inner().jid)?;
        let records = self.0.sessions.load(&jid.to_bare()).await.map_err(AdminError::Store)?;
        let meant = |record: &&SessionRecord| jid.resource().is_none() || record.jid == jid;
        let sessions = records.iter().filter(meant).count() as u32;
        if sessions == 0 {
            return Err(AdminError::NoSession(jid).into());
        }
        let resource = jid.resource().map(str::to_owned);
        let error = StreamError::new(StreamCondition::PolicyViolation, "ended by the operator");
        let body = OwnerBody::Kick { resource, error };
        self.0.bus.to_owner(ToOwner { account: jid.to_bare(), body });
        tracing::info!(%jid, sessions, "an operator ended sessions");
        Ok(Response::new(KickResponse { sessions }))
    }
}

#[tonic::async_trait]
impl Nodes for Face {
    async fn list(&self, _: Request<ListNodesRequest>) -> Result<Response<ListNodesResponse>, Status> {
        let node = &self.0.settings.node;
        let node = Node {
            name: node.name.clone(),
            incarnation: format!("{:016x}", node.incarnation),
            roles: node.roles.iter().map(|role| (*role).to_owned()).collect(),
            version: node.version.to_owned(),
            started_ms: node.started_ms,
            sessions: self.0.sessions.count().await.map_err(AdminError::Store)?,
        };
        Ok(Response::new(ListNodesResponse { nodes: vec![node] }))
    }
}

impl Face {
    fn session(&self, record: &SessionRecord) -> Session {
        let node = &self.0.settings.node;
        let (connected, detached_ms, holder) = match record.attachment {
            Attachment::Attached { gateway, .. } if gateway == node.incarnation => {
                (true, 0, node.name.clone())
            }
            Attachment::Attached { .. } => (true, 0, String::new()),
            Attachment::Detached { since_ms } => (false, since_ms, String::new()),
        };
        Session {
            jid: record.jid.as_str().to_owned(),
            address: record.address.map(|address| address.to_string()).unwrap_or_default(),
            connected,
            detached_ms,
            encrypted: record.flags & FLAG_TLS != 0,
            node: holder,
        }
    }
}

fn optional_address(text: &str) -> Result<Option<Jid>, AdminError> {
    (!text.is_empty()).then(|| address(text)).transpose()
}
