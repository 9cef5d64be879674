//! Packets: what a bus message holds, in protobuf.
//!
//! Tags are never reused and unknown fields are skipped, so that versions can run side by side
//! (I9). Whatever goes to the same subject in one turn shares a packet: acknowledgements ride with
//! messages, and messages of one lane share one head.

use super::header::{Ack, Frame, Head, Instance, Lane, Reason, Refusal, Window};
use bytes::Bytes;
use prost::Message;

/// No honest counter gets here; a larger one would overflow on the way.
const NUMBER_MAX: u64 = 1 << 62;

/// A bus message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packet {
    /// For the senders of lanes that the far end sends in.
    pub acks: Vec<Ack>,
    /// For those that are not listened to.
    pub refusals: Vec<Refusal>,
    /// Frames, by lane.
    pub batches: Vec<Batch>,
}

/// Frames of one lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Goes for all of them.
    pub head: Head,
    /// The number of the first payload; the others follow it without a gap.
    pub first: u64,
    /// Messages.
    pub payloads: Vec<Bytes>,
    /// A question that comes after them: its `next`.
    pub probe: Option<u64>,
}

/// Why bytes are not a packet.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Not protobuf.
    #[error("malformed packet: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// A field without which the packet means nothing.
    #[error("packet without {0}")]
    Missing(&'static str),
    /// A number that cannot be.
    #[error("impossible number in a packet")]
    Impossible,
}

impl Packet {
    /// Whether there is anything to send.
    pub fn is_empty(&self) -> bool {
        self.acks.is_empty() && self.refusals.is_empty() && self.batches.is_empty()
    }

    /// Adds a message, to the batch before it where it continues that.
    pub fn message(&mut self, head: Head, seq: u64, payload: Bytes) {
        if let Some(last) = self.batches.last_mut()
            && last.head == head
            && last.probe.is_none()
            && last.first + last.payloads.len() as u64 == seq
        {
            last.payloads.push(payload);
        } else {
            self.batches.push(Batch { head, first: seq, payloads: vec![payload], probe: None });
        }
    }

    /// Adds a question.
    pub fn probe(&mut self, head: Head, next: u64) {
        match self.batches.last_mut() {
            Some(last) if last.head == head && last.probe.is_none() => last.probe = Some(next),
            _ => self.batches.push(Batch { head, first: next, payloads: Vec::new(), probe: Some(next) }),
        }
    }

    /// The bytes to publish.
    pub fn encode(&self) -> Bytes {
        proto::Packet::from(self).encode_to_vec().into()
    }

    /// Reads what [`Packet::encode`] wrote; payloads share the input's memory.
    pub fn decode(bytes: Bytes) -> Result<Packet, WireError> {
        proto::Packet::decode(bytes)?.try_into()
    }
}

impl Batch {
    /// The frames in order, messages with their payloads.
    pub fn frames(&self) -> impl Iterator<Item = (Frame, Option<&Bytes>)> {
        let messages = (self.first..).zip(&self.payloads).map(|(seq, payload)| {
            (Frame::Message { seq, bytes: u32::try_from(payload.len()).unwrap_or(u32::MAX) }, Some(payload))
        });
        messages.chain(self.probe.map(|next| (Frame::Probe { next }, None)))
    }
}

/// The messages as they are on the wire.
mod proto {
    use bytes::Bytes;

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Packet {
        #[prost(message, repeated, tag = "1")]
        pub acks: Vec<Ack>,
        #[prost(message, repeated, tag = "2")]
        pub refusals: Vec<Refusal>,
        #[prost(message, repeated, tag = "3")]
        pub batches: Vec<Batch>,
    }

