//! What the two languages have in common.

use std::collections::BTreeSet;

use sidekey_core::Lookup;

use crate::error::TemplateError;
use crate::inputs::{Inputs, Rendered};

/// A template that is ready to render.
pub(crate) trait Engine: Send + Sync {
    /// Renders once; while anything is missing, failures are not reported, since data may mend them.
    fn render(&self, inputs: &Inputs<'_>) -> Result<Rendered, TemplateError>;

    /// Lookups that need no rendering to be known and that every rendering asks for.
    fn literal_lookups(&self) -> BTreeSet<Lookup>;

    /// Files that it reads by a literal path.
    fn literal_files(&self) -> BTreeSet<String> {
        BTreeSet::new()
    }
}
