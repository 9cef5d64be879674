//! Presence subscriptions: the state tables of RFC 6121 appendix A.
//!
//! The nine states of A.1 are two independent halves of three values each, and so every table is
//! one rule on one half; the tests hold the rules against the RFC's tables line by line.

use store::{RosterItem, Subscription};
use xmpp::stanza::PresenceType;

/// One direction of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Half {
    /// Not subscribed.
    #[default]
    None,
    /// Asked, not yet answered.
    Pending,
    /// Subscribed.
    Granted,
}

/// A subscription as one of the two parties sees it (RFC 6121 §A.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct State {
    /// The user's subscription to the contact's presence.
    pub to: Half,
    /// The contact's subscription to the user's presence.
    pub from: Half,
}

/// What a subscription stanza of the user does on the user's side (RFC 6121 §A.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outbound {
    /// The state afterwards.
    pub state: State,
    /// Whether the stanza goes to the contact.
    pub route: bool,
    /// What becomes of the pre-approval (§3.4).
    pub approved: bool,
}

/// What a subscription stanza of the contact does on the user's side (RFC 6121 §A.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inbound {
    /// The state afterwards.
    pub state: State,
    /// Whether the user gets to see the stanza.
    pub deliver: bool,
    /// What the server answers on the user's behalf.
    pub reply: Option<PresenceType>,
}

impl State {
    /// The state that a roster item stands for; none stands for an unknown contact.
    pub fn of(item: Option<&RosterItem>) -> State {
        let Some(item) = item else { return State::default() };
        let granted = |yes: bool, pending: bool| match (yes, pending) {
            (true, _) => Half::Granted,
            (false, true) => Half::Pending,
            (false, false) => Half::None,
        };
        let (to, from) = match item.subscription {
            Subscription::None => (false, false),
            Subscription::To => (true, false),
            Subscription::From => (false, true),
            Subscription::Both => (true, true),
        };
        State { to: granted(to, item.ask), from: granted(from, item.pending_in.is_some()) }
    }

    /// The `subscription` attribute of the state.
    pub fn subscription(self) -> Subscription {
        match (self.to == Half::Granted, self.from == Half::Granted) {
            (false, false) => Subscription::None,
            (true, false) => Subscription::To,
            (false, true) => Subscription::From,
            (true, true) => Subscription::Both,
        }
    }

    /// Writes the state into a roster item. A request that is no longer pending is dropped; one that
    /// has become pending is put in by whoever has its stanza.
    pub fn apply(self, item: &mut RosterItem) {
        item.subscription = self.subscription();
        item.ask = self.to == Half::Pending;
        if self.from != Half::Pending {
            item.pending_in = None;
        }
    }

    /// The user sends a subscription stanza. Other types change nothing.
    pub fn outbound(self, kind: PresenceType, approved: bool) -> Outbound {
        let keep = Outbound { state: self, route: true, approved };
        match kind {
            // A.2.1
            PresenceType::Subscribe if self.to == Half::None => {
                Outbound { state: State { to: Half::Pending, ..self }, ..keep }
            }
            PresenceType::Subscribe => keep,
            // A.2.2
            PresenceType::Unsubscribe => Outbound { state: State { to: Half::None, ..self }, ..keep },
            // A.2.3
            PresenceType::Subscribed => match self.from {
                Half::None => Outbound { route: false, approved: true, ..keep },
                Half::Pending => Outbound { state: State { from: Half::Granted, ..self }, ..keep },
                Half::Granted => Outbound { route: false, ..keep },
            },
            // A.2.4; the note there and §3.4.2: it also takes a pre-approval back.
            PresenceType::Unsubscribed => Outbound {
                state: State { from: Half::None, ..self },
                route: self.from != Half::None,
                approved: false,
            },
            _ => keep,
        }
    }

