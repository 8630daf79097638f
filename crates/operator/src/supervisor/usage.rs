//! Which logins are in use: those that an object's last look had.

use std::sync::Arc;

use super::Supervisor;
use crate::sessions::Identity;

impl Supervisor {
    /// Tells the logins which of them objects use, when that has changed.
    pub(super) fn tell_usage(&self) {
        if !self.unlisted.is_empty() {
            return;
        }
        let used = self.schedule.logins().map(|login| Identity::of(login)).collect();
        self.surroundings.send_if_modified(|surroundings| {
            let news = surroundings.used.as_deref() != Some(&used);
            if news {
                surroundings.used = Some(Arc::new(used));
            }
            news
        });
    }
}
