//! How long a lease may wait that belongs to a login which is not in use any more: each its own time, so that not all ask, and restart
//! their workloads, at once.

use std::time::Duration;

use super::dynamic_secret::length;
use crate::digest;
use crate::types::dynamic_secret::SecretLease;
use crate::types::object::Key;

/// Longest wait, since the login is only thought to live on.
const LONGEST: Duration = Duration::from_secs(60);

/// What has become of the login of a lease, when another one is in use; with the time that it was given for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// Its VaultAuth or its connection was edited, and it lives to its end.
    Edited(Duration),
    /// Its process has ended, and it is thought to live on.
    Left(Duration),
    /// It has ended, or may have, and the lease with it.
    Lost,
}

/// How long the lease waits. After an edit one whose object is in trouble does not: the edit may be the cure. At a start all are in
/// trouble while Vault is away.
pub fn respite(key: &Key, lease: &SecretLease, earlier: Earlier, in_trouble: bool) -> Duration {
    match earlier {
        Earlier::Edited(_) if in_trouble => Duration::ZERO,
        Earlier::Edited(login) | Earlier::Left(login) => turn(key, lease, login),
        Earlier::Lost => Duration::ZERO,
    }
}

/// A tenth of the lease at the most, and a twentieth of the login's life: logins are replaced while a tenth of theirs is left, so the
/// earlier one outlives this and as long a pause before it.
fn turn(key: &Key, lease: &SecretLease, login: Duration) -> Duration {
    let login = if login.is_zero() { Duration::MAX } else { login / 20 };
    let most = (Duration::from_secs(length(lease)) / 10).min(login).min(LONGEST);
    let [first, second, ..] = digest::sha256(key.to_string().as_bytes());
    most.mul_f64(f64::from(u16::from_be_bytes([first, second])) / f64::from(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn key(n: u32) -> Key {
        Key::new(crate::types::Kind::VaultDynamicSecret, "app", format!("db-{n}"))
    }

    #[test]
    fn turns_are_spread_over_a_tenth_of_the_lease_a_twentieth_of_the_login_and_a_minute() {
        let most = |lease: i32, login: u64| {
            let lease = SecretLease { duration: lease, ..SecretLease::default() };
            let turn = |n| respite(&key(n), &lease, Earlier::Left(s(login)), false).as_secs_f64();
            let turns: Vec<_> = (0..200).map(turn).collect();
            let most = turns.iter().copied().fold(0.0, f64::max);
            let early = turns.iter().filter(|turn| **turn < most / 2.0).count();
            assert!((60..140).contains(&early), "{early} of 200 in the first half");
            most.round()
        };
        assert_eq!([most(100, 3600), most(3600, 400), most(86_400, 0), most(86_400, 86_400)], [10.0, 20.0, 60.0, 60.0]);
    }

    #[test]
    fn who_is_in_trouble_after_an_edit_and_whose_login_is_lost_does_not_wait() {
        let lease = SecretLease { duration: 3600, ..SecretLease::default() };
        let waits = |earlier, in_trouble| !respite(&key(1), &lease, earlier, in_trouble).is_zero();
        let (edited, left) = (Earlier::Edited(s(3600)), Earlier::Left(s(3600)));
        assert_eq!([edited, left, Earlier::Lost].map(|earlier| waits(earlier, false)), [true, true, false]);
        assert_eq!([edited, left, Earlier::Lost].map(|earlier| waits(earlier, true)), [false, true, false]);
    }
}
