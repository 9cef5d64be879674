//! The channel call by call, for what a simulation cannot show or does not reach.

use crate::channel::{
    Ack, Body, Delivery, Frame, Head, Heard, Instance, Lane, PushError, Reason, Receiver, ReceiverLimits,
    Refusal, Sender, SenderLimits, Standing, Time, Verdict, Window,
};

const GATEWAY: Instance = Instance { epoch: 0, incarnation: 11 };
const FIRST_OWNER: Instance = Instance { epoch: 1, incarnation: 21 };
const NEXT_OWNER: Instance = Instance { epoch: 2, incarnation: 22 };
const LANE: Lane = Lane(11);

fn ms(value: u64) -> Time {
    Time::from_millis(value)
}

fn sender() -> Sender<&'static str> {
    let window = Window { messages: 4, bytes: 100 };
    Sender::new(LANE, GATEWAY, SenderLimits { window, ..SenderLimits::default() })
}

fn receiver(me: Instance) -> Receiver {
    let window = Window { messages: 4, bytes: 100 };
    Receiver::new(me, ReceiverLimits { window, lanes_max: 2, ..ReceiverLimits::default() })
}

fn head(base: u64) -> Head {
    Head { lane: LANE, from: GATEWAY, to: None, base }
}

fn message(seq: u64) -> Frame {
    Frame::Message { seq, bytes: 10 }
}

fn ack(from: Instance, received: u64, confirmed: u64) -> Ack {
    let credit = Window { messages: 4, bytes: 100 };
    Ack { lane: LANE, to: GATEWAY, from, generation: 1, received, confirmed, gap: false, credit }
}

/// The numbers that go out now; a probe is its `next`, negative.
fn sent(sender: &mut Sender<&'static str>, now: Time) -> Vec<i64> {
    let mut numbers = Vec::new();
    while let Some(transmit) = sender.poll_transmit(now) {
        numbers.push(match transmit.body {
            Body::Message { seq, .. } => seq as i64,
            Body::Probe { next } => -(next as i64),
        });
    }
    numbers
}

#[test]
fn the_window_bounds_messages_and_bytes() {
    let mut sender = sender();
    assert_eq!(sender.push(ms(0), "a", 60), Ok(1));
    assert_eq!(sender.push(ms(0), "b", 60), Err(PushError::Full("b")), "bytes");
    for seq in 2..=4 {
        assert_eq!(sender.push(ms(0), "c", 10), Ok(seq));
    }
    assert_eq!(sender.push(ms(0), "d", 0), Err(PushError::Full("d")), "messages");
    assert_eq!(sender.held(), (4, 90));
}

#[test]
fn a_message_larger_than_the_window_goes_alone() {
    let mut sender = sender();
    assert_eq!(sender.push(ms(0), "giant", 1000), Ok(1));
    assert_eq!(sender.push(ms(0), "next", 1), Err(PushError::Full("next")));
    let mut receiver = receiver(FIRST_OWNER);
    let giant = Frame::Message { seq: 1, bytes: 1000 };
    assert!(matches!(receiver.handle(ms(0), &head(1), giant), Verdict::Deliver(_)));
    assert_eq!(receiver.handle(ms(0), &head(1), message(2)), Verdict::Full);
}

#[test]
fn what_was_confirmed_is_handed_back_and_makes_room() {
    let mut sender = sender();
    for item in ["a", "b", "c", "d"] {
        sender.push(ms(0), item, 1).expect("there is room");
    }
    assert_eq!(sent(&mut sender, ms(0)), [1, 2, 3, 4]);
    assert_eq!(sender.handle_ack(ms(1), &ack(FIRST_OWNER, 3, 2)), Heard::News);
    assert!(!sender.has_room(1), "not before it was taken back");
    assert_eq!(std::iter::from_fn(|| sender.poll_confirmed()).collect::<Vec<_>>(), [(1, "a"), (2, "b")]);
    assert!(sender.has_room(1));
    assert_eq!(sender.into_unconfirmed().collect::<Vec<_>>(), [(3, "c"), (4, "d")]);
}

