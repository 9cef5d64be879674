//! What the two ends of a channel say to each other, apart from the messages themselves.

/// The stable name of a sender towards one target: what it sends *for*, be it a node or a
/// partition. Incarnations of the same lane supersede each other by epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(pub u64);

/// Who acts for a lane or a target at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Instance {
    /// Fencing epoch: never goes back, and no two incarnations share one. 0 for what is
    /// never taken over.
    pub epoch: u64,
    /// The run of the process.
    pub incarnation: u64,
}

/// How much may be unconfirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Messages.
    pub messages: u32,
    /// Bytes of their payloads. A single message may exceed it, or it could never be sent.
    pub bytes: u32,
}

impl Window {
    /// The smaller of the two, in each respect.
    pub fn min(self, other: Window) -> Window {
        Window { messages: self.messages.min(other.messages), bytes: self.bytes.min(other.bytes) }
    }

    /// Whether one more message of `more` bytes fits beside `messages` of `bytes` in total.
    pub(super) fn fits(self, messages: u64, bytes: u64, more: u32) -> bool {
        messages < u64::from(self.messages)
            && (messages == 0 || bytes + u64::from(more) <= u64::from(self.bytes))
    }
}

/// What goes before every frame; frames sent together share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The lane.
    pub lane: Lane,
    /// The sender.
    pub from: Instance,
    /// The target's owner as far as the sender knows.
    pub to: Option<Instance>,
    /// First number without a confirmation: all below it are durable and will not be sent again.
    pub base: u64,
}

/// What a receiver gets with a [`Head`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// A message.
    Message {
        /// Its number.
        seq: u64,
        /// The size of its payload.
        bytes: u32,
    },
    /// A question: acknowledge now. The sender has sent all below `next`.
    Probe {
        /// The number that it would send next.
        next: u64,
    },
}

/// The receiver's counters for one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// The lane.
    pub lane: Lane,
    /// The sender it is meant for.
    pub to: Instance,
    /// The receiver.
    pub from: Instance,
    /// How often this receiver has started to count: a higher one means that it has forgotten
    /// what it said of the lane before. From 1.
    pub generation: u64,
    /// The last number received in order.
    pub received: u64,
    /// The last number of which it and all before it have had their durable effect.
    pub confirmed: u64,
    /// Numbers after `received` were sent but did not arrive, or found no room that there is now.
    pub gap: bool,
    /// How much may be unconfirmed from now on.
    pub credit: Window,
}

/// The answer to a sender that is not listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The lane.
    pub lane: Lane,
    /// The sender it is meant for.
    pub to: Instance,
    /// Who refuses.
    pub from: Instance,
    /// Why.
    pub reason: Reason,
}

/// Why a sender is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Another instance acts for the lane: stop.
    Superseded {
        /// That one.
        by: Instance,
    },
    /// The frames were meant for another run of this process, which is gone.
    WrongReceiver,
    /// The receiver remembers as many lanes as it may: try again later.
    Busy,
}