    /// The contact sent a subscription stanza. Other types change nothing.
    pub fn inbound(self, kind: PresenceType, approved: bool) -> Inbound {
        let ignore = Inbound { state: self, deliver: false, reply: None };
        match kind {
            // A.3.1
            PresenceType::Subscribe => match self.from {
                Half::None if approved => Inbound {
                    state: State { from: Half::Granted, ..self },
                    deliver: false,
                    reply: Some(PresenceType::Subscribed),
                },
                Half::None => {
                    Inbound { state: State { from: Half::Pending, ..self }, deliver: true, reply: None }
                }
                Half::Pending => ignore,
                Half::Granted => Inbound { reply: Some(PresenceType::Subscribed), ..ignore },
            },
            // A.3.2
            PresenceType::Unsubscribe if self.from != Half::None => Inbound {
                state: State { from: Half::None, ..self },
                deliver: true,
                reply: Some(PresenceType::Unsubscribed),
            },
            // A.3.3
            PresenceType::Subscribed if self.to == Half::Pending => {
                Inbound { state: State { to: Half::Granted, ..self }, deliver: true, reply: None }
            }
            // A.3.4
            PresenceType::Unsubscribed if self.to != Half::None => {
                Inbound { state: State { to: Half::None, ..self }, deliver: true, reply: None }
            }
            _ => ignore,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PresenceType::{Subscribe, Subscribed, Unsubscribe, Unsubscribed};

    /// The names of RFC 6121 §A.1.
    fn state(name: &str) -> State {
        let (to, from) = match name {
            "None" => (Half::None, Half::None),
            "None + Pending Out" => (Half::Pending, Half::None),
            "None + Pending In" => (Half::None, Half::Pending),
            "None + Pending Out+In" => (Half::Pending, Half::Pending),
            "To" => (Half::Granted, Half::None),
            "To + Pending In" => (Half::Granted, Half::Pending),
            "From" => (Half::None, Half::Granted),
            "From + Pending Out" => (Half::Pending, Half::Granted),
            "Both" => (Half::Granted, Half::Granted),
            other => panic!("no such state: {other}"),
        };
        State { to, from }
    }

    /// Each line: existing state | ROUTE? or DELIVER? | new state; `=` is no change.
    fn rows(table: &str) -> impl Iterator<Item = (State, bool, State, &str)> {
        table.trim().lines().map(|line| {
            let mut cells = line.split('|').map(str::trim);
            let before = state(cells.next().unwrap());
            let yes = cells.next().unwrap() == "MUST";
            let after = cells.next().unwrap();
            let rest = cells.next().unwrap_or("");
            (before, yes, if after == "=" { before } else { state(after) }, rest)
        })
    }

    fn check_outbound(kind: PresenceType, table: &str) {
        for (before, route, after, note) in rows(table) {
            let got = before.outbound(kind, false);
            assert_eq!((got.state, got.route), (after, route), "{kind:?} in {before:?}");
            assert_eq!(got.approved, note == "approve", "{kind:?} in {before:?}");
        }
    }

    fn check_inbound(kind: PresenceType, table: &str) {
        for (before, deliver, after, reply) in rows(table) {
            let got = before.inbound(kind, false);
            assert_eq!((got.state, got.deliver), (after, deliver), "{kind:?} in {before:?}");
            let want = match reply {
                "subscribed" => Some(Subscribed),
                "unsubscribed" => Some(Unsubscribed),
                _ => None,
            };
            assert_eq!(got.reply, want, "{kind:?} in {before:?}");
        }
    }

    #[test]
    fn table_2_outbound_subscribe() {
        check_outbound(
            Subscribe,
            "None                  | MUST | None + Pending Out
             None + Pending Out    | MUST | =
             None + Pending In     | MUST | None + Pending Out+In
             None + Pending Out+In | MUST | =
             To                    | MUST | =
             To + Pending In       | MUST | =
             From                  | MUST | From + Pending Out
             From + Pending Out    | MUST | =
             Both                  | MUST | =",
        );
    }

    #[test]
    fn table_3_outbound_unsubscribe() {
        check_outbound(
            Unsubscribe,
            "None                  | MUST | =
             None + Pending Out    | MUST | None
             None + Pending In     | MUST | =
             None + Pending Out+In | MUST | None + Pending In
             To                    | MUST | None
             To + Pending In       | MUST | None + Pending In
             From                  | MUST | =
             From + Pending Out    | MUST | From
             Both                  | MUST | From",
        );
    }

    #[test]
    fn table_4_outbound_subscribed() {
        check_outbound(
            Subscribed,
            "None                  | M.N. | = | approve
             None + Pending Out    | M.N. | = | approve
             None + Pending In     | MUST | From
             None + Pending Out+In | MUST | From + Pending Out
             To                    | M.N. | = | approve
             To + Pending In       | MUST | Both
             From                  | M.N. | =
             From + Pending Out    | M.N. | =
             Both                  | M.N. | =",
        );
    }

    #[test]
    fn table_5_outbound_unsubscribed() {
        check_outbound(
            Unsubscribed,
            "None                  | S.N. | =
             None + Pending Out    | S.N. | =
             None + Pending In     | MUST | None
             None + Pending Out+In | MUST | None + Pending Out
             To                    | S.N. | =
             To + Pending In       | MUST | To
             From                  | MUST | None
             From + Pending Out    | MUST | None + Pending Out
             Both                  | MUST | To",
        );
    }

    #[test]
    fn table_6_inbound_subscribe() {
        check_inbound(
            Subscribe,
            "None                  | MUST | None + Pending In
             None + Pending Out    | MUST | None + Pending Out+In
             None + Pending In     | S.N. | =
             None + Pending Out+In | S.N. | =
             To                    | MUST | To + Pending In
             To + Pending In       | S.N. | =
             From                  | S.N. | = | subscribed
             From + Pending Out    | S.N. | = | subscribed
             Both                  | S.N. | = | subscribed",
        );
    }

    #[test]
    fn table_7_inbound_unsubscribe() {
        check_inbound(
            Unsubscribe,
            "None                  | S.N. | =
             None + Pending Out    | S.N. | =
             None + Pending In     | MUST | None | unsubscribed
             None + Pending Out+In | MUST | None + Pending Out | unsubscribed
             To                    | S.N. | =
             To + Pending In       | MUST | To | unsubscribed
             From                  | MUST | None | unsubscribed
             From + Pending Out    | MUST | None + Pending Out | unsubscribed
             Both                  | MUST | To | unsubscribed",
        );
    }

    #[test]
    fn table_8_inbound_subscribed() {
        check_inbound(
            Subscribed,
            "None                  | S.N. | =
             None + Pending Out    | MUST | To
             None + Pending In     | S.N. | =
             None + Pending Out+In | MUST | To + Pending In
             To                    | S.N. | =
             To + Pending In       | S.N. | =
             From                  | S.N. | =
             From + Pending Out    | MUST | Both
             Both                  | S.N. | =",
        );
    }

    #[test]
    fn table_9_inbound_unsubscribed() {
        check_inbound(
            Unsubscribed,
            "None                  | S.N. | =
             None + Pending Out    | MUST | None
             None + Pending In     | S.N. | =
             None + Pending Out+In | MUST | None + Pending In
             To                    | MUST | None
             To + Pending In       | MUST | None + Pending In
             From                  | S.N. | =
             From + Pending Out    | MUST | From
             Both                  | MUST | From",
        );
    }

    /// RFC 6121 §3.4.2: a request that was approved beforehand is granted without asking.
    #[test]
    fn pre_approval() {
        for from in ["None", "None + Pending Out", "To"] {
            let before = state(from);
            let got = before.inbound(Subscribe, true);
            assert_eq!(got.state, State { from: Half::Granted, ..before });
            assert!(!got.deliver);
            assert_eq!(got.reply, Some(Subscribed));
        }
        assert!(!state("None").outbound(Unsubscribed, true).approved);
    }
}
