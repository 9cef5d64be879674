//! The reliable channel: the one mechanism that carries messages between processes.
//!
//! Core NATS is at most once: a broken connection loses what was in its buffers, a slow consumer
//! loses messages, and order holds only within one connection. A [`Sender`] at one end and a
//! [`Receiver`] at the other repair all three. Neither does I/O, reads a clock or draws a random
//! number: the driver passes the time in, polls for what to transmit, and may be a simulation.
//!
//! # The protocol
//!
//! A *lane* is one ordered stream of messages from one sender to one target. Messages are numbered
//! from 1 within a lane and one incarnation of its sender. Two cumulative counters come back:
//!
//! - `received`: the target's present owner has it. Nothing to re-send while that owner lives.
//! - `confirmed`: its effect is durable. The sender forgets it and may tell its own upstream.
//!
//! Every message carries `base`, the first number the sender has no confirmation for. A receiver
//! that does not know the lane (it just took the partition over, or has forgotten it) starts there.
//! It delivers in order and without gaps, drops what it has seen, and answers a gap with what it
//! expects; there is no reordering buffer, because a bus connection keeps order. It refuses a sender
//! whose epoch was superseded, and stops itself when a sender knows a higher epoch than its own (I4).
//!
//! The sender holds what is unconfirmed, bounded in messages and bytes by its own limit and by
//! the receiver's credit ([`Window`]); when that is full [`Sender::push`] hands the message
//! back and the caller stops reading its source (I7). It re-sends from the first unconfirmed when
//! the target has a new owner. After a reconnect or a silence it first asks (a probe without payload,
//! with back-off) and re-sends from what the answer says is missing: one small round trip is cheaper
//! than repeating a window of which all but the last milliseconds did arrive.
//!
//! Acknowledgements wait a little so that they ride in a packet that goes that way anyhow
//! ([`Receiver::ride`]) and so that one covers many messages.
//!
//! # The contract with the application
//!
//! 1. Confirm ([`Receiver::confirm`]) only what is durable. Any order will do; the counter that
//!    goes back covers the contiguous prefix.
//! 2. A new owner is sent again whatever the old one had not confirmed, although its effect may be
//!    durable already. So an effect is written *in the same transaction* as the number of the message
//!    it comes from, and a number at or below the stored one has no effect (but is confirmed). Where
//!    the message can outlive its sender, because something upstream repeats it, the number is
//!    the upstream's: (session, number in its inbound sequence), not the lane's.
//! 3. For any one source, effects become durable in the order delivered.
//! 4. A write carries the receiver's epoch, and the database refuses a lower one.
//!
//! # How the NATS bus uses it
//!
//! | from | lane (`Head::lane`, `Head::from`) | target, subject | `Head::to` |
//! |---|---|---|---|
//! | gateway, router | its `NodeId`; epoch 0, incarnation = `NodeId` | partition, `in.<p>.<token>` | owner: epoch from the database |
//! | owner of a partition | the partition; its epoch, incarnation = `NodeId` | gateway, `gw.<NodeId>` | the gateway: epoch 0 |
//!
//! - One `Sender` per (node, partition it talks to), made on first use, dropped when idle and empty;
//!   one `Receiver` per owned partition, and one per gateway. All of a partition's traffic from one
//!   node is one lane, so stanzas of one session, and between two full JIDs, keep their order (I2).
//! - A router that takes a partition over makes a `Receiver` with the new epoch, subscribes, and
//!   announces (partition, epoch, incarnation); whoever hears it calls [`Sender::announced`] on its
//!   senders to that partition and [`Receiver::fence`] on its receivers of that partition's lane.
//!   The announcement is a hint that saves a probe's delay; losing it does no harm.
//! - A node that dies ends its lanes: drop the senders to it and re-route or fail
//!   [`Sender::into_unconfirmed`]; a receiver forgets its lane by itself.
//! - A router's lanes to other partitions are its own, not its partitions': a routed stanza names
//!   the partition and epoch it was sent for, and its (session, number) makes a repeat harmless.
//! - Frames and acknowledgements that go to the same subject in one turn share one bus message
//!   ([`wire`]). Put one lane on one connection: shard by partition, never round-robin.
//! - `confirmed` is the receipt of I1: what a router routed onward it confirms to the gateway's lane
//!   when the lanes it used in turn were confirmed (or its own log was committed).

mod header;
mod mutation;
mod receiver;
mod sender;
mod stream;
pub mod wire;

pub use header::{Ack, Frame, Head, Instance, Lane, Reason, Refusal, Window};
pub use receiver::{Receiver, ReceiverLimits, Verdict};
pub use sender::{Body, Heard, PushError, Sender, SenderLimits, Standing, Transmit};
pub use stream::Delivery;

#[cfg(test)]
pub use mutation::{Bug, plant};

/// Time since a start of the driver's choosing. It never goes back.
pub type Time = std::time::Duration;