    #[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
    pub struct Instance {
        #[prost(uint64, tag = "1")]
        pub epoch: u64,
        #[prost(fixed64, tag = "2")]
        pub incarnation: u64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Batch {
        #[prost(fixed64, tag = "1")]
        pub lane: u64,
        #[prost(message, optional, tag = "2")]
        pub from: Option<Instance>,
        #[prost(message, optional, tag = "3")]
        pub to: Option<Instance>,
        #[prost(uint64, tag = "4")]
        pub base: u64,
        #[prost(uint64, tag = "5")]
        pub first: u64,
        #[prost(bytes = "bytes", repeated, tag = "6")]
        pub payloads: Vec<Bytes>,
        #[prost(uint64, optional, tag = "7")]
        pub probe: Option<u64>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Ack {
        #[prost(fixed64, tag = "1")]
        pub lane: u64,
        #[prost(message, optional, tag = "2")]
        pub to: Option<Instance>,
        #[prost(message, optional, tag = "3")]
        pub from: Option<Instance>,
        #[prost(uint64, tag = "4")]
        pub generation: u64,
        #[prost(uint64, tag = "5")]
        pub received: u64,
        #[prost(uint64, tag = "6")]
        pub confirmed: u64,
        #[prost(bool, tag = "7")]
        pub gap: bool,
        #[prost(uint32, tag = "8")]
        pub credit_messages: u32,
        #[prost(uint32, tag = "9")]
        pub credit_bytes: u32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Refusal {
        #[prost(fixed64, tag = "1")]
        pub lane: u64,
        #[prost(message, optional, tag = "2")]
        pub to: Option<Instance>,
        #[prost(message, optional, tag = "3")]
        pub from: Option<Instance>,
        /// At most one of these; none, or one that is not known yet, means busy.
        #[prost(message, optional, tag = "4")]
        pub superseded_by: Option<Instance>,
        #[prost(bool, tag = "5")]
        pub wrong_receiver: bool,
    }
}

impl From<Instance> for proto::Instance {
    fn from(instance: Instance) -> proto::Instance {
        proto::Instance { epoch: instance.epoch, incarnation: instance.incarnation }
    }
}

impl From<proto::Instance> for Instance {
    fn from(instance: proto::Instance) -> Instance {
        Instance { epoch: instance.epoch, incarnation: instance.incarnation }
    }
}

impl From<&Packet> for proto::Packet {
    fn from(packet: &Packet) -> proto::Packet {
        proto::Packet {
            acks: packet.acks.iter().map(proto::Ack::from).collect(),
            refusals: packet.refusals.iter().map(proto::Refusal::from).collect(),
            batches: packet.batches.iter().map(proto::Batch::from).collect(),
        }
    }
}

impl TryFrom<proto::Packet> for Packet {
    type Error = WireError;

    fn try_from(packet: proto::Packet) -> Result<Packet, WireError> {
        Ok(Packet {
            acks: packet.acks.into_iter().map(Ack::try_from).collect::<Result<_, _>>()?,
            refusals: packet.refusals.into_iter().map(Refusal::try_from).collect::<Result<_, _>>()?,
            batches: packet.batches.into_iter().map(Batch::try_from).collect::<Result<_, _>>()?,
        })
    }
}

impl From<&Batch> for proto::Batch {
    fn from(batch: &Batch) -> proto::Batch {
        proto::Batch {
            lane: batch.head.lane.0,
            from: Some(batch.head.from.into()),
            to: batch.head.to.map(Into::into),
            base: batch.head.base,
            first: batch.first,
            payloads: batch.payloads.clone(),
            probe: batch.probe,
        }
    }
}

impl TryFrom<proto::Batch> for Batch {
    type Error = WireError;

    fn try_from(batch: proto::Batch) -> Result<Batch, WireError> {
        let head = Head {
            lane: Lane(batch.lane),
            from: batch.from.ok_or(WireError::Missing("sender"))?.into(),
            to: batch.to.map(Into::into),
            base: number(batch.base)?,
        };
        let probe = batch.probe.map(number).transpose()?;
        Ok(Batch { head, first: number(batch.first)?, payloads: batch.payloads, probe })
    }
}

impl From<&Ack> for proto::Ack {
    fn from(ack: &Ack) -> proto::Ack {
        proto::Ack {
            lane: ack.lane.0,
            to: Some(ack.to.into()),
            from: Some(ack.from.into()),
            generation: ack.generation,
            received: ack.received,
            confirmed: ack.confirmed,
            gap: ack.gap,
            credit_messages: ack.credit.messages,
            credit_bytes: ack.credit.bytes,
        }
    }
}

impl TryFrom<proto::Ack> for Ack {
    type Error = WireError;

    fn try_from(ack: proto::Ack) -> Result<Ack, WireError> {
        Ok(Ack {
            lane: Lane(ack.lane),
            to: ack.to.ok_or(WireError::Missing("sender"))?.into(),
            from: ack.from.ok_or(WireError::Missing("receiver"))?.into(),
            generation: ack.generation,
            received: number(ack.received)?,
            confirmed: number(ack.confirmed)?,
            gap: ack.gap,
            credit: Window { messages: ack.credit_messages, bytes: ack.credit_bytes },
        })
    }
}

impl From<&Refusal> for proto::Refusal {
    fn from(refusal: &Refusal) -> proto::Refusal {
        let superseded_by = match refusal.reason {
            Reason::Superseded { by } => Some(by.into()),
            Reason::WrongReceiver | Reason::Busy => None,
        };
        proto::Refusal {
            lane: refusal.lane.0,
            to: Some(refusal.to.into()),
            from: Some(refusal.from.into()),
            superseded_by,
            wrong_receiver: refusal.reason == Reason::WrongReceiver,
        }
    }
}

impl TryFrom<proto::Refusal> for Refusal {
    type Error = WireError;

    fn try_from(refusal: proto::Refusal) -> Result<Refusal, WireError> {
        let reason = match refusal.superseded_by {
            Some(by) => Reason::Superseded { by: by.into() },
            None if refusal.wrong_receiver => Reason::WrongReceiver,
            None => Reason::Busy,
        };
        Ok(Refusal {
            lane: Lane(refusal.lane),
            to: refusal.to.ok_or(WireError::Missing("sender"))?.into(),
            from: refusal.from.ok_or(WireError::Missing("receiver"))?.into(),
            reason,
        })
    }
}

fn number(value: u64) -> Result<u64, WireError> {
    if value < NUMBER_MAX { Ok(value) } else { Err(WireError::Impossible) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: Instance = Instance { epoch: 7, incarnation: u64::MAX };
    const YOU: Instance = Instance { epoch: 0, incarnation: 1 };

    fn packet() -> Packet {
        let head = Head { lane: Lane(3), from: ME, to: Some(YOU), base: 4 };
        let mut packet = Packet::default();
        packet.message(head, 5, Bytes::from_static(b"<message/>"));
        packet.message(head, 6, Bytes::new());
        packet.message(head, 9, Bytes::from_static(b"after a gap"));
        packet.probe(head, 10);
        packet.probe(Head { to: None, ..head }, 10);
        packet.acks.push(Ack {
            lane: Lane(u64::MAX),
            to: YOU,
            from: ME,
            generation: 2,
            received: 9,
            confirmed: 8,
            gap: true,
            credit: Window { messages: 0, bytes: u32::MAX },
        });
        for reason in [Reason::Superseded { by: YOU }, Reason::WrongReceiver, Reason::Busy] {
            packet.refusals.push(Refusal { lane: Lane(3), to: ME, from: YOU, reason });
        }
        packet
    }

    #[test]
    fn a_packet_survives_the_wire() {
        let packet = packet();
        assert_eq!(packet.batches.len(), 3, "frames of one head share a batch");
        assert_eq!(Packet::decode(packet.encode()).unwrap(), packet);
    }

    #[test]
    fn a_batch_gives_its_frames_in_order() {
        let packet = packet();
        let frames: Vec<Frame> =
            packet.batches.iter().flat_map(Batch::frames).map(|(frame, _)| frame).collect();
        assert_eq!(
            frames,
            [
                Frame::Message { seq: 5, bytes: 10 },
                Frame::Message { seq: 6, bytes: 0 },
                Frame::Message { seq: 9, bytes: 11 },
                Frame::Probe { next: 10 },
                Frame::Probe { next: 10 },
            ]
        );
    }

    #[test]
    fn unknown_fields_are_skipped() {
        let mut bytes = packet().encode().to_vec();
        bytes.extend([0xfa, 0x01, 0x02, b'h', b'i']); // field 31, two bytes
        assert_eq!(Packet::decode(bytes.into()).unwrap(), packet());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(matches!(Packet::decode(Bytes::from_static(&[0x1a, 0xff])), Err(WireError::Malformed(_))));
        assert!(matches!(Packet::decode(Bytes::from_static(&[0x1a, 0])), Err(WireError::Missing("sender"))));
        let mut packet = packet();
        packet.batches[0].head.base = u64::MAX;
        assert!(matches!(Packet::decode(packet.encode()), Err(WireError::Impossible)));
    }

    /// What the previous version of this program wrote must be read by this one (I9).
    #[test]
    fn the_encoding_is_frozen() {
        let head = Head { lane: Lane(1), from: YOU, to: None, base: 1 };
        let mut packet = Packet::default();
        packet.message(head, 1, Bytes::from_static(b"a"));
        let frozen = [
            0x1a, 27, // batch
            0x09, 1, 0, 0, 0, 0, 0, 0, 0, // lane
            0x12, 9, 0x11, 1, 0, 0, 0, 0, 0, 0, 0, // from
            0x20, 1, 0x28, 1, 0x32, 1, b'a', // base, first, payload
        ];
        assert_eq!(packet.encode(), Bytes::copy_from_slice(&frozen));
    }
}
