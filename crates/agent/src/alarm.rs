//! Wakes the loop. A timer of the boot clock goes on while the machine sleeps, and wakes the process once; tokio's own stands
//! still, and comes round its wheel three times for each half minute.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use sidekey_core::time::Time;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Whatever is due, the loop goes round so often.
const RARELY: Duration = Duration::from_secs(3_600);

/// Where only tokio's timers are to be had: who wakes up late must look soon.
const OFTEN: Duration = Duration::from_secs(30);

/// A timer that is set at each turn of the loop. Needs a tokio runtime with I/O.
pub(crate) struct Alarm(Option<AsyncFd<OwnedFd>>);

/// The longest sleep that harms nothing on this machine.
pub(crate) fn longest() -> Duration {
    if timer().is_some() { RARELY } else { OFTEN }
}

/// `None` where the kernel, or what stands in for it, has no such timer (`timerfd_create(2)`).
fn timer() -> Option<OwnedFd> {
    timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC).ok()
}

impl Alarm {
    #[expect(
        deprecated,
        reason = "its successor is unsafe; an owned descriptor stays open for as long as it is registered"
    )]
    pub(crate) fn new() -> Self {
        Self(timer().and_then(|timer| AsyncFd::with_interest(timer, Interest::READABLE).ok()))
    }

    /// Until `wake`, but no longer than `longest`.
    pub(crate) async fn wait(&self, wake: Option<Time>, now: Time, longest: Duration) {
        let wait = wake.map_or(longest, |wake| wake.since(now).min(longest));
        match &self.0 {
            Some(timer) if set(timer.get_ref(), wait).is_ok() => ring(timer).await,
            _ => tokio::time::sleep(wait).await,
        }
    }
}

/// Setting it forgets what it was set to before. Zero would stop it.
fn set(timer: &OwnedFd, wait: Duration) -> rustix::io::Result<()> {
    let wait = wait.max(Duration::from_micros(100));
    let wait = Timespec { tv_sec: wait.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: wait.subsec_nanos().into() };
    let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: wait };
    timerfd_settime(timer, TimerfdTimerFlags::empty(), &once).map(drop)
}

async fn ring(timer: &AsyncFd<OwnedFd>) {
    loop {
        let Ok(mut ready) = timer.readable().await else { return };
        let mut count = [0; 8];
        let read = ready.try_io(|timer| Ok(rustix::io::read(timer.get_ref(), &mut count)?));
        // A ring of before is over by now.
        if read.is_ok() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const NOW: Time = Time::from_millis(1_000);

    async fn rings_between(alarm: &Alarm, wake: Option<Time>, longest: Duration, least: Duration) {
        let begun = Instant::now();
        tokio::time::timeout(Duration::from_secs(5), alarm.wait(wake, NOW, longest)).await.unwrap();
        assert!(begun.elapsed() >= least, "{wake:?} {:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn rings_when_due_and_never_later_than_the_longest_sleep() {
        let short = Duration::from_millis(20);
        for alarm in [Alarm::new(), Alarm(None)] {
            for wake in [None, Some(NOW + Duration::from_secs(86_400))] {
                rings_between(&alarm, wake, short, short).await;
            }
            rings_between(&alarm, Some(NOW + short), Duration::from_secs(3_600), short).await;
            rings_between(&alarm, Some(Time::from_millis(1)), Duration::MAX, Duration::ZERO).await;
        }
    }

    /// What was set before and rang while nobody waited, or never rang, is no ring of the next.
    #[tokio::test]
    async fn forgets_what_it_was_set_to_before() {
        let alarm = Alarm::new();
        let (short, long) = (Duration::from_millis(5), Duration::from_millis(40));
        for before in [short, Duration::from_secs(60)] {
            tokio::select! {
                biased;
                () = alarm.wait(None, NOW, before) => panic!("it rang before its time"),
                // Set, asked once, and let go.
                () = std::future::ready(()) => {}
            }
            std::thread::sleep(Duration::from_millis(10));
            rings_between(&alarm, None, long, long).await;
        }
    }

    /// A timer that stands still while its machine sleeps must not be trusted for long.
    #[test]
    fn only_a_timer_of_the_boot_clock_is_trusted_for_long() {
        assert_eq!(longest(), if timer().is_some() { RARELY } else { OFTEN });
        assert!(OFTEN <= Duration::from_secs(30));
    }
}
