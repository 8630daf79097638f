//! The type every secret lives in.

use zeroize::Zeroize;

/// A secret that cannot be printed, serialised or compared by accident, and is wiped when dropped.
///
/// It has no `Debug`, `Display` or `Serialize` on purpose: a struct that holds one cannot derive them either, so a leak
/// through `{:?}` does not compile.
#[derive(Clone, Default)]
pub struct Sensitive<T: Zeroize>(T);

impl<T: Zeroize> Sensitive<T> {
    /// Takes ownership; the caller keeps no copy.
    pub const fn new(secret: T) -> Self {
        Self(secret)
    }

    /// The one way to the secret; every use is a place to review.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// For code that builds a secret piece by piece.
    pub const fn expose_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Zeroize> Drop for Sensitive<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Constant-time in the common case is not needed here: equality only answers "did the bytes change".
impl<T: Zeroize + PartialEq> PartialEq for Sensitive<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T: Zeroize + Eq> Eq for Sensitive<T> {}

impl From<&str> for Sensitive<String> {
    fn from(secret: &str) -> Self {
        Self::new(secret.to_owned())
    }
}
