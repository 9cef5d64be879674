//! Rosters (RFC 6121 §2) and their versions (XEP-0237).
//!
//! An item keeps the version at which it last changed, a removed one leaves a tombstone with its
//! version: the difference between two versions is read from these. Tombstones are bounded; a
//! client that is further behind gets the whole roster.

use crate::error::stored_jid;
use crate::{AccountId, Db, StoreError};
use bytes::Bytes;
use sqlx::SqliteConnection;
use xmpp::Jid;

/// Most removed contacts that an account's history of versions remembers.
pub const TOMBSTONES_MAX: u32 = 200;

/// Separates groups in their column: XML cannot carry it (XML 1.0 §2.2).
const GROUP_SEPARATOR: char = '\u{1f}';

/// Who gets whose presence (RFC 6121 §2.1.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Subscription {
    /// Neither.
    #[default]
    None,
    /// The user gets the contact's.
    To,
    /// The contact gets the user's.
    From,
    /// Both.
    Both,
}

impl Subscription {
    fn to_code(self) -> i64 {
        match self {
            Subscription::None => 0,
            Subscription::To => 1,
            Subscription::From => 2,
            Subscription::Both => 3,
        }
    }

    fn from_code(code: i64) -> Result<Subscription, StoreError> {
        Ok(match code {
            0 => Subscription::None,
            1 => Subscription::To,
            2 => Subscription::From,
            3 => Subscription::Both,
            other => return Err(StoreError::Corrupt(format!("subscription {other}"))),
        })
    }
}

/// A contact, or a stranger whose request waits for an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterItem {
    /// The contact's bare JID.
    pub jid: Jid,
    /// The name the user gave it.
    pub name: Option<String>,
    /// Who gets whose presence.
    pub subscription: Subscription,
    /// Whether the user's request waits for the contact: "Pending Out" (RFC 6121 §3.1.2).
    pub ask: bool,
    /// Whether a request of the contact is approved beforehand (RFC 6121 §3.4).
    pub approved: bool,
    /// The contact's request, as it came, that the user has not answered: "Pending In"
    /// (RFC 6121 §3.1.3).
    pub pending_in: Option<Bytes>,
    /// Whether clients see it. An item may exist only for its `pending_in`.
    pub in_roster: bool,
    /// The groups the user put it into.
    pub groups: Vec<String>,
}

impl RosterItem {
    /// An item of which nothing is known but the address, and that clients do not see.
    pub fn new(jid: Jid) -> RosterItem {
        RosterItem {
            jid,
            name: None,
            subscription: Subscription::None,
            ask: false,
            approved: false,
            pending_in: None,
            in_roster: false,
            groups: Vec::new(),
        }
    }
}

/// One change between two versions of a roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RosterChange {
    /// The item is now like this.
    Put(RosterItem),
    /// The item is gone.
    Removed(Jid),
}

pub(crate) type ItemRow = (String, Option<String>, i64, bool, bool, bool, Option<Vec<u8>>, Option<String>);

/// The columns of [`ItemRow`].
macro_rules! item_columns {
    () => {
        "jid, name, subscription, ask, approved, in_roster, pending_in, groups"
    };
}
pub(crate) use item_columns;

pub(crate) fn item(row: ItemRow) -> Result<RosterItem, StoreError> {
    let (jid, name, subscription, ask, approved, in_roster, pending_in, groups) = row;
    Ok(RosterItem {
        jid: stored_jid(&jid)?,
        name,
        subscription: Subscription::from_code(subscription)?,
        ask,
        approved,
        pending_in: pending_in.map(Bytes::from),
        in_roster,
        groups: groups
            .map(|groups| groups.split(GROUP_SEPARATOR).map(str::to_owned).collect())
            .unwrap_or_default(),
    })
}

/// Reads a whole roster.
async fn load(conn: &mut SqliteConnection, account: AccountId) -> Result<Vec<RosterItem>, StoreError> {
    let rows: Vec<ItemRow> =
        sqlx::query_as(concat!("SELECT ", item_columns!(), " FROM roster_item WHERE account = ?1"))
            .bind(account.0)
            .fetch_all(conn)
            .await?;
    rows.into_iter().map(item).collect()
}

