//! Whether what a watch tells is news.

use crate::types::object::Object;

/// What a person changed, as against what a status write changed.
pub(super) fn is_news(before: &Object, after: &Object) -> bool {
    let parts = |object: &Object| {
        let metadata = &object.metadata;
        (metadata.uid.clone(), metadata.generation, metadata.deletion_timestamp.clone(), metadata.finalizers.clone())
    };
    parts(before) != parts(after)
        || before.metadata.aside != after.metadata.aside
        || before.metadata.labels != after.metadata.labels
        || before.metadata.annotations != after.metadata.annotations
}

/// Versions are numbers of the store in every API server there is; where they are not, the newest told is believed.
pub(super) fn is_older(one: &Object, other: &Object) -> bool {
    let number = |object: &Object| object.metadata.resource_version.parse::<u64>().ok();
    matches!((number(one), number(other)), (Some(one), Some(other)) if one < other)
}
