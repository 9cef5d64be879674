//! A place for each connection, where owners' answers find it.
//!
//! Places are made in blocks, stay where they are and are used again, so finding one takes no lock
//! and no reference count. Each has a mailbox behind a lock of its own, which nobody holds for more
//! than putting something in or taking all out.

use bus::envelope::GatewayBody;
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::OnceLock;
use std::task::Waker;
use xmpp::error::StreamCondition;

/// Places in a block.
const BLOCK: usize = 1024;

/// Something of the owner.
pub enum Mail {
    /// Write this stanza.
    Deliver { seq: u64, xml: Bytes },
    /// Anything else; rare.
    Answer(Box<GatewayBody>),
}

/// Why a connection is to end at once, whatever waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// More waits for the client than may.
    Overflow,
    /// The process ends.
    Shutdown,
}

/// What waits for one connection.
pub struct Mailbox {
    /// How often the place was used: envelopes for an earlier user find another number.
    generation: u32,
    open: bool,
    /// The connection will look into the mailbox without being woken (again).
    notified: bool,
    /// The owner ends the stream: not to be held up by a client that does not read.
    closing: bool,
    cut: Option<Cut>,
    waker: Option<Waker>,
    queue: Vec<Mail>,
    /// Bytes in the queue, and those that were taken and are not written yet.
    bytes: usize,
    /// Last inbound number that is confirmed.
    confirmed: u64,
    /// The connection waits until this number is confirmed.
    wake_at: u64,
}

/// What the connection found.
pub struct Collected {
    pub queue: Vec<Mail>,
    pub confirmed: u64,
    pub cut: Option<Cut>,
}

impl Mailbox {
    const EMPTY: Mailbox = Mailbox {
        generation: 0,
        open: false,
        notified: false,
        closing: false,
        cut: None,
        waker: None,
        queue: Vec::new(),
        bytes: 0,
        confirmed: 0,
        wake_at: u64::MAX,
    };

    /// Puts in what the owner says. Beyond `bytes_max` the connection is cut: the owner still has
    /// what is not acknowledged.
    fn put(&mut self, body: GatewayBody, bytes_max: usize) {
        match body {
            GatewayBody::Confirm { seq } => {
                self.confirmed = self.confirmed.max(seq);
                if self.confirmed < self.wake_at {
                    return;
                }
            }
            GatewayBody::Deliver { .. } if self.cut.is_some() => return,
            GatewayBody::Deliver { seq, xml } => {
                self.bytes += xml.len();
                if self.bytes > bytes_max {
                    return self.cut(Cut::Overflow);
                }
                self.queue.push(Mail::Deliver { seq, xml });
            }
            answer => {
                match &answer {
                    GatewayBody::Resumed(Ok(resumed)) => self.confirmed = self.confirmed.max(resumed.handled),
                    GatewayBody::Close(_) => {
                        self.closing = true;
                        self.notified = false; // Even where it is stalled.
                    }
                    _ => {}
                }
                self.queue.push(Mail::Answer(Box::new(answer)));
            }
        }
        self.notify();
    }

    /// Ends the connection.
    pub fn cut(&mut self, cut: Cut) {
        if cut == Cut::Overflow {
            self.queue = Vec::new();
        }
        self.cut.get_or_insert(cut);
        self.notified = false;
        self.notify();
    }

    fn notify(&mut self) {
        if !std::mem::replace(&mut self.notified, true)
            && let Some(waker) = &self.waker
        {
            waker.wake_by_ref();
        }
    }

    /// Takes what is there, or arranges to be woken when something comes. A connection that is
    /// `stalled` has no room for more, and leaves it in unless the stream is to end. `written` bytes
    /// of what was taken before have left.
    pub fn collect(&mut self, waker: &Waker, stalled: bool, written: usize, wake_at: u64) -> Collected {
        self.bytes = self.bytes.saturating_sub(written);
        self.wake_at = wake_at;
        let queue = match stalled && !self.closing {
            true => Vec::new(),
            false => std::mem::take(&mut self.queue),
        };
        let collected = Collected { queue, confirmed: self.confirmed, cut: self.cut.take() };
        let nothing = collected.queue.is_empty() && collected.cut.is_none() && self.confirmed < wake_at;
        if nothing {
            // A stalled connection is woken by its socket; mail would do so in vain.
            self.notified = stalled;
            if !self.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
                self.waker = Some(waker.clone());
            }
        }
        collected
    }

    /// Nothing more is taken out.
    pub fn close(&mut self) {
        *self = Mailbox { generation: self.generation, ..Mailbox::EMPTY };
    }

    /// Whether a connection uses the place.
    pub fn is_open(&self) -> bool {
        self.open
    }
}

/// Places that are made together, when the first of them is needed.
type Block = OnceLock<Box<[Mutex<Mailbox>]>>;

/// All places of a gateway.
pub struct Slots {
    blocks: Box<[Block]>,
    free: Mutex<Free>,
}

#[derive(Default)]
struct Free {
    /// Used before and given back.
    returned: Vec<u32>,
    /// The first that was never used.
    next: u32,
}

impl Slots {
    /// Room for this many connections.
    pub fn new(connections_max: usize) -> Slots {
        let blocks = connections_max.div_ceil(BLOCK);
        Slots { blocks: (0..blocks).map(|_| OnceLock::new()).collect(), free: Mutex::default() }
    }