#[test]
fn an_announcement_resends_from_the_first_unconfirmed() {
    let mut sender = sender();
    for item in ["a", "b", "c"] {
        sender.push(ms(0), item, 1).expect("there is room");
    }
    sent(&mut sender, ms(0));
    sender.handle_ack(ms(1), &ack(FIRST_OWNER, 3, 1));
    sender.announced(ms(2), NEXT_OWNER);
    assert_eq!(sent(&mut sender, ms(2)), [2, 3]);
    assert_eq!(sender.handle_ack(ms(3), &ack(FIRST_OWNER, 3, 3)), Heard::Stale);
    sender.announced(ms(3), NEXT_OWNER);
    assert_eq!(sent(&mut sender, ms(3)), [], "it is known already");
}

#[test]
fn what_a_new_owner_has_already_is_not_resent() {
    let mut sender = sender();
    for item in ["a", "b", "c"] {
        sender.push(ms(0), item, 1).expect("there is room");
    }
    sent(&mut sender, ms(0));
    sender.handle_ack(ms(1), &ack(FIRST_OWNER, 3, 0));
    sender.handle_ack(ms(2), &ack(NEXT_OWNER, 2, 1));
    assert_eq!(sent(&mut sender, ms(2)), [3]);
}

#[test]
fn after_a_reconnect_it_asks_and_resends_what_is_missing() {
    let (mut sender, mut receiver) = (sender(), receiver(FIRST_OWNER));
    for item in ["a", "b", "c"] {
        sender.push(ms(0), item, 10).expect("there is room");
    }
    sent(&mut sender, ms(0));
    receiver.handle(ms(0), &head(1), message(1)); // the others are lost
    sender.reconnected(ms(50));
    assert_eq!(sent(&mut sender, ms(50)), [-4]);
    assert_eq!(receiver.handle(ms(50), &head(1), Frame::Probe { next: 4 }), Verdict::Probed);
    let ack = receiver.poll_transmit(ms(50)).expect("a probe is answered at once");
    assert!(ack.gap && ack.received == 1);
    sender.handle_ack(ms(51), &ack);
    assert_eq!(sent(&mut sender, ms(51)), [2, 3]);
}

#[test]
fn silence_is_probed_with_back_off() {
    let mut sender = sender();
    sender.push(ms(0), "a", 1).expect("there is room");
    assert_eq!(sent(&mut sender, ms(0)), [1]);
    let mut at = Vec::new();
    for _ in 0..6 {
        let next = sender.poll_timeout().expect("something is unconfirmed");
        assert_eq!(sent(&mut sender, next), [-2]);
        at.push(next.as_millis());
    }
    assert_eq!(at, [250, 750, 1750, 3750, 5750, 7750]);
}

#[test]
fn stopped_by_credit_it_asks_when_it_may_go_on() {
    let mut sender = sender();
    let stop = Ack { credit: Window { messages: 0, bytes: 0 }, ..ack(FIRST_OWNER, 0, 0) };
    sender.handle_ack(ms(0), &stop);
    assert_eq!(sender.push(ms(1), "a", 1), Err(PushError::Full("a")));
    assert_eq!(sent(&mut sender, ms(250)), [-1]);
    sender.handle_ack(ms(251), &ack(FIRST_OWNER, 0, 0));
    assert_eq!(sender.push(ms(252), "a", 1), Ok(1));
}

