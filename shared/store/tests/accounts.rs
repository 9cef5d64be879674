//! Accounts, rosters and what belongs to them, on real files.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside of #[test] functions")]

use bytes::Bytes;
use std::sync::Arc;
use store::{
    AccountId, AddError, Credential, CredentialHash, Db, LogConfig, MessageLog, RosterChange, RosterItem,
    Subscription,
};
use tempfile::TempDir;
use xmpp::Jid;

struct World {
    _dir: TempDir,
    db: Db,
    log: MessageLog<()>,
}

async fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open_sqlite(dir.path(), 64).await.unwrap();
    let log = MessageLog::open(db.clone(), LogConfig::default(), Arc::new(|| 1), Box::new(|_| {}));
    let log = log.await.unwrap();
    World { _dir: dir, db, log }
}

fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap()
}

fn credential(hash: CredentialHash, salt: &[u8]) -> Credential {
    Credential { hash, salt: salt.into(), iterations: 4096, stored_key: vec![1; 20], server_key: vec![2; 20] }
}

fn item(contact: &str, subscription: Subscription) -> RosterItem {
    RosterItem { subscription, in_roster: true, ..RosterItem::new(jid(contact)) }
}

#[tokio::test]
async fn an_account_lives_and_dies() {
    let World { db, log, _dir } = world().await;
    let juliet = jid("juliet@example.com");
    let keys = [credential(CredentialHash::Sha1, b"salt"), credential(CredentialHash::Sha256, b"other")];
    assert!(db.account_load(&log, &juliet).await.unwrap().is_none());
    let id = db.account_add(&juliet, &keys, 77).await.unwrap();
    assert!(matches!(db.account_add(&juliet, &keys, 78).await, Err(AddError::Exists)));
    // The full JID names the same account.
    let loaded = db.account_load(&log, &jid("juliet@example.com/balcony")).await.unwrap().unwrap();
    assert_eq!((loaded.account.id, loaded.account.jid, loaded.account.created_ms), (id, juliet.clone(), 77));
    assert_eq!(loaded.credentials, keys);
    assert_eq!((loaded.pending, loaded.roster_version, loaded.has_blocklist), (0, 0, false));
    assert!(!loaded.account.disabled);

    assert!(db.account_disable(id, true).await.unwrap());
    assert!(db.account_get(&juliet).await.unwrap().unwrap().disabled);
    assert!(db.credentials_set(id, &keys[1..]).await.unwrap());
    assert_eq!(db.credentials_get(id).await.unwrap(), keys[1..]);
    assert!(!db.credentials_set(AccountId(99), &keys).await.unwrap());

    let asleep = Some("asleep".to_owned());
    db.last_activity_put(&[(id, 5, asleep.clone()), (AccountId(99), 1, None)]).await.unwrap();
    assert_eq!(db.last_activity_get(id).await.unwrap(), Some((5, asleep)));
    db.last_activity_put(&[(id, 6, None)]).await.unwrap();
    assert_eq!(db.last_activity_get(id).await.unwrap(), Some((6, None)));
    db.roster_put(id, &item("romeo@example.com", Subscription::Both)).await.unwrap();
    db.roster_remove(id, &jid("romeo@example.com")).await.unwrap();
    db.private_set(id, "storage:bookmarks", "storage", Some(b"<storage/>")).await.unwrap();
    db.block(id, &[jid("evil.example")]).await.unwrap();

    assert!(db.account_delete(&log, id).await.unwrap());
    assert!(db.account_load(&log, &juliet).await.unwrap().is_none());
    assert_eq!(db.last_activity_get(id).await.unwrap(), None);
    // What comes late for a deleted account is no error and leaves nothing.
    db.last_activity_put(&[(id, 7, None)]).await.unwrap();
    db.private_set(id, "a", "b", Some(b"c")).await.unwrap();
    assert_eq!(db.private_bytes(id).await.unwrap(), 0);
    let again = db.account_add(&juliet, &[], 79).await.unwrap();
    assert_ne!(again, id);
    assert!(db.roster(again).await.unwrap().1.is_empty());
}

#[tokio::test]
async fn accounts_are_listed_by_domain_and_page() {
    let World { db, _dir, .. } = world().await;
    for name in ["c@one.example", "a@one.example", "b@two.example", "b@one.example"] {
        db.account_add(&jid(name), &[], 0).await.unwrap();
    }
    let names = |accounts: Vec<store::Account>| {
        accounts.into_iter().map(|account| account.jid.to_string()).collect::<Vec<_>>()
    };
    let all = db.account_list(None, None, 10).await.unwrap();
    assert_eq!(names(all), ["a@one.example", "b@one.example", "b@two.example", "c@one.example"]);
    let page = db.account_list(Some("one.example"), Some(&jid("a@one.example")), 1).await.unwrap();
    assert_eq!(names(page), ["b@one.example"]);
}

#[test]
fn keys_are_never_printed() {
    let text = format!("{:?}", credential(CredentialHash::Sha512, b"salt"));
    assert_eq!(text, "Credential(SHA-512, 4096 iterations)");
}