impl Db {
    /// Reads a roster, hidden items too, and its version.
    ///
    /// # Errors
    /// The database's.
    pub async fn roster(&self, account: AccountId) -> Result<(u64, Vec<RosterItem>), StoreError> {
        let Db::Sqlite(db) = self;
        let mut tx = db.readers.begin().await?;
        let row: Option<(i64,)> = sqlx::query_as("SELECT roster_version FROM account WHERE id = ?1")
            .bind(account.0)
            .fetch_optional(&mut *tx)
            .await?;
        let items = load(&mut tx, account).await?;
        Ok((row.map_or(0, |row| row.0 as u64), items))
    }

    /// Stores an item and returns the roster's version, which grows if clients see a difference:
    /// an item that was and stays out of the roster does not change it, one that leaves it counts
    /// as removed.
    ///
    /// # Errors
    /// The database's; [`sqlx::Error::RowNotFound`] when there is no such account.
    pub async fn roster_put(&self, account: AccountId, item: &RosterItem) -> Result<u64, StoreError> {
        let Db::Sqlite(db) = self;
        let mut tx = db.writer.begin_with("BEGIN IMMEDIATE").await?;
        let seen = item.in_roster || is_in_roster(&mut tx, account, &item.jid).await?;
        let version = version(&mut tx, account, seen).await?;
        let groups = (!item.groups.is_empty()).then(|| item.groups.join("\u{1f}"));
        sqlx::query(concat!(
            "INSERT INTO roster_item (account, version, ",
            item_columns!(),
            ")
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (account, jid) DO UPDATE SET
                 version = excluded.version, name = excluded.name,
                 subscription = excluded.subscription, ask = excluded.ask,
                 approved = excluded.approved, in_roster = excluded.in_roster,
                 pending_in = excluded.pending_in, groups = excluded.groups"
        ))
        .bind(account.0)
        .bind(version as i64)
        .bind(item.jid.bare_str())
        .bind(item.name.as_deref())
        .bind(item.subscription.to_code())
        .bind(item.ask)
        .bind(item.approved)
        .bind(item.in_roster)
        .bind(item.pending_in.as_deref())
        .bind(groups)
        .execute(&mut *tx)
        .await?;
        if item.in_roster {
            sqlx::query("DELETE FROM roster_tombstone WHERE account = ?1 AND jid = ?2")
                .bind(account.0)
                .bind(item.jid.bare_str())
                .execute(&mut *tx)
                .await?;
        } else if seen {
            bury(&mut tx, account, &item.jid, version).await?;
        }
        tx.commit().await?;
        Ok(version)
    }

    /// Removes an item, whatever it holds, and returns the roster's version.
    ///
    /// # Errors
    /// The database's; [`sqlx::Error::RowNotFound`] when there is no such account.
    pub async fn roster_remove(&self, account: AccountId, jid: &Jid) -> Result<u64, StoreError> {
        let Db::Sqlite(db) = self;
        let mut tx = db.writer.begin_with("BEGIN IMMEDIATE").await?;
        let seen = is_in_roster(&mut tx, account, jid).await?;
        let version = version(&mut tx, account, seen).await?;
        sqlx::query("DELETE FROM roster_item WHERE account = ?1 AND jid = ?2")
            .bind(account.0)
            .bind(jid.bare_str())
            .execute(&mut *tx)
            .await?;
        if seen {
            bury(&mut tx, account, jid, version).await?;
        }
        tx.commit().await?;
        Ok(version)
    }

