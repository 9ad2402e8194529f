//! Sans-IO. How busy and how quick a host is, written by the clients that use it.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// A new latency moves the average by one part in this many.
const INERTIA: u32 = 16;

/// An average that nobody confirms loses one part in this many with each look.
const FADING: u32 = 4;

/// Requests under way at a host and how long they take.
///
/// All orderings are relaxed: a choice that is made with a number of a moment ago is as good.
#[derive(Debug, Default)]
pub struct Gauge {
    in_flight: AtomicU32,
    latency_us: AtomicU32,
    /// Whether something was measured since [`Gauge::fade`].
    confirmed: AtomicBool,
}

impl Gauge {
    /// A request goes to the host.
    pub fn began(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// It has been answered, or never will be. Two at once may lose one, which an average can bear.
    pub fn ended(&self, latency: Duration) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        let new = u32::try_from(latency.as_micros())
            .unwrap_or(u32::MAX)
            .max(1);
        let old = self.latency_us.load(Ordering::Relaxed);
        let average = match old {
            0 => new,
            old if new >= old => old + (new - old).div_ceil(INERTIA),
            old => old - (old - new).div_ceil(INERTIA),
        };
        self.latency_us.store(average, Ordering::Relaxed);
        self.confirmed.store(true, Ordering::Relaxed);
    }

    /// It came to nothing, and says nothing about the host's speed.
    pub fn gave_up(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// The host answers, but nobody uses it: that it was slow once is believed less and less, so that
    /// somebody tries it again.
    pub fn fade(&self) {
        let confirmed = self.confirmed.swap(false, Ordering::Relaxed);
        if !confirmed && self.in_flight() == 0 {
            let old = self.latency_us.load(Ordering::Relaxed);
            let less = old.div_ceil(FADING);
            self.latency_us
                .store((old - less).max(old.min(1)), Ordering::Relaxed);
        }
    }

    /// Requests under way.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// The moving average, in microseconds; 0 where nothing was measured.
    pub fn latency_us(&self) -> u32 {
        self.latency_us.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_follows_what_is_measured() {
        let gauge = Gauge::default();
        let measure = |micros| {
            gauge.began();
            gauge.ended(Duration::from_micros(micros));
        };
        measure(800);
        assert_eq!(gauge.latency_us(), 800, "the first value is the average");
        for _ in 0..200 {
            measure(100);
        }
        assert_eq!(gauge.latency_us(), 100);
        assert_eq!(gauge.in_flight(), 0);
        gauge.began();
        assert_eq!(gauge.in_flight(), 1);
        gauge.gave_up();
        assert_eq!((gauge.in_flight(), gauge.latency_us()), (0, 100));
    }

    #[test]
    fn an_average_that_nobody_confirms_fades() {
        let gauge = Gauge::default();
        gauge.began();
        gauge.ended(Duration::from_millis(8));
        gauge.fade();
        assert_eq!(gauge.latency_us(), 8000, "it was measured just now");
        gauge.began();
        gauge.fade();
        assert_eq!(gauge.latency_us(), 8000, "somebody measures it");
        gauge.gave_up();
        gauge.fade();
        assert_eq!(gauge.latency_us(), 6000);
        for _ in 0..60 {
            gauge.fade();
        }
        assert_eq!(gauge.latency_us(), 1);
    }
}
