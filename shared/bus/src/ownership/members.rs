//! Rendezvous hashing of partitions over the live routers.

use crate::NodeId;

/// A live router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// Hash of its name: a router that restarts gets the same partitions.
    key: u64,
    /// Its present run.
    pub node: NodeId,
}

impl Member {
    /// The router of this name in its present run.
    pub fn new(name: &str, node: NodeId) -> Member {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325; // FNV-1a: names are few and trusted
        for byte in name.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Member { key: mix(hash), node }
    }

    fn score(&self, partition: u32) -> u64 {
        mix(self.key ^ mix(u64::from(partition) + 1))
    }
}

/// The live routers, in one view of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members(Vec<Member>);

/// A partition whose owner is another in the next view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// The partition.
    pub partition: u32,
    /// Its owner before; none when nobody was there.
    pub from: Option<NodeId>,
    /// Its owner now; none when nobody is left.
    pub to: Option<NodeId>,
}

impl Members {
    /// A view. The order of the members and repetitions make no difference.
    pub fn new(members: impl IntoIterator<Item = Member>) -> Members {
        let mut members: Vec<Member> = members.into_iter().collect();
        members.sort_unstable();
        members.dedup();
        Members(members)
    }

    /// Who should own the partition: the member with the highest score for it.
    pub fn owner(&self, partition: u32) -> Option<NodeId> {
        // Two runs of one name score the same while the older one's lease lasts: the order decides.
        self.0.iter().max_by_key(|member| (member.score(partition), **member)).map(|member| member.node)
    }

    /// Whether this run of a router is live.
    pub fn contains(&self, node: NodeId) -> bool {
        self.0.iter().any(|member| member.node == node)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody is live.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What moves when `next` follows this view, of `partitions` partitions.
    pub fn moves(&self, next: &Members, partitions: u32) -> impl Iterator<Item = Move> {
        (0..partitions)
            .map(|partition| Move { partition, from: self.owner(partition), to: next.owner(partition) })
            .filter(|step| step.from != step.to)
    }
}

/// SplitMix64's finaliser. All routers of a cluster must agree on it, whatever their version.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const PARTITIONS: u32 = 1024;

    fn members(count: u64) -> Vec<Member> {
        (1..=count).map(|n| Member::new(&format!("router-{n}"), NodeId(n))).collect()
    }

    #[test]
    fn versions_agree() {
        let view = Members::new(members(4));
        let owners: Vec<u64> = (0..16).filter_map(|p| view.owner(p)).map(|node| node.0).collect();
        assert_eq!(owners, [2, 3, 4, 1, 1, 3, 1, 3, 2, 3, 3, 1, 2, 4, 4, 2]);
    }

    #[test]
    fn nobody_owns_nothing() {
        assert_eq!(Members::default().owner(0), None);
        let moves: Vec<Move> = Members::default().moves(&Members::new(members(1)), 2).collect();
        let to_first = |partition| Move { partition, from: None, to: Some(NodeId(1)) };
        assert_eq!(moves, [to_first(0), to_first(1)]);
    }

    #[test]
    fn shares_are_about_equal() {
        for count in 2..=10 {
            let view = Members::new(members(count));
            let mut shares: BTreeMap<NodeId, f64> = BTreeMap::new();
            for owner in (0..PARTITIONS).filter_map(|p| view.owner(p)) {
                *shares.entry(owner).or_default() += 1.0;
            }
            let fair = f64::from(PARTITIONS) / count as f64;
            let allowed = 4.0 * fair.sqrt();
            assert!(shares.values().all(|share| (share - fair).abs() < allowed), "{count}: {shares:?}");
        }
    }

    #[test]
    fn a_restarted_router_gets_its_partitions_back() {
        let before = Members::new(members(3));
        let mut after = members(3);
        after[1] = Member::new("router-2", NodeId(99));
        let after = Members::new(after);
        for step in before.moves(&after, PARTITIONS) {
            assert_eq!((step.from, step.to), (Some(NodeId(2)), Some(NodeId(99))));
        }
    }

    proptest! {
        #[test]
        fn whoever_sees_the_same_members_sees_the_same_owners(
            names in proptest::collection::vec("[a-z]{1,8}", 1..8),
            rotate in 0usize..8,
            partition in 0..PARTITIONS,
        ) {
            let list: Vec<Member> =
                names.iter().zip(1..).map(|(name, n)| Member::new(name, NodeId(n))).collect();
            let mut other = list.clone();
            other.rotate_left(rotate % list.len());
            other.push(list[0]);
            prop_assert_eq!(Members::new(list).owner(partition), Members::new(other).owner(partition));
        }

        #[test]
        fn a_change_moves_no_more_than_it_must(seed in any::<u64>(), count in 1u64..12) {
            let mut list: Vec<Member> =
                (1..=count).map(|n| Member::new(&format!("{seed:x}-{n}"), NodeId(n))).collect();
            let before = Members::new(list.clone());
            let newcomer = NodeId(100);
            list.push(Member::new(&format!("{seed:x}-new"), newcomer));
            let after = Members::new(list);
            let joins: Vec<Move> = before.moves(&after, PARTITIONS).collect();
            prop_assert!(joins.iter().all(|step| step.to == Some(newcomer)), "only the newcomer gets any");
            let leaves: Vec<Move> = after.moves(&before, PARTITIONS).collect();
            prop_assert!(leaves.iter().all(|step| step.from == Some(newcomer)), "only the leaver loses any");
            let fair = f64::from(PARTITIONS) / (count + 1) as f64;
            let off = (joins.len() as f64 - fair).abs();
            prop_assert!(off < 6.0 * fair.sqrt(), "{} moved, {} expected", joins.len(), fair);
        }
    }
}
