//! What a seed stands for: limits, weather, traffic and faults.

use crate::channel::{ReceiverLimits, SenderLimits, Time, Window};
use crate::network::Weather;
use crate::rng::Rng;

/// Something that goes wrong, or changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The sender's process dies and is replaced.
    SenderCrash,
    /// Another takes the sender's lane over while it still runs (only lanes with epochs).
    SenderSuperseded,
    /// The sender stands still for so long.
    SenderPause(u64),
    /// The owner dies; another takes over after so long.
    OwnerCrash(u64),
    /// Another takes over while the owner still runs.
    OwnerSuperseded,
    /// The owner stands still for so long.
    OwnerPause(u64),
    /// As the one before, and another takes over meanwhile.
    OwnerPausedAndSuperseded(u64),
    /// Another takes over, and for so long no owner hears anything.
    OwnerSupersededUnheard(u64),
    /// Messages are lost for so long; the sender notices and reconnects.
    Disconnect(u64),
    /// Messages to the owner are lost for so long, unnoticed.
    CutForth(u64),
    /// Acknowledgements are lost for so long, unnoticed.
    CutBack(u64),
    /// The application commits nothing for so long.
    Stall(u64),
    /// The receiver grants only so many messages.
    Credit(u32),
}

pub struct Plan {
    pub rng: Rng,
    pub sender: SenderLimits,
    pub receiver: ReceiverLimits,
    pub weather: Weather,
    /// Messages of each session.
    pub totals: Vec<u64>,
    pub bytes_max: u64,
    /// Whether the sender's lane is taken over (a partition's) or each run has its own (a node's).
    pub lane_has_epochs: bool,
    pub push_every_us: u64,
    pub commit_every_us: u64,
    pub confirm_late_us: u64,
    pub announce_percent: u64,
    pub frames_per_packet: usize,
    pub faults: Vec<(u64, Fault)>,
    pub faults_until_us: u64,
    /// The application confirms what it has not committed.
    pub confirms_early: bool,
    /// The application repeats what it has done.
    pub not_idempotent: bool,
}

impl Plan {
    pub fn draw(seed: u64) -> Plan {
        let mut rng = Rng::new(seed);
        let until = rng.range(300_000, 3_000_000);
        let window = Window { messages: rng.range(1, 24) as u32, bytes: rng.range(200, 12_000) as u32 };
        let sender = SenderLimits {
            window: Window { messages: rng.range(1, 32) as u32, bytes: rng.range(200, 16_000) as u32 },
            first_window: Window { messages: rng.range(1, 48) as u32, bytes: rng.range(200, 16_000) as u32 },
            probe_after: Time::from_millis(rng.range(20, 150)),
            probe_max: Time::from_millis(rng.range(150, 1500)),
        };
        let receiver = ReceiverLimits {
            window,
            lanes_max: rng.range(1, 6) as usize,
            received_delay: Time::from_micros(rng.range(0, 60_000)),
            confirmed_delay: Time::from_micros(rng.range(0, 10_000)),
            forget_after: Time::from_millis(rng.range(400, 4000)),
        };
        let stormy = rng.chance(70);
        let weather = Weather {
            delay_us: (100, rng.pick(&[200, 2_000, 40_000])),
            loss_percent: if stormy { rng.range(0, 15) } else { 0 },
            repeat_percent: if stormy { rng.range(0, 10) } else { 0 },
            overtake_percent: if stormy { rng.range(0, 10) } else { 0 },
            repeat_us_max: rng.pick(&[1_000, 50_000, 2_000_000]),
        };
        let sessions = rng.range(1, 5);
        let totals = (0..sessions).map(|_| rng.range(5, 40)).collect();
        let faults = (0..rng.range(0, 9)).map(|_| (rng.range(0, until), draw_fault(&mut rng))).collect();
        Plan {
            sender,
            receiver,
            weather,
            totals,
            bytes_max: rng.pick(&[50, 500, 3_000]),
            lane_has_epochs: rng.chance(50),
            push_every_us: rng.pick(&[50, 2_000, 20_000]),
            commit_every_us: rng.pick(&[100, 5_000, 40_000]),
            confirm_late_us: rng.pick(&[1, 1_000, 30_000]),
            announce_percent: rng.pick(&[0, 50, 100]),
            frames_per_packet: rng.pick(&[1, 4, 64]),
            faults,
            faults_until_us: until,
            confirms_early: false,
            not_idempotent: false,
            rng,
        }
    }
}

fn draw_fault(rng: &mut Rng) -> Fault {
    let time = rng.pick(&[1_000, 30_000, 300_000, 1_200_000]);
    let time = rng.range(time / 10, time);
    match rng.range(0, 13) {
        0 => Fault::SenderCrash,
        1 => Fault::SenderSuperseded,
        2 => Fault::SenderPause(time),
        3 => Fault::OwnerCrash(time),
        4 => Fault::OwnerSuperseded,
        5 => Fault::OwnerPause(time),
        6 => Fault::OwnerPausedAndSuperseded(time),
        7 => Fault::Disconnect(time),
        8 => Fault::CutForth(time),
        9 => Fault::CutBack(time),
        10 => Fault::Stall(time),
        11 => Fault::OwnerSupersededUnheard(time),
        _ => Fault::Credit(rng.pick(&[0, 0, 1, 3])),
    }
}
