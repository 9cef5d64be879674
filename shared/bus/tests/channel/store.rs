//! The application's database: it survives every crash, and holds the receiver's end of the
//! contract, the number of the last message beside its effect.

/// One message: who said it, and its number there. The session outlives the channel's sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    pub session: usize,
    pub number: u64,
    pub bytes: u32,
}

/// What came of a write.
#[derive(Debug, PartialEq, Eq)]
pub enum Written {
    Done,
    /// Its effect was there already.
    Already,
    /// The writer's epoch was superseded.
    Fenced,
    /// It is not the next one of its session: an order was broken, or something was lost.
    OutOfOrder,
}

#[derive(Debug)]
pub struct Store {
    pub epoch: u64,
    last: Vec<u64>,
    idempotent: bool,
}

impl Store {
    pub fn new(sessions: usize, idempotent: bool) -> Store {
        Store { epoch: 0, last: vec![0; sessions], idempotent }
    }

    pub fn write(&mut self, epoch: u64, item: Item) -> Written {
        if epoch < self.epoch {
            return Written::Fenced;
        }
        let last = &mut self.last[item.session];
        if item.number <= *last && self.idempotent {
            return Written::Already;
        }
        if item.number != *last + 1 {
            return Written::OutOfOrder;
        }
        *last = item.number;
        Written::Done
    }

    pub fn holds(&self, item: Item) -> bool {
        item.number <= self.last[item.session]
    }
}
