//! What a thread lends to the connection whose turn it is.

use runtime::metrics;
use std::cell::Cell;
use xmpp::stream::Output;

/// Bytes read at once. What is not used up is kept by the connection, so this bounds that too.
const READ_BYTES: usize = 32 * 1024;
/// A buffer of output that grew beyond this is not kept.
const KEEP_BYTES: usize = 256 * 1024;

thread_local! {
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

/// What is lent.
pub struct Scratch {
    pub buffer: Box<[u8]>,
    pub work: Work,
}

/// What a turn does and counts.
#[derive(Default)]
pub struct Work {
    pub out: Output,
    pub stanzas_in: u64,
    pub stanzas_out: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

impl Scratch {
    /// Lends this thread's to `turn`, empty.
    pub fn with(turn: impl FnOnce(&mut Scratch)) {
        // Taken out, not borrowed: should a turn ever lead to another one, that gets its own.
        let mut scratch = SCRATCH.take().unwrap_or_else(|| {
            Box::new(Scratch { buffer: vec![0; READ_BYTES].into_boxed_slice(), work: Work::default() })
        });
        turn(&mut scratch);
        scratch.work.settle();
        SCRATCH.set(Some(scratch));
    }
}

impl Work {
    /// Counts what was done, and is as good as new.
    fn settle(&mut self) {
        for (counter, count) in [
            (&metrics::GATEWAY_STANZAS_IN_TOTAL, &mut self.stanzas_in),
            (&metrics::GATEWAY_STANZAS_OUT_TOTAL, &mut self.stanzas_out),
            (&metrics::GATEWAY_IN_BYTES_TOTAL, &mut self.bytes_in),
            (&metrics::GATEWAY_OUT_BYTES_TOTAL, &mut self.bytes_out),
        ] {
            if *count > 0 {
                counter.increment(std::mem::take(count));
            }
        }
        self.out.commands.clear();
        self.out.bytes.clear();
        if self.out.bytes.capacity() > KEEP_BYTES {
            self.out.bytes = Vec::new();
        }
    }
}
