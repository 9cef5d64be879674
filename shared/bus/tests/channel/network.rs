//! One way of a connection: in order and complete, until something happens to it.

use crate::rng::Rng;

/// What a network does, in microseconds and percent.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    pub delay_us: (u64, u64),
    pub loss_percent: u64,
    pub repeat_percent: u64,
    /// Packets that may overtake others.
    pub overtake_percent: u64,
    /// How late a repeated packet may come.
    pub repeat_us_max: u64,
}

impl Weather {
    pub const FAIR: Weather = Weather {
        delay_us: (100, 300),
        loss_percent: 0,
        repeat_percent: 0,
        overtake_percent: 0,
        repeat_us_max: 1,
    };
}

/// One way between two processes.
#[derive(Debug, Default)]
pub struct Path {
    last_arrival: u64,
    cut: bool,
}

impl Path {
    /// When the copies of a packet that is sent now arrive: none, one or two.
    pub fn send(&mut self, now: u64, weather: &Weather, rng: &mut Rng) -> [Option<u64>; 2] {
        if self.cut || rng.chance(weather.loss_percent) {
            return [None, None];
        }
        let mut arrival = now + rng.range(weather.delay_us.0, weather.delay_us.1);
        if !rng.chance(weather.overtake_percent) {
            arrival = arrival.max(self.last_arrival + 1);
            self.last_arrival = arrival;
        }
        let repeat =
            rng.chance(weather.repeat_percent).then(|| now + rng.range(1, weather.repeat_us_max + 1));
        [Some(arrival), repeat]
    }

    /// What is sent from now on is lost. What is on its way arrives, and is overtaken by what is
    /// sent after [`Path::mend`].
    pub fn cut(&mut self) {
        self.cut = true;
        self.last_arrival = 0;
    }

    pub fn mend(&mut self) {
        self.cut = false;
    }
}