    /// Opens a place: its number and generation. None when all are taken.
    pub fn open(&self) -> Option<(u32, u32)> {
        let slot = {
            let mut free = self.free.lock();
            match free.returned.pop() {
                Some(slot) => slot,
                None if (free.next as usize) < self.blocks.len() * BLOCK => {
                    free.next += 1;
                    free.next - 1
                }
                None => return None,
            }
        };
        let block = self.blocks.get(slot as usize / BLOCK)?;
        block.get_or_init(|| (0..BLOCK).map(|_| Mutex::new(Mailbox::EMPTY)).collect());
        let mut mailbox = self.get(slot)?.lock();
        mailbox.generation = mailbox.generation.wrapping_add(1);
        mailbox.open = true;
        // The connection is about to look for the first time.
        mailbox.notified = true;
        Some((slot, mailbox.generation))
    }

    /// The place with this number, if it was ever used.
    pub fn get(&self, slot: u32) -> Option<&Mutex<Mailbox>> {
        self.blocks.get(slot as usize / BLOCK)?.get()?.get(slot as usize % BLOCK)
    }

    /// Gives a place back.
    pub fn release(&self, slot: u32) {
        if let Some(mailbox) = self.get(slot) {
            mailbox.lock().close();
            self.free.lock().returned.push(slot);
        }
    }

    /// Puts something into the mailbox of a connection, if it is still there.
    pub fn put(&self, slot: u32, generation: u32, body: GatewayBody, bytes_max: usize) {
        let Some(mailbox) = self.get(slot) else { return };
        let mut mailbox = mailbox.lock();
        if mailbox.open && mailbox.generation == generation {
            mailbox.put(body, bytes_max);
        }
    }

    /// Every place that was ever used.
    pub fn all(&self) -> impl Iterator<Item = &Mutex<Mailbox>> {
        self.blocks.iter().filter_map(|block| block.get()).flat_map(|block| block.iter())
    }
}

impl Cut {
    /// What the peer is told, if it can be told anything.
    pub fn condition(self) -> StreamCondition {
        match self {
            Cut::Overflow => StreamCondition::ResourceConstraint,
            Cut::Shutdown => StreamCondition::SystemShutdown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    struct Fixture {
        slots: Slots,
        place: (u32, u32),
        count: Arc<Count>,
        waker: Waker,
    }

    impl Fixture {
        fn new() -> Fixture {
            let slots = Slots::new(2);
            let place = slots.open().unwrap();
            let count = Arc::new(Count::default());
            let fixture = Fixture { slots, place, waker: count.clone().into(), count };
            assert!(fixture.collect(false, 0).queue.is_empty());
            fixture
        }

        fn put(&self, body: GatewayBody) {
            self.slots.put(self.place.0, self.place.1, body, 100);
        }

        fn collect(&self, stalled: bool, written: usize) -> Collected {
            self.slots.get(self.place.0).unwrap().lock().collect(&self.waker, stalled, written, 10)
        }

        fn woken(&self) -> usize {
            self.count.0.swap(0, Ordering::Relaxed)
        }
    }

    fn deliver(bytes: usize) -> GatewayBody {
        GatewayBody::Deliver { seq: 1, xml: Bytes::from(vec![b'x'; bytes]) }
    }

    #[test]
    fn a_connection_is_woken_once_until_it_looks() {
        let fixture = Fixture::new();
        fixture.put(deliver(1));
        fixture.put(deliver(1));
        assert_eq!(fixture.woken(), 1);
        assert_eq!(fixture.collect(false, 0).queue.len(), 2);
        fixture.put(deliver(1));
        assert_eq!(fixture.woken(), 0, "it found something, so it will look again");
        assert_eq!(fixture.collect(false, 0).queue.len(), 1);
        assert!(fixture.collect(false, 0).queue.is_empty());
        fixture.put(deliver(1));
        assert_eq!(fixture.woken(), 1);
    }

    #[test]
    fn confirmations_wake_when_they_are_waited_for() {
        let fixture = Fixture::new();
        fixture.put(GatewayBody::Confirm { seq: 9 });
        assert_eq!((fixture.woken(), fixture.collect(false, 0).confirmed), (0, 9));
        fixture.put(GatewayBody::Confirm { seq: 10 });
        fixture.put(GatewayBody::Confirm { seq: 3 });
        assert_eq!((fixture.woken(), fixture.collect(false, 0).confirmed), (1, 10));
    }

    #[test]
    fn what_is_not_written_counts() {
        let fixture = Fixture::new();
        fixture.put(deliver(60));
        assert_eq!(fixture.collect(false, 0).queue.len(), 1);
        fixture.put(deliver(40));
        assert!(fixture.collect(false, 60).cut.is_none());
        fixture.put(deliver(60));
        assert!(fixture.collect(false, 0).cut.is_none());
        fixture.put(deliver(1));
        let collected = fixture.collect(false, 0);
        assert_eq!((collected.cut, collected.queue.len()), (Some(Cut::Overflow), 0));
    }

    #[test]
    fn a_stalled_connection_leaves_mail_until_the_owner_ends_it() {
        let fixture = Fixture::new();
        assert!(fixture.collect(true, 0).queue.is_empty());
        fixture.put(deliver(1));
        assert_eq!(fixture.woken(), 0);
        assert!(fixture.collect(true, 0).queue.is_empty());
        fixture.put(GatewayBody::Close(StreamCondition::Conflict.into()));
        assert_eq!((fixture.woken(), fixture.collect(true, 0).queue.len()), (1, 2));
    }

    #[test]
    fn a_place_is_used_again_under_another_generation() {
        let fixture = Fixture::new();
        let (slot, generation) = fixture.place;
        fixture.slots.release(slot);
        let again = fixture.slots.open().unwrap();
        assert_eq!(again, (slot, generation + 1));
        fixture.put(deliver(1));
        let mailbox = fixture.slots.get(slot).unwrap();
        assert!(mailbox.lock().collect(&fixture.waker, false, 0, 1).queue.is_empty());
        let mut opened = 1;
        while fixture.slots.open().is_some() {
            opened += 1;
        }
        assert_eq!(opened, BLOCK, "bounded");
    }
}
