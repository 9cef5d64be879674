//! The journal: two files that the committer writes in turn.
//!
//! A commit is one frame, written and synced. Frames start at multiples of [`BLOCK`], so that
//! writing one never touches a block of an earlier one. When a settling has begun, new frames go
//! to the other file if all that it holds is settled; so each file is written from its start
//! again and again, over blocks that it has already.
//!
//! A start reads both files. What a crash can leave is one frame, the last, torn: nobody was told
//! of it and it is dropped. Anything else that does not read is damage and stops the start.

use super::wire::checksum;
use crate::StoreError;
use bytes::Bytes;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Frames start at multiples of this.
const BLOCK: usize = 4096;
/// A file grows by this much at a time, ahead of the frames: growing costs the file system more
/// than writing over what is there.
const GROWTH: u64 = 1 << 20;
/// Bytes of a frame before its data: magic, length, number, checksum of these and of the data's.
pub(super) const HEADER_BYTES: usize = 24;
/// The first bytes of a frame. The last of them is the version of the frame.
const MAGIC: [u8; 4] = *b"WSJ\x01";
const NAMES: [&str; 2] = ["journal-0", "journal-1"];

/// The journal's files.
pub(super) struct JournalFiles {
    sides: [Side; 2],
    active: usize,
}

struct Side {
    file: File,
    path: PathBuf,
    /// Where the next frame goes.
    end: u64,
    /// Size of the file.
    size: u64,
    /// The first and the last frame in it since it was begun; 0 when there is none.
    first: u64,
    last: u64,
}

/// A frame as it is read again.
pub(super) struct Frame {
    pub(super) seq: u64,
    pub(super) data: Bytes,
}

impl JournalFiles {
    /// Opens the files in this directory, making them where they are missing, and reads the frames
    /// after `settled`.
    pub(super) fn open(dir: &Path, settled: u64) -> Result<(JournalFiles, Vec<Frame>), StoreError> {
        let (first, mut frames) = Side::open(&dir.join(NAMES[0]), settled)?;
        let (second, others) = Side::open(&dir.join(NAMES[1]), settled)?;
        let active = usize::from(second.last > first.last);
        frames.extend(others);
        frames.retain(|frame| frame.seq > settled);
        frames.sort_by_key(|frame| frame.seq);
        for (frame, expected) in frames.iter().zip(settled + 1..) {
            if frame.seq != expected {
                let message = format!(
                    "the journal lacks commit {expected} before {}; the database is settled up to {settled}",
                    frame.seq
                );
                return Err(StoreError::Corrupt(message));
            }
        }
        // The names of new files are durable before anything in them is.
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(io(dir))?;
        Ok((JournalFiles { sides: [first, second], active }, frames))
    }

    /// Writes one frame and syncs it. `frame` has [`HEADER_BYTES`] of room and then the data, which
    /// ends with its checksum. Can be repeated when it failed.
    pub(super) fn write(
        &mut self,
        seq: u64,
        frame: &mut Vec<u8>,
        settling: u64,
        settled: u64,
    ) -> Result<(), StoreError> {
        let len = frame.len();
        fill_header(frame, seq);
        frame.resize(len.next_multiple_of(BLOCK), 0);
        self.turn(settling, settled);
        let written = self.sides[self.active].write(seq, frame);
        frame.truncate(len);
        written
    }

    /// Goes on in the other file when that is free and this one has what is being settled.
    fn turn(&mut self, settling: u64, settled: u64) {
        let other = 1 - self.active;
        let here = &self.sides[self.active];
        if here.first != 0 && here.first <= settling && self.sides[other].last <= settled {
            self.active = other;
            let side = &mut self.sides[other];
            (side.end, side.first, side.last) = (0, 0, 0);
        }
    }

    /// Makes the next write fail.
    #[cfg(test)]
    pub(super) fn set_read_only(&mut self, read_only: bool) {
        for side in &mut self.sides {
            side.file = File::options().read(true).write(!read_only).open(&side.path).expect("a file");
        }
    }
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { path, source }
}

