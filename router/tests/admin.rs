//! The administration services over a real connection.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use api::v1::nodes_client::NodesClient;
use api::v1::sessions_client::SessionsClient;
use api::v1::users_client::UsersClient;
use api::v1::*;
use bus::envelope::OwnerBody;
use bus::{Bus, LocalBus, OwnerPort, ToOwner};
use parking_lot::Mutex;
use router::Ports;
use router::admin::{Admin, AdminSettings, NodeInfo};
use runtime::{Clock, Lifecycle};
use std::sync::Arc;
use store::sessions::Fence;
use store::{Attachment, Db, LogConfig, MessageLog, RosterItem, SessionRecord, Sessions, Subscription};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use xmpp::Jid;

/// An owner that notes what it is told.
#[derive(Default)]
struct Owner(Mutex<Vec<String>>);

impl OwnerPort for Owner {
    fn receive(&self, envelope: ToOwner) {
        let what = match envelope.body {
            OwnerBody::Refresh { gone } => format!("refresh {gone}"),
            OwnerBody::Kick { resource, error } => format!("kick {resource:?} {}", error.condition),
            OwnerBody::Routed { stanza, .. } => String::from_utf8_lossy(stanza.xml()).into_owned(),
            other => format!("{other:?}"),
        };
        self.0.lock().push(format!("{}: {what}", envelope.account));
    }
}

struct World {
    channel: InterceptedService<Channel, api::Bearer>,
    plain: Channel,
    owner: Arc<Owner>,
    sessions: Arc<Sessions>,
    db: Db,
    _dir: tempfile::TempDir,
}

async fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open_sqlite(dir.path(), 16).await.unwrap();
    let local = Arc::new(LocalBus::default());
    let owner = Arc::new(Owner::default());
    local.attach_owner(owner.clone());
    let now_ms = Arc::new(|| 1);
    let log = MessageLog::open(db.clone(), LogConfig::default(), now_ms, Box::new(|_| {})).await.unwrap();
    let sessions = Arc::new(Sessions::memory(16));
    let ports = Ports {
        bus: Bus::Local(local),
        db: db.clone(),
        log: Arc::new(log),
        sessions: sessions.clone(),
        clock: Clock::manual(1_000).0,
        life: Lifecycle::new(),
        fake_key: [7; 32],
        epoch: 1,
    };
    let node =
        NodeInfo { name: "n1".into(), incarnation: 0xab, roles: vec!["router"], version: "0", started_ms: 5 };
    let hosts = vec!["example.com".to_owned()];
    let settings = AdminSettings { hosts, scram_iterations: 16, page_entries_max: 2, node };
    let admin = Admin::new(settings, &ports);
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    ports.life.spawn_connection(async move {
        router::admin::serve(admin, socket, "secret", std::future::pending()).await.unwrap();
    });
    let plain = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let channel = InterceptedService::new(plain.clone(), api::Bearer::new("secret").unwrap());
    World { channel, plain, owner, sessions, db, _dir: dir }
}

impl World {
    fn users(&self) -> UsersClient<InterceptedService<Channel, api::Bearer>> {
        UsersClient::new(self.channel.clone())
    }

    async fn add(&self, jid: &str, password: &str) -> Result<String, Status> {
        let request = AddUserRequest { jid: jid.into(), password: password.into() };
        Ok(self.users().add(request).await?.into_inner().jid)
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut *self.owner.0.lock())
    }

    fn bound(&self, jid: &str, attachment: Attachment) {
        let record = SessionRecord {
            session: 1,
            jid: Jid::parse(jid).unwrap(),
            attachment,
            flags: 1,
            address: Some("192.0.2.1:5".parse().unwrap()),
        };
        let partition = bus::partition::partition(record.jid.bare_str(), 16);
        self.sessions.put(Fence { partition, epoch: 1 }, record).unwrap();
    }
}

