//! What the channel costs in packets, and that one lane's acknowledgements ride with the other's
//! messages. Two processes, a lane each way, a perfect network; packets go through their encoding.

use crate::channel::wire::Packet;
use crate::channel::{
    Body, Delivery, Instance, Lane, Receiver, ReceiverLimits, Sender, SenderLimits, Time, Verdict,
};
use bytes::Bytes;
use std::collections::VecDeque;

const COMMIT_MS: u64 = 20;

/// A process with a lane to the other, and the receiver of the other's.
struct Node {
    sender: Sender<Bytes>,
    receiver: Receiver,
    committing: VecDeque<(u64, Delivery)>,
    packets: u64,
    delivered: u64,
    confirmed: u64,
}

impl Node {
    fn new(number: u64) -> Node {
        let me = Instance { epoch: 0, incarnation: number };
        Node {
            sender: Sender::new(Lane(number), me, SenderLimits::default()),
            receiver: Receiver::new(me, ReceiverLimits::default()),
            committing: VecDeque::new(),
            packets: 0,
            delivered: 0,
            confirmed: 0,
        }
    }

    /// One turn of a driver: everything there is goes into one packet.
    fn turn(&mut self, ms: u64, other: u64) -> Option<Bytes> {
        let now = Time::from_millis(ms);
        while let Some((at, delivery)) = self.committing.front().copied()
            && at <= ms
        {
            self.receiver.confirm(now, delivery);
            self.committing.pop_front();
        }
        while self.sender.poll_confirmed().is_some() {
            self.confirmed += 1;
        }
        let mut packet = Packet::default();
        while let Some(transmit) = self.sender.poll_transmit(now) {
            match transmit.body {
                Body::Message { seq, item } => packet.message(transmit.head, seq, item.clone()),
                Body::Probe { next } => packet.probe(transmit.head, next),
            }
        }
        while let Some(ack) = self.receiver.poll_transmit(now) {
            packet.acks.push(ack);
        }
        if !packet.is_empty() {
            packet.acks.extend(self.receiver.ride(Lane(other)));
        }
        (!packet.is_empty()).then(|| {
            self.packets += 1;
            packet.encode()
        })
    }

    fn hear(&mut self, ms: u64, bytes: Bytes) {
        let packet = Packet::decode(bytes).expect("it was encoded here");
        for ack in &packet.acks {
            self.sender.handle_ack(Time::from_millis(ms), ack);
        }
        for batch in &packet.batches {
            for (frame, _) in batch.frames() {
                if let Verdict::Deliver(delivery) =
                    self.receiver.handle(Time::from_millis(ms), &batch.head, frame)
                {
                    self.delivered += 1;
                    // Group commit: everything of the last tick becomes durable together.
                    self.committing.push_back(((ms / COMMIT_MS + 1) * COMMIT_MS, delivery));
                }
            }
        }
    }
}

/// Runs for ten seconds; `forth` and `back` say how many messages are pushed in which millisecond.
fn run(forth: impl Fn(u64) -> u64, back: impl Fn(u64) -> u64) -> (Node, Node) {
    let (mut one, mut two) = (Node::new(1), Node::new(2));
    for ms in 0..12_000 {
        let now = Time::from_millis(ms);
        let pushes = |count: u64| if ms < 10_000 { count } else { 0 };
        for _ in 0..pushes(forth(ms)) {
            one.sender.push(now, Bytes::from_static(b"<message/>"), 10).expect("the window is large enough");
        }
        for _ in 0..pushes(back(ms)) {
            two.sender.push(now, Bytes::from_static(b"<message/>"), 10).expect("the window is large enough");
        }
        if let Some(bytes) = one.turn(ms, 2) {
            two.hear(ms, bytes);
        }
        if let Some(bytes) = two.turn(ms, 1) {
            one.hear(ms, bytes);
        }
    }
    assert!(one.sender.is_empty() && two.sender.is_empty(), "everything was confirmed");
    (one, two)
}

#[test]
fn a_busy_lane_needs_few_acknowledgements() {
    let (one, two) = run(|_| 20, |_| 0); // 20,000 a second
    assert_eq!(two.delivered, 200_000);
    assert_eq!(one.packets, 10_000, "the messages of one turn share a packet");
    assert!(two.packets <= 10_000 / COMMIT_MS + 10, "one acknowledgement per commit, not {}", two.packets);
}

#[test]
fn a_quiet_lane_needs_one_acknowledgement_for_each_message() {
    let (one, two) = run(|ms| u64::from(ms % 1000 == 0), |_| 0);
    assert_eq!((one.packets, two.delivered), (10, 10));
    assert_eq!(
        two.packets,
        1 + 10,
        "reception and confirmation together, once the sender knows whom it talks to"
    );
}

#[test]
fn acknowledgements_ride_with_messages_the_other_way() {
    let every = |phase: u64| move |ms: u64| u64::from(ms % 20 == phase); // 50 a second
    let (one, two) = run(every(0), every(1));
    assert_eq!((one.delivered, two.delivered), (500, 500));
    let pure = one.packets + two.packets - 1000;
    assert!(pure <= 10, "{pure} packets for 1000 messages had nothing but an acknowledgement");
}

#[test]
fn a_silent_lane_is_silent() {
    let (one, two) = run(|ms| u64::from(ms == 0), |_| 0);
    assert_eq!((one.packets, two.packets), (1, 2));
}