    /// What clients see changed after a version, in the order it happened (XEP-0237 §4). None when
    /// that is not known any more, or the version is not from this server: send the whole roster.
    ///
    /// # Errors
    /// The database's.
    pub async fn roster_changes_since(
        &self,
        account: AccountId,
        since: u64,
    ) -> Result<Option<Vec<RosterChange>>, StoreError> {
        let Db::Sqlite(db) = self;
        let Ok(since) = i64::try_from(since) else { return Ok(None) };
        let mut tx = db.readers.begin().await?;
        let row: Option<(i64, i64)> =
            sqlx::query_as("SELECT roster_version, roster_floor FROM account WHERE id = ?1")
                .bind(account.0)
                .fetch_optional(&mut *tx)
                .await?;
        match row {
            Some((version, floor)) if (floor..=version).contains(&since) => {}
            _ => return Ok(None),
        }
        let puts: Vec<(i64, String)> = sqlx::query_as(
            "SELECT version, jid FROM roster_item WHERE account = ?1 AND version > ?2 AND in_roster",
        )
        .bind(account.0)
        .bind(since)
        .fetch_all(&mut *tx)
        .await?;
        let removed: Vec<(i64, String)> =
            sqlx::query_as("SELECT version, jid FROM roster_tombstone WHERE account = ?1 AND version > ?2")
                .bind(account.0)
                .bind(since)
                .fetch_all(&mut *tx)
                .await?;
        let mut changes = Vec::with_capacity(puts.len() + removed.len());
        if !puts.is_empty() {
            // Few of the items changed, but a roster is small: one more statement reads them all.
            let mut items: std::collections::HashMap<Jid, RosterItem> =
                load(&mut tx, account).await?.into_iter().map(|item| (item.jid.clone(), item)).collect();
            for (version, jid) in puts {
                if let Some(item) = items.remove(jid.as_str()) {
                    changes.push((version, RosterChange::Put(item)));
                }
            }
        }
        for (version, jid) in removed {
            changes.push((version, RosterChange::Removed(stored_jid(&jid)?)));
        }
        changes.sort_by_key(|(version, _)| *version);
        Ok(Some(changes.into_iter().map(|(_, change)| change).collect()))
    }
}

async fn is_in_roster(
    conn: &mut SqliteConnection,
    account: AccountId,
    jid: &Jid,
) -> Result<bool, sqlx::Error> {
    let row: Option<(bool,)> =
        sqlx::query_as("SELECT in_roster FROM roster_item WHERE account = ?1 AND jid = ?2")
            .bind(account.0)
            .bind(jid.bare_str())
            .fetch_optional(conn)
            .await?;
    Ok(row.is_some_and(|row| row.0))
}

/// The roster's version; with `next`, the one after it from now on.
async fn version(conn: &mut SqliteConnection, account: AccountId, next: bool) -> Result<u64, sqlx::Error> {
    let (version,): (i64,) = sqlx::query_as(
        "UPDATE account SET roster_version = roster_version + ?2 WHERE id = ?1 RETURNING roster_version",
    )
    .bind(account.0)
    .bind(i64::from(next))
    .fetch_one(conn)
    .await?;
    Ok(version as u64)
}

/// Leaves a tombstone and forgets the oldest ones above [`TOMBSTONES_MAX`].
async fn bury(
    conn: &mut SqliteConnection,
    account: AccountId,
    jid: &Jid,
    version: u64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO roster_tombstone (account, jid, version) VALUES (?1, ?2, ?3)
         ON CONFLICT (account, jid) DO UPDATE SET version = excluded.version",
    )
    .bind(account.0)
    .bind(jid.bare_str())
    .bind(version as i64)
    .execute(&mut *conn)
    .await?;
    let oldest: Option<(i64,)> = sqlx::query_as(
        "SELECT version FROM roster_tombstone WHERE account = ?1 ORDER BY version DESC LIMIT 1 OFFSET ?2",
    )
    .bind(account.0)
    .bind(TOMBSTONES_MAX)
    .fetch_optional(&mut *conn)
    .await?;
    let Some((floor,)) = oldest else { return Ok(()) };
    sqlx::query("DELETE FROM roster_tombstone WHERE account = ?1 AND version <= ?2")
        .bind(account.0)
        .bind(floor)
        .execute(&mut *conn)
        .await?;
    sqlx::query("UPDATE account SET roster_floor = ?2 WHERE id = ?1")
        .bind(account.0)
        .bind(floor)
        .execute(&mut *conn)
        .await?;
    Ok(())
}
