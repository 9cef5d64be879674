//! The one timer of a connection. It is only ever moved to an earlier time; a deadline that went
//! away lets it fire in vain, which costs less than moving it with every stanza.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

const NEVER: u64 = u64::MAX;
/// Looks at the traffic in the time after which a silent peer is asked.
const LOOKS: u8 = 2;

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// The end of the negotiation, of the connection, or a look whether the peer is silent.
    Main,
    /// A write makes no progress.
    Write,
    /// A client waits for an answer.
    Confirm,
}

/// How quiet the peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quiet {
    /// Not long enough to mention.
    Fine,
    /// It should be asked whether it is there.
    Ask,
    /// It was asked and has not answered.
    Dead,
}

/// Deadlines in milliseconds since `start`.
pub struct Deadlines {
    start: Instant,
    timer: Pin<Box<Sleep>>,
    /// When the timer fires.
    armed: u64,
    main: u64,
    write: u64,
    confirm: u64,
    /// Something came since the last look.
    heard: bool,
    /// Looks since something came.
    quiet: u8,
    /// The timer was moved and has to be told whom to wake.
    moved: bool,
}

impl Deadlines {
    pub fn new(start: Instant, negotiation: Duration) -> Deadlines {
        let at = Instant::now() + negotiation;
        let main = millis(at - start);
        let timer = Box::pin(tokio::time::sleep_until(at));
        Deadlines {
            start,
            timer,
            armed: main,
            main,
            write: NEVER,
            confirm: NEVER,
            heard: false,
            quiet: 0,
            moved: true,
        }
    }

    /// A deadline that has passed. It is due once.
    pub fn due(&mut self) -> Option<Due> {
        if self.armed == NEVER || !self.timer.is_elapsed() {
            return None;
        }
        let now = self.now();
        for (deadline, due) in
            [(&mut self.main, Due::Main), (&mut self.write, Due::Write), (&mut self.confirm, Due::Confirm)]
        {
            if *deadline <= now {
                *deadline = NEVER;
                return Some(due);
            }
        }
        self.armed = NEVER;
        self.arm();
        None
    }

    /// Has the task woken when the timer fires.
    pub fn poll(&mut self, cx: &mut Context<'_>) {
        if self.moved {
            self.moved = false;
            if let Poll::Ready(()) = self.timer.as_mut().poll(cx) {
                cx.waker().wake_by_ref();
            }
        }
    }

    /// The connection is to end within this time.
    pub fn end_in(&mut self, time: Duration) {
        self.main = self.now() + millis(time);
        self.arm();
    }

    /// The negotiation is over: from now on the peer is asked when it was silent for so long.
    pub fn watch(&mut self, idle: Duration) {
        self.quiet = 0;
        self.end_in(idle / u32::from(LOOKS));
    }

    /// A look at how quiet the peer is.
    pub fn quiet(&mut self, idle: Duration) -> Quiet {
        self.end_in(idle / u32::from(LOOKS));
        if std::mem::take(&mut self.heard) {
            self.quiet = 0;
            return Quiet::Fine;
        }
        self.quiet += 1;
        match self.quiet {
            LOOKS => Quiet::Ask,
            quiet if quiet >= 2 * LOOKS => {
                self.quiet = LOOKS;
                Quiet::Dead
            }
            _ => Quiet::Fine,
        }
    }

    /// Something came.
    pub fn heard(&mut self) {
        self.heard = true;
    }

    /// A write has to make progress within this time.
    pub fn write_in(&mut self, time: Duration) {
        if self.write == NEVER {
            self.write = self.now() + millis(time);
            self.arm();
        }
    }

    /// It did.
    pub fn written(&mut self) {
        self.write = NEVER;
    }

    /// A client waits for an answer, for this time at most.
    pub fn confirm_in(&mut self, time: Duration) {
        self.confirm = self.now() + millis(time);
        self.arm();
    }

    /// It has its answer.
    pub fn confirmed(&mut self) {
        self.confirm = NEVER;
    }

    fn now(&self) -> u64 {
        millis(self.start.elapsed())
    }

    fn arm(&mut self) {
        let earliest = self.main.min(self.write).min(self.confirm);
        if earliest < self.armed {
            self.armed = earliest;
            self.moved = true;
            // One more millisecond: `now` is cut off, a timer may be early by less than that.
            let at = self.start + Duration::from_millis(earliest + 1);
            self.timer.as_mut().reset(at);
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(NEVER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    const SECOND: Duration = Duration::from_secs(1);

    /// Waits until something is due: what, and after how many whole seconds of the test.
    async fn next(deadlines: &mut Deadlines) -> (Due, u64) {
        let due = poll_fn(|cx| {
            if let Some(due) = deadlines.due() {
                return Poll::Ready(due);
            }
            deadlines.poll(cx);
            Poll::Pending
        });
        let due = due.await;
        (due, deadlines.start.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn each_deadline_is_due_in_its_time() {
        let mut deadlines = Deadlines::new(Instant::now(), 10 * SECOND);
        deadlines.write_in(5 * SECOND);
        deadlines.confirm_in(2 * SECOND);
        assert_eq!(next(&mut deadlines).await, (Due::Confirm, 2));
        deadlines.confirm_in(4 * SECOND);
        deadlines.confirmed();
        assert_eq!(next(&mut deadlines).await, (Due::Write, 5));
        deadlines.write_in(20 * SECOND);
        assert_eq!(next(&mut deadlines).await, (Due::Main, 10));
        assert_eq!(next(&mut deadlines).await, (Due::Write, 25));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_peer_is_asked_then_dead() {
        let mut deadlines = Deadlines::new(Instant::now(), 10 * SECOND);
        deadlines.watch(6 * SECOND);
        deadlines.heard();
        let mut looks = Vec::new();
        for _ in 0..6 {
            let (_, at) = next(&mut deadlines).await;
            looks.push((at, deadlines.quiet(6 * SECOND)));
        }
        use Quiet::{Ask, Dead, Fine};
        assert_eq!(looks, [(3, Fine), (6, Fine), (9, Ask), (12, Fine), (15, Dead), (18, Fine)]);
    }
}