#[tokio::test]
async fn accounts_are_made_changed_and_removed_and_their_owner_is_told() {
    let world = world().await;
    assert_eq!(world.add("Juliet@Example.com", "secret").await.unwrap(), "juliet@example.com");
    assert_eq!(world.told(), ["juliet@example.com: refresh false"]);
    let set = SetPasswordRequest { jid: "juliet@example.com".into(), password: "new".into() };
    world.users().set_password(set).await.unwrap();
    assert_eq!(world.told(), ["juliet@example.com: refresh false"]);
    let delete = DeleteUserRequest { jid: "juliet@example.com".into() };
    world.users().delete(delete.clone()).await.unwrap();
    assert_eq!(world.told(), ["juliet@example.com: refresh true"; 2]);
    assert_eq!(world.users().delete(delete).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn wishes_that_cannot_be_granted_say_why() {
    let world = world().await;
    world.add("juliet@example.com", "secret").await.unwrap();
    for (jid, password, code, text) in [
        (
            "juliet@example.com",
            "secret",
            Code::AlreadyExists,
            "the account juliet@example.com exists already",
        ),
        ("a@example.net", "secret", Code::FailedPrecondition, "example.net is not one of the domains"),
        ("example.com", "secret", Code::InvalidArgument, "example.com is not of the form user@domain"),
        (
            "a@example.com/b",
            "secret",
            Code::InvalidArgument,
            "a@example.com/b is not of the form user@domain",
        ),
        ("a b@example.com", "secret", Code::InvalidArgument, "a b@example.com is no address"),
        ("a@example.com", "", Code::InvalidArgument, "the password cannot be used"),
        ("a@example.com", "a\u{7}", Code::InvalidArgument, "the password cannot be used"),
    ] {
        let status = world.add(jid, password).await.unwrap_err();
        assert!(status.code() == code && status.message().starts_with(text), "{jid}: {status:?}");
    }
    let set = SetPasswordRequest { jid: "nobody@example.com".into(), password: "x".into() };
    assert_eq!(world.users().set_password(set).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn accounts_are_listed_in_pages() {
    let world = world().await;
    for user in ["b", "a", "d", "c"] {
        world.add(&format!("{user}@example.com"), "x").await.unwrap();
    }
    let mut request = ListUsersRequest { page_entries: 100, ..Default::default() };
    let mut pages = Vec::new();
    loop {
        let page = world.users().list(request.clone()).await.unwrap().into_inner();
        pages.push(page.users.iter().map(|user| user.jid[..1].to_owned()).collect::<String>());
        if page.next.is_empty() {
            break;
        }
        request.after = page.next;
    }
    // The node's maximum is 2; the last page can only be known by asking.
    assert_eq!(pages, ["ab", "cd", ""]);
    let other = ListUsersRequest { domain: "example.net".into(), ..Default::default() };
    assert!(world.users().list(other).await.unwrap().into_inner().users.is_empty());
}

#[tokio::test]
async fn sessions_are_listed_and_ended() {
    let world = world().await;
    world.bound("juliet@example.com/balcony", Attachment::Attached { gateway: 0xab, slot: 1, generation: 0 });
    world.bound("juliet@example.com/chamber", Attachment::Detached { since_ms: 9 });
    world.bound("romeo@example.com/orchard", Attachment::Attached { gateway: 0xcd, slot: 1, generation: 0 });
    let mut client = SessionsClient::new(world.channel.clone());

    let request = ListSessionsRequest { jid: "juliet@example.com".into(), ..Default::default() };
    let mut own = client.list(request).await.unwrap().into_inner();
    own.sessions.sort_by(|a, b| a.jid.cmp(&b.jid));
    assert_eq!(own.next, "");
    let balcony = Session {
        jid: "juliet@example.com/balcony".into(),
        address: "192.0.2.1:5".into(),
        connected: true,
        detached_ms: 0,
        encrypted: true,
        node: "n1".into(),
    };
    assert_eq!(own.sessions[0], balcony);
    assert!(
        !own.sessions[1].connected && own.sessions[1].detached_ms == 9 && own.sessions[1].node.is_empty()
    );

    let mut all = Vec::new();
    let mut request = ListSessionsRequest::default();
    loop {
        let page = client.list(request.clone()).await.unwrap().into_inner();
        all.extend(page.sessions.into_iter().map(|session| session.jid));
        if page.next.is_empty() {
            break;
        }
        request.after = page.next;
    }
    all.sort();
    assert_eq!(all.len(), 3, "{all:?}");

    let mut kick = async |jid: &str| {
        let kicked = client.kick(KickRequest { jid: jid.into() }).await;
        kicked.map(|kicked| kicked.into_inner().sessions).map_err(|status| status.code())
    };
    assert_eq!(kick("juliet@example.com").await, Ok(2));
    assert_eq!(kick("juliet@example.com/chamber").await, Ok(1));
    assert_eq!(kick("juliet@example.com/nowhere").await, Err(Code::NotFound));
    assert_eq!(kick("nobody@example.com").await, Err(Code::NotFound));
    assert_eq!(
        world.told(),
        [
            "juliet@example.com: kick None policy-violation",
            "juliet@example.com: kick Some(\"chamber\") policy-violation"
        ]
    );
}

#[tokio::test]
async fn nobody_gets_in_without_the_token() {
    let world = world().await;
    let mut nodes = NodesClient::new(world.channel.clone());
    let node = nodes.list(ListNodesRequest {}).await.unwrap().into_inner().nodes.remove(0);
    assert_eq!((node.name.as_str(), node.incarnation.as_str()), ("n1", "00000000000000ab"));
    let code = |status: Status| status.code();
    let refused = NodesClient::new(world.plain.clone()).list(ListNodesRequest {}).await;
    assert_eq!(refused.map_err(code).unwrap_err(), Code::Unauthenticated);
    let refused = UsersClient::new(world.plain.clone()).list(ListUsersRequest::default()).await;
    assert_eq!(refused.map_err(code).unwrap_err(), Code::Unauthenticated);
    let wrong = InterceptedService::new(world.plain.clone(), api::Bearer::new("secrets").unwrap());
    let refused = SessionsClient::new(wrong).list(ListSessionsRequest::default()).await;
    assert_eq!(refused.map_err(code).unwrap_err(), Code::Unauthenticated);
}

#[tokio::test]
async fn contacts_of_an_account_that_was_removed_are_told() {
    let world = world().await;
    world.add("juliet@example.com", "x").await.unwrap();
    let account = world.db.account_get(&Jid::parse("juliet@example.com").unwrap()).await.unwrap().unwrap();
    for (contact, subscription) in [
        ("romeo@example.com", Subscription::Both),
        ("nurse@example.com", Subscription::From),
        ("tybalt@example.com", Subscription::None),
        ("far@example.net", Subscription::Both),
    ] {
        let contact = RosterItem::new(Jid::parse(contact).unwrap());
        let item = RosterItem { subscription, in_roster: true, ..contact };
        world.db.roster_put(account.id, &item).await.unwrap();
    }
    world.told();
    world.users().delete(DeleteUserRequest { jid: "juliet@example.com".into() }).await.unwrap();
    let mut told: Vec<String> =
        world.told().into_iter().filter(|told| !told.contains("refresh true")).collect();
    told.sort();
    let presence = |contact: &str, kind: &str| {
        format!("{contact}: <presence from='juliet@example.com' to='{contact}' type='{kind}'/>")
    };
    assert_eq!(
        told,
        [
            presence("nurse@example.com", "unsubscribed"),
            presence("romeo@example.com", "unsubscribe"),
            presence("romeo@example.com", "unsubscribed"),
        ]
    );
}
