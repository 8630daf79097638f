//! Words that an annotation chooses from, by what they mean: for the pod's own, and for those that the settings give to pods.

use sidekey_core::contract::{Bearer, Engine, Format};

use crate::registry::Field;
use crate::settings::{DefaultTemplate, PullPolicy, SecurityContext};
use crate::value;

/// In any case of letters; empty is refused.
pub(crate) fn default_template(text: &str) -> Option<DefaultTemplate> {
    match text.to_ascii_lowercase().as_str() {
        "map" => Some(DefaultTemplate::Map),
        "json" => Some(DefaultTemplate::Json),
        _ => None,
    }
}

/// Language of native templates.
pub(crate) fn engine(text: &str) -> Option<Engine> {
    match text {
        "handlebars" => Some(Engine::Handlebars),
        "go" => Some(Engine::Go),
        _ => None,
    }
}

/// By its name, or as files are called.
pub(crate) fn format(text: &str) -> Option<Format> {
    Format::of_word(match text {
        "yml" => "yaml",
        "cnf" => "mycnf",
        word => word,
    })
}

/// Whose token a request on the listener carries.
pub(crate) fn bearer(text: &str) -> Option<Bearer> {
    match text {
        "true" => Some(Bearer::Agent),
        "force" => Some(Bearer::Force),
        "false" | "" => Some(Bearer::Caller),
        _ => None,
    }
}

/// Whether a program is started anew when a variable changes.
pub(crate) fn restarts(text: &str) -> Option<bool> {
    match text {
        "restart" => Some(true),
        "keep" | "" => Some(false),
        _ => None,
    }
}

/// Whether log lines are JSON.
pub(crate) fn log_json(text: &str) -> Option<bool> {
    match text {
        "json" => Some(true),
        "standard" => Some(false),
        _ => None,
    }
}

/// Whether a row of `OneOf` has such a word. Of most an empty one is an absent one.
pub(crate) fn has(field: Field, text: &str) -> bool {
    match field {
        Field::PullPolicy => PullPolicy::parse(text).is_some(),
        Field::SetSecurityContext => SecurityContext::parse(text).is_some(),
        Field::DefaultTemplate => default_template(text).is_some(),
        Field::CacheToken => bearer(text).is_some(),
        Field::EnvOnChange => restarts(text).is_some(),
        Field::TemplateEngine => text.is_empty() || engine(text).is_some(),
        Field::Format => text.is_empty() || format(text).is_some(),
        Field::LogLevel => text.is_empty() || value::log_level(text).is_some(),
        Field::LogFormat => text.is_empty() || log_json(text).is_some(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Kind, TABLE};

    #[test]
    fn each_row_of_words_has_its_own_and_no_other() {
        let mut rows = 0;
        for row in TABLE {
            let Kind::OneOf(words) = row.kind else { continue };
            rows += 1;
            for word in words {
                assert!(has(row.field, word), "{:?} {word}", row.field);
            }
            assert!(!has(row.field, "loud"), "{:?}", row.field);
        }
        assert_eq!(rows, 9);
    }

    #[test]
    fn reads_other_spellings() {
        for (field, word) in [
            (Field::LogLevel, "WARNING"),
            (Field::LogLevel, " err "),
            (Field::DefaultTemplate, "JSON"),
            (Field::SetSecurityContext, "none"),
            (Field::SetSecurityContext, "T"),
            (Field::Format, "yml"),
        ] {
            assert!(has(field, word), "{field:?} {word}");
        }
        assert!(!has(Field::DefaultTemplate, ""), "an empty one is refused in a pod, too");
    }
}