#[tokio::test]
async fn roster_items_read_back() {
    let World { db, log, _dir } = world().await;
    let id = db.account_add(&jid("juliet@example.com"), &[], 0).await.unwrap();
    let full = RosterItem {
        jid: jid("romeo@example.com"),
        name: Some("Roméo".into()),
        subscription: Subscription::From,
        ask: true,
        approved: true,
        pending_in: Some(Bytes::from_static(b"<presence type='subscribe'/>")),
        in_roster: true,
        groups: vec!["Friends".into(), "Montague\n".into()],
    };
    assert_eq!(db.roster_put(id, &full).await.unwrap(), 1);
    let loaded = db.account_load(&log, &jid("juliet@example.com")).await.unwrap().unwrap();
    assert_eq!((loaded.roster_version, &loaded.roster[..]), (1, &[full][..]));
}

#[tokio::test]
async fn versions_count_what_clients_see() {
    let World { db, _dir, .. } = world().await;
    let id = db.account_add(&jid("juliet@example.com"), &[], 0).await.unwrap();
    let (romeo, nurse) = (jid("romeo@example.com"), jid("nurse@example.com"));
    // A stranger's request is no change.
    let request = RosterItem { pending_in: Some(Bytes::from_static(b"x")), ..RosterItem::new(nurse.clone()) };
    assert_eq!(db.roster_put(id, &request).await.unwrap(), 0);
    assert_eq!(db.roster_put(id, &item("romeo@example.com", Subscription::None)).await.unwrap(), 1);
    assert_eq!(db.roster_put(id, &item("nurse@example.com", Subscription::From)).await.unwrap(), 2);
    let both = item("romeo@example.com", Subscription::Both);
    assert_eq!(db.roster_put(id, &both).await.unwrap(), 3);
    assert_eq!(db.roster_changes_since(id, 2).await.unwrap(), Some(vec![RosterChange::Put(both.clone())]));
    // Leaves the roster but keeps a request: clients see it go.
    assert_eq!(db.roster_put(id, &request).await.unwrap(), 4);
    assert_eq!(db.roster_put(id, &request).await.unwrap(), 4);
    assert_eq!(
        db.roster_changes_since(id, 0).await.unwrap(),
        Some(vec![RosterChange::Put(both), RosterChange::Removed(nurse.clone())])
    );
    assert_eq!(db.roster_remove(id, &nurse).await.unwrap(), 4, "clients do not see it any more");
    assert_eq!(db.roster_remove(id, &romeo).await.unwrap(), 5);
    assert_eq!(db.roster_changes_since(id, 4).await.unwrap(), Some(vec![RosterChange::Removed(romeo)]));
    // It comes back: the tombstone goes.
    assert_eq!(db.roster_put(id, &item("nurse@example.com", Subscription::To)).await.unwrap(), 6);
    let changes = db.roster_changes_since(id, 3).await.unwrap().unwrap();
    assert!(matches!(&changes[..], [RosterChange::Removed(_), RosterChange::Put(_)]), "{changes:?}");
    assert_eq!(db.roster_changes_since(id, 6).await.unwrap(), Some(vec![]));
    // A version from elsewhere.
    assert_eq!(db.roster_changes_since(id, 7).await.unwrap(), None);
    assert_eq!(db.roster_changes_since(id, u64::MAX).await.unwrap(), None);
}

#[tokio::test]
async fn tombstones_are_bounded() {
    let World { db, _dir, .. } = world().await;
    let id = db.account_add(&jid("juliet@example.com"), &[], 0).await.unwrap();
    let removed = u64::from(store::roster::TOMBSTONES_MAX) + 10;
    for n in 0..removed {
        let contact = format!("contact{n}@example.com");
        db.roster_put(id, &item(&contact, Subscription::None)).await.unwrap();
        db.roster_remove(id, &jid(&contact)).await.unwrap();
    }
    // Version 2n is the nth removal: the first ten are forgotten.
    assert_eq!(db.roster_changes_since(id, 19).await.unwrap(), None);
    let changes = db.roster_changes_since(id, 20).await.unwrap().unwrap();
    assert_eq!(changes.len(), store::roster::TOMBSTONES_MAX as usize);
}

#[tokio::test]
async fn private_documents_and_block_lists() {
    let World { db, log, _dir } = world().await;
    let id = db.account_add(&jid("juliet@example.com"), &[], 0).await.unwrap();
    db.private_set(id, "vcard-temp", "vCard", Some(b"one")).await.unwrap();
    db.private_set(id, "vcard-temp", "vCard", Some(b"two!")).await.unwrap();
    assert_eq!(db.private_get(id, "vcard-temp", "vCard").await.unwrap().as_deref(), Some(&b"two!"[..]));
    assert_eq!(db.private_get(id, "vcard-temp", "other").await.unwrap(), None);
    assert_eq!(db.private_bytes(id).await.unwrap(), 4);
    db.private_set(id, "vcard-temp", "vCard", None).await.unwrap();
    assert_eq!(db.private_bytes(id).await.unwrap(), 0);

    let jids = [jid("evil.example"), jid("romeo@example.com/tomb"), jid("romeo@example.com")];
    db.block(id, &jids).await.unwrap();
    db.block(id, &jids[..1]).await.unwrap();
    assert!(db.account_load(&log, &jid("juliet@example.com")).await.unwrap().unwrap().has_blocklist);
    db.unblock(id, &jids[1..2]).await.unwrap();
    assert_eq!(db.blocklist(id).await.unwrap(), [jids[0].clone(), jids[2].clone()]);
    db.unblock(id, &[]).await.unwrap();
    assert!(db.blocklist(id).await.unwrap().is_empty());
}