#[test]
fn an_impossible_acknowledgement_is_ignored() {
    let mut sender = sender();
    sender.push(ms(0), "a", 1).expect("there is room");
    sent(&mut sender, ms(0));
    assert_eq!(sender.handle_ack(ms(1), &ack(FIRST_OWNER, 2, 0)), Heard::Stale);
    assert_eq!(sender.handle_ack(ms(1), &ack(FIRST_OWNER, 0, 1)), Heard::Stale);
    let stranger = Ack { to: NEXT_OWNER, ..ack(FIRST_OWNER, 1, 1) };
    assert_eq!(sender.handle_ack(ms(1), &stranger), Heard::Stale);
    assert_eq!(sender.confirmed(), 0);
}

#[test]
fn confirmations_come_in_any_order() {
    let mut receiver = receiver(FIRST_OWNER);
    let mut deliveries: Vec<Delivery> = Vec::new();
    let head = Head { to: Some(FIRST_OWNER), ..head(1) };
    for seq in 1..=3 {
        match receiver.handle(ms(0), &head, message(seq)) {
            Verdict::Deliver(delivery) => deliveries.push(delivery),
            other => panic!("{other:?}"),
        }
    }
    receiver.confirm(ms(1), deliveries[2]);
    receiver.confirm(ms(1), deliveries[1]);
    assert_eq!(receiver.pending(LANE), (3, 30), "the first one is missing");
    assert_eq!(receiver.poll_transmit(ms(10)), None);
    receiver.confirm(ms(11), deliveries[0]);
    receiver.confirm(ms(11), deliveries[0]);
    assert_eq!(receiver.pending(LANE), (0, 0));
    let ack = receiver.poll_transmit(ms(13)).expect("it is due");
    assert_eq!((ack.received, ack.confirmed), (3, 3));
}

#[test]
fn what_another_owner_confirmed_does_not_hold_back_the_rest() {
    let mut receiver = receiver(NEXT_OWNER);
    let deliver = |receiver: &mut Receiver, seq| match receiver.handle(ms(0), &head(1), message(seq)) {
        Verdict::Deliver(delivery) => delivery,
        other => panic!("{other:?}"),
    };
    deliver(&mut receiver, 1);
    let second = deliver(&mut receiver, 2);
    receiver.confirm(ms(1), second);
    receiver.handle(ms(2), &head(2), Frame::Probe { next: 3 });
    assert_eq!(receiver.pending(LANE), (0, 0));
    assert_eq!(receiver.poll_transmit(ms(2)).map(|ack| ack.confirmed), Some(2));
}

#[test]
fn a_new_owner_begins_where_the_sender_says() {
    let mut receiver = receiver(NEXT_OWNER);
    assert_eq!(receiver.handle(ms(0), &head(7), message(9)), Verdict::Gap);
    let ack = receiver.poll_transmit(ms(0)).expect("a gap is told at once");
    assert_eq!((ack.received, ack.confirmed, ack.gap), (6, 6, true));
    assert_eq!(receiver.handle(ms(1), &head(7), message(10)), Verdict::Gap);
    assert_eq!(receiver.poll_transmit(ms(1)), None, "but only once");
    assert!(matches!(receiver.handle(ms(2), &head(7), message(7)), Verdict::Deliver(_)));
    assert_eq!(receiver.handle(ms(2), &head(7), message(7)), Verdict::Duplicate);
}

#[test]
fn a_zombie_owner_learns_that_it_is_one() {
    let mut receiver = receiver(FIRST_OWNER);
    let to_next = Head { to: Some(NEXT_OWNER), ..head(1) };
    assert_eq!(receiver.handle(ms(0), &to_next, message(1)), Verdict::Outdated { owner: NEXT_OWNER });
    let to_first = Head { to: Some(FIRST_OWNER), ..head(1) };
    assert!(matches!(receiver.handle(ms(0), &to_first, message(1)), Verdict::Deliver(_)));
}

