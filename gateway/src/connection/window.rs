//! Stanzas of a session that are not confirmed yet: when there are too many, the socket is not read
//! until some are, so that a client cannot send faster than its messages become durable (I7).

use crate::settings::Settings;

/// The inbound sequence as the gateway sees it.
#[derive(Default)]
pub struct Window {
    /// Last number that was sent to the owner.
    routed: u64,
    /// Last number that is confirmed.
    confirmed: u64,
    /// Bytes sent since everything was confirmed.
    bytes: usize,
    /// The client asks how far we are: answered when this number is confirmed. 0: it does not.
    asked: u64,
    /// Nothing is read until `wake_at`.
    full: bool,
}

impl Window {
    /// A session begins here, or goes on after a resumption.
    pub fn start(&mut self, handled: u64) {
        *self = Window { routed: handled, confirmed: handled, ..Window::default() };
    }

    /// The next stanza has gone to the owner.
    pub fn routed(&mut self, seq: u64, bytes: usize, settings: &Settings) {
        self.routed = seq;
        self.bytes += bytes;
        self.full =
            self.routed - self.confirmed >= settings.window_stanzas || self.bytes >= settings.window_bytes;
    }

    /// Everything up to `seq` is confirmed. Gives the answer to the client's question, if it is due.
    pub fn confirmed(&mut self, seq: u64, settings: &Settings) -> Option<u64> {
        self.confirmed = self.confirmed.max(seq);
        if self.confirmed >= self.routed {
            self.bytes = 0;
        }
        if self.confirmed >= self.room_at(settings) {
            self.full = false;
        }
        (self.asked != 0 && self.confirmed >= self.asked).then(|| self.answer())
    }

    /// The client asks how far we are. Returns whether nothing was asked before.
    pub fn ask(&mut self, seq: u64) -> bool {
        // Number 0 is confirmed always; asking for it must not look like not asking.
        std::mem::replace(&mut self.asked, seq.max(1)) == 0
    }

    /// Whether the client waits for an answer.
    pub fn is_asked(&self) -> bool {
        self.asked != 0
    }

    /// The number that can be told now.
    pub fn answer(&mut self) -> u64 {
        self.asked = 0;
        self.confirmed
    }

    /// Whether nothing may be read.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// The number whose confirmation matters; the highest number there is where none does.
    pub fn wake_at(&self, settings: &Settings) -> u64 {
        let asked = if self.asked != 0 { self.asked } else { u64::MAX };
        let room = if self.full { self.room_at(settings) } else { u64::MAX };
        asked.min(room)
    }

    /// Where a full window has room again: at its half, so that a client that sends without end is
    /// read in large pieces.
    fn room_at(&self, settings: &Settings) -> u64 {
        match self.bytes >= settings.window_bytes {
            true => self.routed,
            false => self.routed.saturating_sub(settings.window_stanzas / 2),
        }
    }
}
