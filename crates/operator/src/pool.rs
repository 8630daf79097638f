//! One copy of what many objects have in common: ten thousand objects have a few logins, namespaces and conditions.

use std::collections::BTreeSet;
use std::sync::Arc;

/// Values that somebody holds, each once. What nobody holds any more goes when the pool has doubled.
#[derive(Debug)]
pub struct Pool<T: Ord + ?Sized> {
    held: BTreeSet<Arc<T>>,
    full: usize,
}

/// No pool is looked through below this size.
const FEW: usize = 64;

impl<T: Ord + ?Sized> Default for Pool<T> {
    fn default() -> Self {
        Self { held: BTreeSet::new(), full: FEW }
    }
}

impl<T: Ord + ?Sized> Pool<T> {
    /// The copy that is there already, or this one from now on.
    pub fn share(&mut self, value: Arc<T>) -> Arc<T> {
        if let Some(held) = self.held.get(&value) {
            return Arc::clone(held);
        }
        if self.held.len() >= self.full {
            self.held.retain(|held| Arc::strong_count(held) > 1);
            self.full = FEW.max(self.held.len() * 2);
        }
        self.held.insert(Arc::clone(&value));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one_and_what_nobody_holds_goes() {
        let mut pool = Pool::<str>::default();
        let first = pool.share("app".into());
        assert!(Arc::ptr_eq(&first, &pool.share("app".into())));
        for number in 0..10 * FEW {
            drop(pool.share(format!("gone-{number}").into()));
        }
        assert!(pool.held.len() <= FEW, "{}", pool.held.len());
        assert!(Arc::ptr_eq(&first, &pool.share("app".into())), "what is held stays");
    }
}
