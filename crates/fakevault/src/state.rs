//! All the server knows, behind one lock that is never held over an await.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};

use serde_json::{Value, json};

use crate::answer::{Answer, Envelope};
use crate::approle::Wrapping;
use crate::auth::AuthMount;
use crate::clock::Clock;
use crate::fault::Faults;
use crate::lease::Lease;
use crate::mount::Mount;
use crate::policy::Policies;
use crate::record::Log;
use crate::spec::{Flavour, Standing};
use crate::tls::Authority;
use crate::token::Token;

pub(crate) struct State {
    pub flavour: Flavour,
    pub standing: Standing,
    /// Where a standby sends its clients.
    pub active_address: Option<String>,
    /// The only namespace there is; `None` takes every one for the same.
    pub namespace: Option<String>,
    pub clock: Clock,
    pub ids: Ids,
    /// By path with `auth/`.
    pub auths: BTreeMap<String, AuthMount>,
    /// By path.
    pub mounts: BTreeMap<String, Mount>,
    pub policies: Policies,
    /// By token.
    pub tokens: BTreeMap<String, Token>,
    /// By id.
    pub leases: BTreeMap<String, Lease>,
    /// The signature the review takes for good.
    pub jwt_key: String,
    /// Service accounts (namespace, name) the review no longer knows.
    pub deleted_accounts: BTreeSet<(String, String)>,
    /// By secret id: mount and role.
    pub secret_ids: BTreeMap<String, (String, String)>,
    /// By wrapping token.
    pub wrappings: BTreeMap<String, Wrapping>,
    pub pki_by_wall: bool,
    /// Certificates (DER) that certificate logins take.
    pub client_certificates: BTreeSet<Vec<u8>>,
    /// Principals by the id of their key.
    pub aws_keys: BTreeMap<String, String>,
    /// What AWS logins must name as this server.
    pub aws_server_id: Option<String>,
    pub faults: Faults,
    pub log: Log,
    /// Issues the certificates of PKI mounts.
    pub authority: Authority,
}

impl State {
    pub(crate) fn new(flavour: Flavour, authority: Authority) -> Self {
        let mut ids = Ids::new();
        let root = Token::root(ids.token(flavour, false));
        Self {
            flavour,
            standing: Standing::Active,
            active_address: None,
            namespace: None,
            clock: Clock::start(),
            jwt_key: ids.hex(4),
            ids,
            auths: BTreeMap::new(),
            mounts: BTreeMap::new(),
            policies: Policies::new(),
            tokens: BTreeMap::from([(root.id.clone(), root)]),
            leases: BTreeMap::new(),
            deleted_accounts: BTreeSet::new(),
            secret_ids: BTreeMap::new(),
            wrappings: BTreeMap::new(),
            pki_by_wall: false,
            client_certificates: BTreeSet::new(),
            aws_keys: BTreeMap::new(),
            aws_server_id: None,
            faults: Faults::default(),
            log: Log::default(),
            authority,
        }
    }

    /// Ends what has reached its time: tokens with their leases, leases, passwords of static roles.
    pub(crate) fn sweep(&mut self) {
        let now = self.clock.now();
        let dead = |token: &Token| token.expires.is_some_and(|end| end <= now);
        let ended: Vec<_> = self.tokens.values().filter(|token| dead(token)).map(|token| token.id.clone()).collect();
        for id in ended {
            self.end_token(&id);
        }
        self.leases.retain(|_, lease| lease.expires > now);
        for mount in self.mounts.values_mut() {
            if let Mount::Database(database) = mount {
                database.rotate(now, &mut self.ids);
            }
        }
    }

    /// Removes a token, and its leases with it.
    pub(crate) fn end_token(&mut self, id: &str) -> bool {
        self.leases.retain(|_, lease| lease.token != id);
        self.tokens.remove(id).is_some()
    }

    pub(crate) fn envelope(&mut self, envelope: Envelope) -> Answer {
        let id = self.ids.uuid();
        envelope.answer(id, self.flavour)
    }

    pub(crate) fn data(&mut self, data: Value, mount_type: &'static str) -> Answer {
        self.envelope(Envelope::data(data, mount_type))
    }

    /// `keys` of a listing, or 404 when there are none.
    pub(crate) fn keys(&mut self, keys: &BTreeSet<String>, mount_type: &'static str) -> Answer {
        if keys.is_empty() { Answer::nothing() } else { self.data(json!({ "keys": keys }), mount_type) }
    }
}

/// Names nobody can guess; the hasher's keys are random per server.
pub(crate) struct Ids {
    random: RandomState,
    count: u64,
}

impl Ids {
    pub(crate) fn new() -> Self {
        Self { random: RandomState::new(), count: 0 }
    }

    fn next(&mut self) -> u64 {
        self.count += 1;
        self.random.hash_one(self.count)
    }

    /// As many times 16 hexadecimal digits.
    pub(crate) fn hex(&mut self, words: usize) -> String {
        (0..words).map(|_| format!("{:016x}", self.next())).collect()
    }

    pub(crate) fn uuid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        let (a, b, c) = (high >> 32, high >> 16 & 0xffff, high & 0xffff);
        format!("{a:08x}-{b:04x}-{c:04x}-{:04x}-{:012x}", low >> 48, low & 0xffff_ffff_ffff)
    }

    pub(crate) fn token(&mut self, flavour: Flavour, batch: bool) -> String {
        let prefix = match (flavour, batch) {
            (Flavour::Vault, false) => "hvs.",
            (Flavour::Vault, true) => "hvb.",
            (Flavour::OpenBao, false) => "s.",
            (Flavour::OpenBao, true) => "b.",
        };
        format!("{prefix}{}", self.hex(2))
    }

    /// A password with every kind of character Vault's default policy asks for.
    pub(crate) fn password(&mut self) -> String {
        format!("{}-A1a", self.hex(1))
    }
}
