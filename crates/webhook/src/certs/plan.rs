//! What to do next about CA, `caBundle` and leaf; decided from what was seen, done by `keeper`.
//!
//! A rotation never leaves an API server without a CA it trusts: a new CA first joins `caBundle`, each replica goes over to it
//! only after it has seen it there for [`SETTLE`], and the old one stays trusted for [`KEEP`].

use std::time::Duration;

use super::Unix;
use super::authority::{CaCertificate, LEAF_LIFE};
use super::bundle::{self, Entry};
use super::store::{Store, Stored};

/// How long API servers may take to act on a changed `caBundle`.
pub const SETTLE: Duration = Duration::from_secs(10);

/// How long an old CA stays trusted: any leaf of it has ended by then, also a renewed one of a replica that could not see the
/// new CA for a day.
pub const KEEP: i64 = 3 * LEAF_LIFE;

/// Old CAs kept at most; more are only there when somebody asks for one rotation after another.
const MOST: usize = 8;

/// A change to something shared. Only the Lease's holder makes a CA or takes one away; a lost Secret and `caBundle` are restored by
/// whoever is first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// All is as it should be.
    Rest,
    /// Make the Secret, or make it anew: from what this replica remembers, else with a new CA beside these.
    Restore(Vec<CaCertificate>),
    /// A new CA; these stay trusted.
    Rotate(Vec<CaCertificate>),
    /// Only these stay trusted beside the CA in service.
    Prune(Vec<CaCertificate>),
    /// `caBundle` should hold these.
    Publish(Vec<CaCertificate>),
}

/// The next step. Without entries, since they could not be read, `caBundle` is left alone.
pub fn step(stored: &Stored, entries: Option<&[Entry]>, now: Unix) -> Step {
    let Stored::Usable { store, .. } = stored else {
        // Leaves of a CA that is lost are still in service somewhere.
        let trusted = entries.and_then(<[Entry]>::first).map(|entry| entry.trusts.clone()).unwrap_or_default();
        return Step::Restore(kept(trusted, now));
    };
    let current = store.current.certificate();
    if store.rotate || current.is_due(now) {
        let trusted = [current.clone()].into_iter().chain(store.previous.iter().cloned());
        return Step::Rotate(kept(trusted.collect(), now));
    }
    let still =
        if now >= current.not_before.saturating_add(KEEP) { Vec::new() } else { kept(store.previous.clone(), now) };
    if still != store.previous {
        return Step::Prune(still);
    }
    let wanted = bundle_of(store);
    match entries {
        Some(entries) if !bundle::is_right(entries, &wanted) => Step::Publish(wanted),
        _ => Step::Rest,
    }
}

/// What `caBundle` should hold: the CA in service, then the older ones.
pub fn bundle_of(store: &Store) -> Vec<CaCertificate> {
    [store.current.certificate().clone()].into_iter().chain(store.previous.iter().cloned()).collect()
}

fn kept(mut certificates: Vec<CaCertificate>, now: Unix) -> Vec<CaCertificate> {
    certificates.retain(|certificate| certificate.not_after > now);
    certificates.truncate(MOST);
    certificates
}

/// Which CA should make this replica's next leaf, if one is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeafStep {
    /// The leaf in service stays.
    Keep,
    /// From the CA of the leaf in service: the new one is not trusted yet.
    FromOld,
    /// From the CA in service.
    FromCurrent,
}

/// The leaf in service, as much of it as matters here.
#[derive(Clone, Copy, Debug)]
pub struct InService<'a> {
    /// Who made it.
    pub ca: &'a CaCertificate,
    /// When it should be replaced.
    pub renew_at: Unix,
}

