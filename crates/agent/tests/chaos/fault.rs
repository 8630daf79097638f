//! What can go wrong, and how often each is drawn.

use std::time::Duration;

use sidekey_fakevault::{Fault, Matcher, Standing};

use crate::dice::Dice;

/// Statuses that the design gives an answer of its own, and the common ones beside them.
pub(crate) const STATUSES: [u16; 14] = [400, 401, 403, 404, 405, 412, 413, 429, 472, 473, 500, 502, 503, 504];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    // One answer.
    Status,
    RetryAfter,
    Reset,
    LoseAnswer,
    CutBody,
    Garbage,
    Huge,
    RenewToNothing,
    Slow,
    Cut,
    // All answers, for a while.
    Sealed,
    Standing,
    EveryStatus,
    Refused,
    Hole,
    NoName,
    NoDns,
    ExpiredCertificate,
    ExpiredAuthority,
    WrongCa,
    /// Longer than a file may be shown without an answer.
    Outlived,
    // One path, for a while: the others must not notice.
    OnePath,
    // Somebody meddles.
    TokensRevoked,
    LeaseRevoked,
    PolicyGone,
    // The pod.
    JwtRotated,
    JwtGone,
    JwtEmpty,
    JwtForeign,
    SecretsFull,
    StateFull,
    ReadOnly,
    FileBlocked,
    FileReadOnly,
    TemplateGone,
    TemplateBad,
    // Time and life.
    ClockAhead,
    ClockBack,
    Kill,
    KillInOutage,
}

/// Every kind and its weight.
const ALL: [(Kind, usize); 40] = [
    (Kind::Status, 16),
    (Kind::RetryAfter, 3),
    (Kind::Reset, 5),
    (Kind::LoseAnswer, 4),
    (Kind::CutBody, 4),
    (Kind::Garbage, 3),
    (Kind::Huge, 1),
    (Kind::RenewToNothing, 2),
    (Kind::Slow, 3),
    (Kind::Cut, 3),
    (Kind::Sealed, 2),
    (Kind::Standing, 2),
    (Kind::EveryStatus, 4),
    (Kind::Refused, 2),
    (Kind::Hole, 1),
    (Kind::NoName, 2),
    (Kind::NoDns, 2),
    (Kind::ExpiredCertificate, 2),
    (Kind::ExpiredAuthority, 1),
    (Kind::WrongCa, 2),
    (Kind::Outlived, 1),
    (Kind::OnePath, 4),
    (Kind::TokensRevoked, 3),
    (Kind::LeaseRevoked, 3),
    (Kind::PolicyGone, 2),
    (Kind::JwtRotated, 2),
    (Kind::JwtGone, 1),
    (Kind::JwtEmpty, 1),
    (Kind::JwtForeign, 1),
    (Kind::SecretsFull, 2),
    (Kind::StateFull, 2),
    (Kind::ReadOnly, 2),
    (Kind::FileBlocked, 2),
    (Kind::FileReadOnly, 2),
    (Kind::TemplateGone, 2),
    (Kind::TemplateBad, 2),
    (Kind::ClockAhead, 2),
    (Kind::ClockBack, 2),
    (Kind::Kill, 10),
    (Kind::KillInOutage, 4),
];

impl Kind {
    /// Needs a volume, or a file, that is a mount of its own.
    pub(crate) const fn needs_mount(self) -> bool {
        matches!(self, Self::SecretsFull | Self::StateFull | Self::ReadOnly | Self::NoDns)
    }

    pub(crate) fn name(self) -> String {
        format!("{self:?}")
    }
}

/// Kinds in the order of a run: each once in the first round, then by their weights.
pub(crate) struct Deck {
    left: Vec<Kind>,
    /// Those that are drawn at all.
    drawn: Vec<(Kind, usize)>,
    first: bool,
}

impl Deck {
    /// `only`: names of kinds; none is all of them.
    pub(crate) fn new(mounted: bool, only: &[&str]) -> Self {
        let is_drawn =
            |kind: Kind| (mounted || !kind.needs_mount()) && (only.is_empty() || only.contains(&&*kind.name()));
        let drawn: Vec<_> = ALL.into_iter().filter(|(kind, _)| is_drawn(*kind)).collect();
        assert!(!drawn.is_empty(), "no such faults: {only:?}");
        Self { left: Vec::new(), drawn, first: true }
    }

    pub(crate) fn draw(&mut self, dice: &mut Dice) -> Kind {
        loop {
            if let Some(kind) = self.left.pop() {
                return kind;
            }
            let first = std::mem::take(&mut self.first);
            self.left =
                self.drawn.iter().flat_map(|(kind, weight)| vec![*kind; if first { 1 } else { *weight }]).collect();
            dice.shuffle(&mut self.left);
        }
    }

    /// Kinds that are not drawn.
    pub(crate) fn missing(&self) -> Vec<String> {
        let missing = ALL.iter().filter(|all| !self.drawn.contains(all));
        missing.map(|(kind, _)| kind.name()).collect()
    }
}

/// One wrong answer: to which request, and which.
pub(crate) fn answer(kind: Kind, dice: &mut Dice) -> (Matcher, Fault) {
    let paths = ["", "", "secret/data/", "database/creds/", "auth/", "sys/leases/renew", "pki/"];
    let any = Matcher::path(*dice.pick(&paths));
    let fault = match kind {
        Kind::Status => status(*dice.pick(&STATUSES)),
        Kind::RetryAfter => Fault::RetryAfter(*dice.pick(&[429, 503]), dice.between(1..=10)),
        Kind::LoseAnswer => Fault::LoseAnswer,
        Kind::CutBody => Fault::CutBody,
        Kind::Garbage => Fault::Garbage,
        Kind::Huge => Fault::Huge(5 << 20),
        Kind::RenewToNothing => Fault::RenewToNothing,
        Kind::Slow => Fault::Slow(Duration::from_millis(dice.between(20..=150))),
        _ => Fault::Reset,
    };
    match kind {
        Kind::RenewToNothing => (Matcher::path(*dice.pick(&["sys/leases/renew", "auth/token/renew-self"])), fault),
        _ => (any, fault),
    }
}

pub(crate) fn status(status: u16) -> Fault {
    Fault::Status(status, vec!["as told by the run".to_owned()])
}

/// A name whose label is longer than DNS has: resolving it fails without a packet.
pub(crate) fn no_name() -> Fault {
    Fault::Redirect(format!("https://{}.test:8200", "v".repeat(64)))
}

pub(crate) const STANDINGS: [Standing; 3] = [Standing::DrSecondary, Standing::Uninitialised, Standing::Sealed];
