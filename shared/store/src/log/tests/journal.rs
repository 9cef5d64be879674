//! The journal's files alone: torn frames, damage, turning from one file to the other.

use crate::StoreError;
use crate::log::journal::{HEADER_BYTES, JournalFiles};
use crate::log::wire::seal;
use proptest::prelude::*;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use tempfile::{TempDir, tempdir};

const BLOCK: u64 = 4096;

/// The journal with what its owner knows.
struct World {
    dir: TempDir,
    files: JournalFiles,
    last: u64,
    settling: u64,
    settled: u64,
}

impl World {
    fn new() -> World {
        let dir = tempdir().unwrap();
        let (files, frames) = JournalFiles::open(dir.path(), 0).unwrap();
        assert!(frames.is_empty());
        World { dir, files, last: 0, settling: 0, settled: 0 }
    }

    /// Writes the next frame, of so many blocks.
    fn write(&mut self, blocks: usize) {
        self.last += 1;
        let mut data = self.last.to_le_bytes().to_vec();
        data.resize(blocks * BLOCK as usize - HEADER_BYTES - 8, 7);
        seal(&mut data);
        let mut frame = [&[0; HEADER_BYTES][..], &data].concat();
        self.files.write(self.last, &mut frame, self.settling, self.settled).unwrap();
    }

    fn settle(&mut self) {
        self.settling = self.last;
        self.settled = self.last;
    }

    /// Starts again; the numbers of the frames that are not settled.
    fn reopen(&mut self) -> Result<Vec<u64>, StoreError> {
        let (files, frames) = JournalFiles::open(self.dir.path(), self.settled)?;
        self.files = files;
        self.settling = 0;
        for frame in &frames {
            assert_eq!(frame.data[..8], frame.seq.to_le_bytes());
        }
        Ok(frames.iter().map(|frame| frame.seq).collect())
    }

    /// Breaks one block of a file.
    fn damage(&self, name: &str, block: u64) {
        let file = File::options().write(true).open(self.dir.path().join(name)).unwrap();
        file.write_all_at(b"damage", block * BLOCK + 40).unwrap();
    }

    fn is_corrupt(&mut self) -> bool {
        matches!(self.reopen(), Err(StoreError::Corrupt(_)))
    }
}

fn size(dir: &Path, name: &str) -> u64 {
    std::fs::metadata(dir.join(name)).unwrap().len()
}

#[test]
fn a_torn_last_frame_is_dropped_and_its_place_used_again() {
    let mut world = World::new();
    (0..3).for_each(|_| world.write(2));
    world.damage("journal-0", 5);
    assert_eq!(world.reopen().unwrap(), [1, 2]);
    world.last = 2;
    world.write(1);
    world.write(1);
    assert_eq!(world.reopen().unwrap(), [1, 2, 3, 4]);
}

#[test]
fn a_damaged_frame_before_the_last_stops_the_start() {
    let mut world = World::new();
    (0..3).for_each(|_| world.write(1));
    world.damage("journal-0", 1);
    assert!(world.is_corrupt());
    // The last of the one file when the other goes on: a gap.
    let mut world = World::new();
    (0..3).for_each(|_| world.write(1));
    world.settling = 2;
    world.write(1);
    assert_eq!(world.reopen().unwrap(), [1, 2, 3, 4]);
    world.damage("journal-0", 2);
    assert!(world.is_corrupt());
    // Settled frames are not needed.
    world.settled = 3;
    assert_eq!(world.reopen().unwrap(), [4]);
}

#[test]
fn a_torn_first_frame_over_old_ones_is_no_damage() {
    let mut world = World::new();
    (0..5).for_each(|_| world.write(1));
    world.settle();
    world.write(1); // 6, into the other file
    world.settle();
    world.write(1); // 7, over 1
    world.damage("journal-0", 0);
    assert_eq!(world.reopen().unwrap(), [] as [u64; 0]);
}

#[test]
fn files_do_not_grow_for_ever() {
    let mut world = World::new();
    for _ in 0..300 {
        (0..5).for_each(|_| world.write(3));
        world.settle();
    }
    for name in ["journal-0", "journal-1"] {
        assert_eq!(size(world.dir.path(), name), 1 << 20, "{name}");
    }
}

#[test]
fn a_database_that_is_older_than_the_journal_stops_the_start() {
    let mut world = World::new();
    (0..5).for_each(|_| world.write(1));
    world.settle();
    world.write(1);
    world.settle();
    world.write(1);
    world.settled = 3;
    assert!(world.is_corrupt());
}

#[derive(Debug, Clone)]
enum Op {
    Write { blocks: usize },
    SettlingBegins,
    SettlingEnds,
    Reopen { torn: bool },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (1..5usize).prop_map(|blocks| Op::Write { blocks }),
        2 => Just(Op::SettlingBegins),
        2 => Just(Op::SettlingEnds),
        1 => any::<bool>().prop_map(|torn| Op::Reopen { torn }),
    ]
}

proptest! {
    #[test]
    fn what_is_not_settled_is_read_again(ops in prop::collection::vec(op(), 1..80)) {
        let mut world = World::new();
        for op in ops {
            match op {
                Op::Write { blocks } => world.write(blocks),
                Op::SettlingBegins => world.settling = world.last,
                Op::SettlingEnds => world.settled = world.settled.max(world.settling),
                Op::Reopen { torn } => {
                    if torn {
                        // One more was being written: its first block is there, the second not.
                        world.write(2);
                        let last = world.last;
                        let mut torn = false;
                        for name in ["journal-0", "journal-1"] {
                            let path = world.dir.path().join(name);
                            let data = std::fs::read(&path).unwrap();
                            let starts = (0..data.len()).step_by(BLOCK as usize);
                            for at in starts.filter(|at| data[at + 8..at + 16] == last.to_le_bytes()) {
                                let file = File::options().write(true).open(&path).unwrap();
                                file.write_all_at(&[9; 100], at as u64 + BLOCK).unwrap();
                                torn = true;
                            }
                        }
                        prop_assert!(torn);
                        world.last -= 1;
                    }
                    let expected: Vec<u64> = (world.settled + 1..=world.last).collect();
                    prop_assert_eq!(world.reopen().unwrap(), expected);
                }
            }
        }
    }
}
