//! One pod of the fleet: what it asks for, when it starts, when it is replaced.

use std::time::Duration;

use sidekey_core::Lookup;
use sidekey_core::planner::{FailureKind, Policy, Step, Time, TokenId};

use crate::agent::{World, run};
use crate::load::Load;
use crate::vault::{Engine, Outage, Role, Vault};

const HOUR: u64 = 3600;

/// What happens to the fleet; all in minutes.
#[derive(Clone, Copy, Debug)]
pub struct Day {
    pub minutes: u64,
    /// From when to when the server is sealed.
    pub sealed: Option<(u64, u64)>,
    /// From when to when each pod is replaced once.
    pub restarts: Option<(u64, u64)>,
}

#[derive(Clone, Debug)]
pub struct Pod {
    role: Role,
    engines: Vec<Engine>,
}

pub fn after(millis: u64) -> Time {
    Time::from_millis(1_000_000_000 + millis)
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Chance of one number.
fn mixed(seed: u64) -> u64 {
    let z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

const fn role(max_ttl: u64) -> Role {
    Role { ttl: secs(HOUR), max_ttl: secs(max_ttl), periodic: false, batch: false, uses: None }
}

const fn database(max_ttl: u64) -> Engine {
    Engine::Database { ttl: secs(HOUR), max_ttl: secs(max_ttl), renewable: true }
}

const KV: Engine = Engine::Kv { hint: 0 };

/// Vault's own default.
const MONTH: u64 = 768 * HOUR;

impl Pod {
    /// Of twenty pods ten read a KV secret; four have a database credential of an hour, three one that renews to two hours,
    /// one a token that ends after two hours; one has a certificate, one a static role, each beside a KV secret.
    pub fn mixed(number: u64) -> Self {
        let (role, other) = match number % 20 {
            0..10 => (role(MONTH), None),
            10..14 => (role(MONTH), Some(database(HOUR))),
            14..17 => (role(MONTH), Some(database(2 * HOUR))),
            17 => (role(2 * HOUR), Some(database(24 * HOUR))),
            18 => (role(MONTH), Some(Engine::Pki { ttl: secs(24 * HOUR) })),
            // Twenty-five static roles: pods of one look together, just after its rotation.
            _ => (role(MONTH), Some(Engine::StaticRole { period: secs(24 * HOUR + number % 500 * 97) })),
        };
        Self { role, engines: [Some(KV), other].into_iter().flatten().collect() }
    }

    pub fn leases_of_two_hours() -> Self {
        Self { role: role(MONTH), engines: vec![KV, database(2 * HOUR)] }
    }

    pub fn tokens_of_two_hours() -> Self {
        Self { role: role(2 * HOUR), engines: vec![KV, database(24 * HOUR)] }
    }

    /// Starts within the first minute, as in a cluster that comes up; counts what it asks.
    pub fn live(&self, number: u64, day: Day, load: &mut Load) {
        let end = after(day.minutes * 60_000);
        let begin = after(mixed(number) % 60_000);
        let replaced = day.restarts.map(|(from, to)| after(from * 60_000 + mixed(number ^ 7) % ((to - from) * 60_000)));
        self.run(mixed(number << 1), day, begin, replaced.unwrap_or(end), load);
        if let Some(begin) = replaced {
            load.count(begin, &Step::RevokeToken(TokenId::default()));
            self.run(mixed((number << 1) | 1), day, begin, end, load);
        }
    }

    fn run(&self, seed: u64, day: Day, begin: Time, end: Time, load: &mut Load) {
        let named = self.engines.iter().enumerate().map(|(i, engine)| (Lookup::read(&format!("s/{i}")), *engine));
        let sealed = day.sealed.map(|(from, to)| Outage {
            from: after(from * 60_000),
            to: after(to * 60_000),
            failure: FailureKind::Unreachable.into(),
        });
        let world = World {
            policy: Policy::default(),
            vault: Vault::new(self.role, named.collect(), sealed.into_iter().collect()),
            seed,
            slow: (9, Duration::from_millis(150)),
            suspends: Vec::new(),
            jumps: Vec::new(),
            kills: Vec::new(),
            begin,
            end,
        };
        run(world).0.started.iter().for_each(|(at, step)| load.count(*at, step));
    }
}
