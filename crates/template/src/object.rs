//! Values with methods: what Go has a type of its own for.

use crate::helpers::Out;
use crate::helpers::semver::Version;
use crate::helpers::time::Moment;
use crate::value::Val;

/// Names of all methods that a template may call with arguments.
pub(crate) const METHODS: [&str; 13] = [
    "Add",
    "AddDate",
    "After",
    "Before",
    "Compare",
    "Equal",
    "Format",
    "GreaterThan",
    "GreaterThanEqual",
    "LessThan",
    "LessThanEqual",
    "SetMetadata",
    "SetPrerelease",
];

/// A value that a template can only print, compare and ask by method.
pub(crate) trait Object {
    /// How it prints, and stands in JSON as a string.
    fn text(&self) -> String;

    /// How it stands in JSON, without the quotes.
    fn json_text(&self) -> String {
        self.text()
    }

    /// For messages.
    fn kind(&self) -> &'static str;

    fn go_type(&self) -> &'static str;

    fn go_kind(&self) -> &'static str;

    /// `None`: there is no such method.
    fn method(&self, name: &str, args: &[Val]) -> Option<Out>;

    fn version(&self) -> Option<&Version> {
        None
    }

    fn moment(&self) -> Option<&Moment> {
        None
    }
}
