//! `<proceed/>` was sent: the TLS handshake is under way (RFC 6120 §5.4.3.3).

use super::{Common, Input, Opening, Stream};

/// A stream whose TLS handshake is under way.
pub struct Securing {
    common: Common,
}

impl Securing {
    pub(super) fn new(common: Common) -> Securing {
        Securing { common }
    }

    pub(super) fn handle(mut self: Box<Self>, input: Input<'_>) -> Stream {
        match input {
            Input::Secured { channel, id } => {
                self.common.channel = channel;
                // §5.4.3.3: what was said before is forgotten; only the domain, for which the
                // certificate was chosen, must stay the same.
                self.common.lang = None;
                Stream::Opening(Box::new(Opening::new(self.common, None, id)))
            }
            // Nothing can be said to a peer in the middle of a handshake.
            Input::Gone | Input::End(_) => Stream::Closed,
            _ => Stream::Securing(self),
        }
    }
}