/// `trusted_for`: how long the current CA has been seen in every `caBundle`.
pub fn leaf_step(
    leaf: Option<InService<'_>>,
    current: &CaCertificate,
    trusted_for: Option<Duration>,
    now: Unix,
) -> LeafStep {
    let Some(leaf) = leaf else { return LeafStep::FromCurrent };
    let due = now >= leaf.renew_at;
    if leaf.ca == current {
        return if due { LeafStep::FromCurrent } else { LeafStep::Keep };
    }
    match trusted_for {
        Some(since) if since >= SETTLE => LeafStep::FromCurrent,
        // Its own CA has ended: the new one, trusted or not, is all there is.
        _ if leaf.ca.not_after <= now => LeafStep::FromCurrent,
        _ if due => LeafStep::FromOld,
        _ => LeafStep::Keep,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::authority::{Authority, CA_LIFE};
    use super::*;

    const NOW: Unix = 1_800_000_000;

    fn ca(made: Unix) -> Arc<Authority> {
        Arc::new(Authority::generate(made).unwrap())
    }

    fn usable(current: &Arc<Authority>, previous: &[CaCertificate], rotate: bool) -> Stored {
        let store = Store { current: Arc::clone(current), previous: previous.to_vec(), rotate };
        Stored::Usable { object: Box::default(), store }
    }

    fn trusting(certificates: &[&CaCertificate]) -> Vec<Entry> {
        let trusts: Vec<_> = certificates.iter().copied().cloned().collect();
        vec![Entry { name: "inject.sidekey.dev".to_owned(), trusts, damaged: false }]
    }

    #[test]
    fn rests_when_all_is_right() {
        let one = ca(NOW);
        assert_eq!(step(&usable(&one, &[], false), Some(&trusting(&[one.certificate()])), NOW), Step::Rest);
    }

    #[test]
    fn publishes_to_an_entry_that_trusts_others_or_nobody() {
        let (one, other) = (ca(NOW), ca(NOW));
        let stored = usable(&one, &[], false);
        let wanted = Step::Publish(vec![one.certificate().clone()]);
        for entries in
            [trusting(&[]), trusting(&[other.certificate()]), trusting(&[one.certificate(), other.certificate()])]
        {
            assert_eq!(step(&stored, Some(&entries), NOW), wanted);
        }
        let mut second = trusting(&[one.certificate()]);
        second.extend(trusting(&[]));
        assert_eq!(step(&stored, Some(&second), NOW), wanted, "every entry counts, not the first alone");
        let mut damaged = trusting(&[one.certificate()]);
        damaged[0].damaged = true;
        assert_eq!(step(&stored, Some(&damaged), NOW), wanted);
    }

    #[test]
    fn rotates_when_asked_and_at_two_thirds_and_keeps_the_old_one_trusted() {
        let one = ca(NOW);
        let entries = trusting(&[one.certificate()]);
        let rotate = Step::Rotate(vec![one.certificate().clone()]);
        assert_eq!(step(&usable(&one, &[], true), Some(&entries), NOW), rotate);
        assert_eq!(step(&usable(&one, &[], false), Some(&entries), NOW + CA_LIFE / 3 * 2), rotate);
        assert_eq!(step(&usable(&one, &[], false), Some(&entries), NOW + CA_LIFE + 1), Step::Rotate(Vec::new()));
    }

    #[test]
    fn forgets_old_cas_when_their_leaves_have_ended() {
        let (old, new) = (ca(NOW), ca(NOW + 1000));
        let stored = usable(&new, &[old.certificate().clone()], false);
        let entries = trusting(&[new.certificate(), old.certificate()]);
        assert_eq!(step(&stored, Some(&entries), NOW + KEEP - 4000), Step::Rest);
        assert_eq!(step(&stored, Some(&entries), NOW + KEEP + 1000), Step::Prune(Vec::new()));
    }

    #[test]
    fn many_rotations_in_a_row_keep_a_bounded_number() {
        let one = ca(NOW);
        let many: Vec<_> = (0..20).map(|_| ca(NOW).certificate().clone()).collect();
        let Step::Rotate(kept) = step(&usable(&one, &many, true), None, NOW) else { panic!() };
        assert_eq!((kept.len(), &kept[0]), (MOST, one.certificate()));
    }

    #[test]
    fn restores_a_lost_secret_beside_what_is_still_trusted() {
        let lost = ca(NOW);
        let entries = trusting(&[lost.certificate()]);
        let restore = Step::Restore(vec![lost.certificate().clone()]);
        assert_eq!(step(&Stored::Absent, Some(&entries), NOW), restore);
        let unusable = Stored::Unusable { object: Box::default(), reason: String::new() };
        assert_eq!(step(&unusable, Some(&entries), NOW), restore);
        assert_eq!(step(&Stored::Absent, None, NOW), Step::Restore(Vec::new()));
    }

    #[test]
    fn leaves_the_bundle_alone_when_it_cannot_be_read() {
        assert_eq!(step(&usable(&ca(NOW), &[], false), None, NOW), Step::Rest);
    }

    #[test]
    fn a_leaf_goes_over_to_a_new_ca_only_once_that_is_trusted() {
        let (old, new) = (ca(NOW), ca(NOW));
        let (old, new) = (old.certificate(), new.certificate());
        let fresh = Some(InService { ca: old, renew_at: NOW + 100 });
        let cases = [
            (None, new, None, NOW, LeafStep::FromCurrent),
            (fresh, old, None, NOW, LeafStep::Keep),
            (fresh, old, None, NOW + 100, LeafStep::FromCurrent),
            (fresh, new, None, NOW, LeafStep::Keep),
            (fresh, new, Some(SETTLE / 2), NOW, LeafStep::Keep),
            (fresh, new, Some(SETTLE / 2), NOW + 100, LeafStep::FromOld),
            (fresh, new, Some(SETTLE), NOW, LeafStep::FromCurrent),
            (fresh, new, None, NOW + CA_LIFE, LeafStep::FromCurrent),
        ];
        for (index, (leaf, current, trusted_for, now, wanted)) in cases.into_iter().enumerate() {
            assert_eq!(leaf_step(leaf, current, trusted_for, now), wanted, "case {index}");
        }
    }
}