#[test]
fn a_zombie_sender_is_refused() {
    let partition = |epoch| Instance { epoch, incarnation: 30 + epoch };
    let from = |epoch| Head { lane: Lane(5), from: partition(epoch), to: None, base: 1 };
    let mut gateway = receiver(GATEWAY);
    assert!(matches!(gateway.handle(ms(0), &from(1), message(1)), Verdict::Deliver(_)));
    gateway.fence(ms(1), Lane(5), partition(2));
    let Verdict::Refused(refusal) = gateway.handle(ms(2), &from(1), message(2)) else {
        panic!("the fence was announced");
    };
    assert_eq!(refusal.reason, Reason::Superseded { by: partition(2) });
    let mut zombie = Sender::<&str>::new(Lane(5), partition(1), SenderLimits::default());
    assert_eq!(zombie.handle_refusal(&refusal), Standing::Superseded { by: partition(2) });
    assert_eq!(zombie.push(ms(3), "late", 1), Err(PushError::Closed("late")));
    assert!(matches!(gateway.handle(ms(4), &from(2), message(1)), Verdict::Deliver(_)), "a new numbering");
}

#[test]
fn a_successor_on_the_same_subject_is_not_mistaken() {
    let restarted = Instance { epoch: 0, incarnation: 12 };
    let mut receiver = receiver(restarted);
    let to_old = Head { lane: Lane(5), from: FIRST_OWNER, to: Some(GATEWAY), base: 3 };
    let Verdict::Refused(refusal) = receiver.handle(ms(0), &to_old, message(3)) else {
        panic!("it was meant for the run before");
    };
    let mut sender = Sender::<&str>::new(Lane(5), FIRST_OWNER, SenderLimits::default());
    sender.announced(ms(0), GATEWAY);
    assert_eq!(sender.handle_refusal(&refusal), Standing::TargetGone { now: restarted });
    assert_eq!(sender.poll_timeout(), None);
}

#[test]
fn it_remembers_a_bounded_number_of_lanes_and_forgets_the_silent() {
    let mut receiver = receiver(FIRST_OWNER);
    let from = |n| Head { lane: Lane(n), from: Instance { epoch: 0, incarnation: n }, to: None, base: 1 };
    let probe = Frame::Probe { next: 1 };
    for n in 1..=2 {
        assert_eq!(receiver.handle(ms(0), &from(n), probe), Verdict::Probed);
    }
    let busy = Refusal {
        lane: Lane(3),
        to: Instance { epoch: 0, incarnation: 3 },
        from: FIRST_OWNER,
        reason: Reason::Busy,
    };
    assert_eq!(receiver.handle(ms(0), &from(3), probe), Verdict::Refused(busy));
    let Verdict::Deliver(delivery) = receiver.handle(ms(1), &from(2), message(1)) else {
        panic!("it is the next one");
    };
    while receiver.poll_transmit(ms(200)).is_some() {}
    assert_eq!(receiver.poll_timeout(), Some(ms(60_000)));
    while receiver.poll_transmit(ms(60_001)).is_some() {}
    assert_eq!(receiver.lanes(), 1, "the application still works on the other");
    receiver.confirm(ms(60_002), delivery);
    while receiver.poll_transmit(ms(130_000)).is_some() {}
    while receiver.poll_transmit(ms(200_000)).is_some() {}
    assert_eq!((receiver.lanes(), receiver.poll_timeout()), (0, None));
}

#[test]
fn a_receiver_that_forgot_says_so_and_gets_what_it_lacks() {
    let mut sender = sender();
    for item in ["a", "b", "c"] {
        sender.push(ms(0), item, 1).expect("there is room");
    }
    sent(&mut sender, ms(0));
    sender.handle_ack(ms(1), &ack(FIRST_OWNER, 3, 1));
    let forgot = Ack { generation: 2, ..ack(FIRST_OWNER, 1, 1) };
    assert_eq!(sender.handle_ack(ms(2), &forgot), Heard::News);
    assert_eq!(sent(&mut sender, ms(2)), [2, 3]);
    let old = ack(FIRST_OWNER, 3, 3);
    assert_eq!(sender.handle_ack(ms(3), &old), Heard::Stale);
}