impl Side {
    fn open(path: &Path, settled: u64) -> Result<(Side, Vec<Frame>), StoreError> {
        let file = crate::db::private_file(path).map_err(io(path))?;
        let data = Bytes::from(std::fs::read(path).map_err(io(path))?);
        let (frames, end) = read(&data, settled)
            .map_err(|what| StoreError::Corrupt(format!("{}: {what}", path.display())))?;
        let side = Side {
            file,
            path: path.to_owned(),
            end,
            size: data.len() as u64,
            first: frames.first().map_or(0, |frame| frame.seq),
            last: frames.last().map_or(0, |frame| frame.seq),
        };
        Ok((side, frames))
    }

    fn write(&mut self, seq: u64, frame: &[u8]) -> Result<(), StoreError> {
        let end = self.end + frame.len() as u64;
        let write = || {
            if end > self.size {
                let size = end.next_multiple_of(GROWTH);
                self.file.write_all_at(&vec![0; (size - self.size) as usize], self.size)?;
                self.size = size;
            }
            self.file.write_all_at(frame, self.end)?;
            self.file.sync_data()
        };
        let written: std::io::Result<()> = { write }();
        written.map_err(io(&self.path))?;
        self.end = end;
        self.last = seq;
        if self.first == 0 {
            self.first = seq;
        }
        Ok(())
    }
}

fn fill_header(frame: &mut [u8], seq: u64) {
    let data_sum = frame.last_chunk::<8>().copied().unwrap_or_default();
    let len = (frame.len() - HEADER_BYTES) as u32;
    frame[..4].copy_from_slice(&MAGIC);
    frame[4..8].copy_from_slice(&len.to_le_bytes());
    frame[8..16].copy_from_slice(&seq.to_le_bytes());
    let sum = header_sum(&frame[..16], data_sum);
    frame[16..24].copy_from_slice(&sum.to_le_bytes());
}

/// Covers the header and, through its checksum, the data.
fn header_sum(header: &[u8], data_sum: [u8; 8]) -> u64 {
    let mut bytes = [0; 24];
    bytes[..16].copy_from_slice(header);
    bytes[16..].copy_from_slice(&data_sum);
    checksum(&bytes)
}

/// Reads the frames that follow each other from the start of a file; also says where they end.
/// What follows is a torn frame or what an earlier turn left.
fn read(data: &Bytes, settled: u64) -> Result<(Vec<Frame>, u64), String> {
    let mut frames: Vec<Frame> = Vec::new();
    let mut at = 0;
    while let Some(frame) = frame_at(data, at) {
        if frames.last().is_some_and(|last| frame.seq != last.seq + 1) {
            break;
        }
        at += (HEADER_BYTES + frame.data.len()).next_multiple_of(BLOCK);
        frames.push(frame);
    }
    // Nothing is written before the frame in front of it is synced: a later one that reads means
    // that this one was whole once.
    let known = frames.last().map_or(settled, |frame| frame.seq.max(settled));
    let later = (at..data.len()).step_by(BLOCK).filter_map(|at| frame_at(data, at));
    match later.map(|frame| frame.seq).find(|seq| *seq > known) {
        Some(seq) => Err(format!("damaged at byte {at}: commit {seq} comes after it")),
        None => Ok((frames, at as u64)),
    }
}

fn frame_at(data: &Bytes, at: usize) -> Option<Frame> {
    let header = data.get(at..at + HEADER_BYTES)?;
    if header[..4] != MAGIC {
        return None;
    }
    let len = u32::from_le_bytes(header[4..8].try_into().ok()?) as usize;
    let seq = u64::from_le_bytes(header[8..16].try_into().ok()?);
    let start = at + HEADER_BYTES;
    let body = data.get(start..start.checked_add(len)?)?;
    let (content, data_sum) = body.split_last_chunk::<8>()?;
    let is_whole = header_sum(&header[..16], *data_sum).to_le_bytes() == header[16..24]
        && checksum(content).to_le_bytes() == *data_sum;
    is_whole.then(|| Frame { seq, data: data.slice(start..start + len) })
}
