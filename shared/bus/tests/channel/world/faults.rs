//! The faults, and their end.

use super::{Checked, Event, World};
use crate::channel::Window;
use crate::network::Weather;
use crate::plan::Fault;

impl World {
    pub(super) fn strike(&mut self, fault: Fault) -> Checked {
        if self.calm {
            return Ok(());
        }
        let (sender, owner) = (self.senders.len() - 1, self.owners.len() - 1);
        match fault {
            Fault::SenderCrash => {
                self.senders[sender].alive = false;
                self.start_sender();
            }
            Fault::SenderSuperseded if self.plan.lane_has_epochs => self.start_sender(),
            Fault::SenderSuperseded => {}
            Fault::SenderPause(time) => self.senders[sender].paused_until = self.now + time,
            Fault::OwnerCrash(time) => {
                self.owners[owner].alive = false;
                self.at(self.now + time, Event::TakeOver);
            }
            Fault::OwnerSuperseded => self.take_over(),
            Fault::OwnerPause(time) => self.owners[owner].paused_until = self.now + time,
            Fault::OwnerPausedAndSuperseded(time) => {
                self.owners[owner].paused_until = self.now + time;
                self.at(self.now + time / 2, Event::TakeOver);
            }
            Fault::OwnerSupersededUnheard(time) => {
                self.take_over();
                self.owners.iter_mut().for_each(|owner| owner.forth.cut());
                self.at(self.now + time, Event::Mend { forth: true, back: false, reconnect: false });
            }
            Fault::Disconnect(time) => {
                self.owners.iter_mut().for_each(|owner| owner.forth.cut());
                self.back.cut();
                self.at(self.now + time, Event::Mend { forth: true, back: true, reconnect: true });
            }
            Fault::CutForth(time) => {
                self.owners[owner].forth.cut();
                self.at(self.now + time, Event::Mend { forth: true, back: false, reconnect: false });
            }
            Fault::CutBack(time) => {
                self.back.cut();
                self.at(self.now + time, Event::Mend { forth: false, back: true, reconnect: false });
            }
            Fault::Stall(time) => self.owners[owner].stalled_until = self.now + time,
            Fault::Credit(messages) => {
                let now = self.time();
                self.owners[owner].channel.set_credit(now, Window { messages, bytes: u32::MAX });
                self.pump_owner(owner);
            }
        }
        Ok(())
    }

    pub(super) fn mend(&mut self, forth: bool, back: bool, reconnect: bool) -> Checked {
        let now = self.time();
        if forth {
            self.owners.iter_mut().for_each(|owner| owner.forth.mend());
        }
        if back {
            self.back.mend();
        }
        for sender in 0..self.senders.len() {
            if reconnect && self.senders[sender].alive && self.senders[sender].paused_until <= self.now {
                self.senders[sender].channel.reconnected(now);
                self.pump_sender(sender)?;
            }
        }
        Ok(())
    }

    /// From here on nothing goes wrong.
    pub(super) fn calm_down(&mut self) -> Checked {
        self.calm = true;
        self.plan.weather = Weather::FAIR;
        self.owners.iter_mut().for_each(|owner| owner.forth.mend());
        self.back.mend();
        let newest = self.owners.len() - 1;
        if !self.owners[newest].alive {
            self.take_over();
        }
        for owner in 0..self.owners.len() {
            self.owners[owner].stalled_until = 0;
            let now = self.time();
            self.owners[owner].channel.set_credit(now, Window { messages: u32::MAX, bytes: u32::MAX });
            self.pump_owner(owner);
        }
        Ok(())
    }
}
