//! What was sent, acknowledged and received while the server was killed again and again, and the
//! judgement of it (invariants I1 to I3).

use std::collections::{BTreeMap, BTreeSet};

/// One message as it arrived.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// Which of the receiver's connections it came on, counted from 0.
    pub connection: usize,
    pub number: u64,
    /// The server's name for it (XEP-0359).
    pub stanza_id: String,
}

/// The traffic from one sender to one receiver.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Every number in the order of its sending; again when it was sent again because the sender
    /// did not know whether it had arrived.
    pub attempts: Vec<u64>,
    /// What the server has acknowledged to the sender.
    pub acknowledged: BTreeSet<u64>,
    pub receipts: Vec<Receipt>,
}

impl Ledger {
    /// Everything that contradicts the promises; empty when they were kept.
    pub fn violations(&self) -> Vec<String> {
        let mut found = Vec::new();
        let received: BTreeSet<u64> = self.receipts.iter().map(|r| r.number).collect();
        let lost: Vec<u64> = self.acknowledged.difference(&received).copied().collect();
        if !lost.is_empty() {
            found.push(format!("I1: {} acknowledged but never delivered: {lost:?}", lost.len()));
        }
        let ids = self.numbers_by_id(&mut found);
        self.check_copies(&ids, &mut found);
        self.check_order(&mut found);
        self.check_connections(&mut found);
        found
    }

    /// Stanza-ids in the order of their first arrival, each with its one number.
    fn numbers_by_id(&self, found: &mut Vec<String>) -> BTreeMap<&str, u64> {
        let mut ids: BTreeMap<&str, u64> = BTreeMap::new();
        for receipt in &self.receipts {
            if receipt.stanza_id.is_empty() {
                found.push(format!("{} came without a stanza-id", receipt.number));
            }
            let known = ids.entry(&receipt.stanza_id).or_insert(receipt.number);
            if *known != receipt.number {
                found.push(format!("stanza-id {} is both {known} and {}", receipt.stanza_id, receipt.number));
            }
        }
        ids
    }

    /// I3: as many different copies of a number as there were attempts to send it, at most.
    fn check_copies(&self, ids: &BTreeMap<&str, u64>, found: &mut Vec<String>) {
        let mut copies: BTreeMap<u64, usize> = BTreeMap::new();
        ids.values().for_each(|number| *copies.entry(*number).or_default() += 1);
        for (number, count) in copies {
            let attempts = self.attempts.iter().filter(|n| **n == number).count();
            if count > attempts {
                found.push(format!(
                    "I3: {number} was sent {attempts} times and came under {count} stanza-ids"
                ));
            }
        }
    }

    /// I2: first arrivals come in the order of the attempts.
    fn check_order(&self, found: &mut Vec<String>) {
        let mut seen = BTreeSet::new();
        let first_arrivals = self.receipts.iter().filter(|r| seen.insert(r.stanza_id.as_str()));
        let mut attempts = self.attempts.iter();
        for receipt in first_arrivals {
            if !attempts.any(|number| *number == receipt.number) {
                found.push(format!(
                    "I2: {} came out of order (stanza-id {})",
                    receipt.number, receipt.stanza_id
                ));
                return;
            }
        }
    }

    /// I2, I3 on each connection: in order, and nothing twice.
    fn check_connections(&self, found: &mut Vec<String>) {
        let connections: BTreeSet<usize> = self.receipts.iter().map(|r| r.connection).collect();
        for connection in connections {
            let mut attempts = self.attempts.iter();
            let mut seen = BTreeSet::new();
            for receipt in self.receipts.iter().filter(|r| r.connection == connection) {
                if !seen.insert(&receipt.stanza_id) {
                    found.push(format!("I3: {} came twice on connection {connection}", receipt.number));
                    break;
                }
                if !attempts.any(|number| *number == receipt.number) {
                    found
                        .push(format!("I2: {} came out of order on connection {connection}", receipt.number));
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sender that lost its connection after 4 with 2 acknowledged; the receiver lost its own
    /// after 3, and got 3 again, recognisably.
    fn good() -> Ledger {
        let mut ledger = Ledger { attempts: vec![1, 2, 3, 4, 3, 4, 5], ..Ledger::default() };
        ledger.acknowledged.extend(1..=5);
        for (connection, number, id) in [
            (0, 1, "a"),
            (0, 2, "b"),
            (0, 3, "c"),
            (1, 3, "c"),
            (1, 4, "d"),
            (1, 3, "e"),
            (1, 4, "f"),
            (1, 5, "g"),
        ] {
            ledger.receipts.push(Receipt { connection, number, stanza_id: id.to_owned() });
        }
        ledger
    }

    fn check(change: impl Fn(&mut Ledger), complaint: &str) {
        let mut ledger = good();
        change(&mut ledger);
        let found = ledger.violations();
        assert!(found.iter().any(|f| f.contains(complaint)), "{complaint:?} in {found:?}");
    }

    #[test]
    fn kept_promises() {
        assert_eq!(good().violations(), Vec::<String>::new());
        // What was not acknowledged may be lost.
        let mut ledger = good();
        ledger.acknowledged.remove(&5);
        ledger.receipts.pop();
        assert_eq!(ledger.violations(), Vec::<String>::new());
    }

    #[test]
    fn loss_is_seen() {
        check(|l| drop(l.receipts.pop()), "I1: 1 acknowledged but never delivered: [5]");
        check(|l| drop(l.receipts.remove(0)), "[1]");
    }

    #[test]
    fn copies_are_seen() {
        check(|l| l.receipts[7].stanza_id = "a".to_owned(), "is both 1 and 5");
        let again = |connection, id: &str| Receipt { connection, number: 5, stanza_id: id.to_owned() };
        check(|l| l.receipts.push(again(1, "g")), "came twice on connection 1");
        check(|l| l.receipts.push(again(2, "h")), "I3: 5 was sent 1 times and came under 2");
        check(|l| l.receipts[0].stanza_id.clear(), "without a stanza-id");
    }

    #[test]
    fn disorder_is_seen() {
        check(|l| l.receipts.swap(0, 1), "I2: 1 came out of order (stanza-id a)");
        check(|l| l.receipts.swap(6, 7), "out of order");
        // A copy of an old one, behind newer ones of the same connection.
        check(
            |l| l.receipts.push(Receipt { connection: 1, number: 1, stanza_id: "a".to_owned() }),
            "I2: 1 came out of order on connection 1",
        );
    }
}
