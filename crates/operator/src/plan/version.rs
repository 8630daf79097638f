//! Which version of a KV v2 secret there is, told alike by what comes with its data and by its metadata.

use sidekey_core::Value;

/// Of the metadata that comes with the data.
pub fn of_data(metadata: &Value) -> Option<String> {
    Some(named(metadata.get("version")?.as_u64()?, metadata, metadata))
}

/// The current one, of the answer of `metadata/PATH`; none when that names none.
pub fn current(metadata: &Value) -> Option<String> {
    let number = metadata.get("current_version")?.as_u64()?;
    Some(named(number, metadata.get("versions")?.get(&number.to_string())?, metadata))
}

/// All that can change under one number: it is deleted, undeleted, destroyed; or written anew after all versions went.
fn named(number: u64, version: &Value, around: &Value) -> String {
    let json = |from: &Value, field| from.get(field).map(|value| value.to_json().expose().clone()).unwrap_or_default();
    let parts = ["created_time", "deletion_time", "destroyed"].map(|field| json(version, field));
    format!("{number} {} {}", parts.join(" "), json(around, "custom_metadata"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        Value::parse(json).unwrap()
    }

    #[test]
    fn data_and_metadata_name_one_version_alike() {
        let data = value(
            r#"{"version":2,"created_time":"T2","deletion_time":"","destroyed":false,"custom_metadata":{"owner":"a"}}"#,
        );
        let metadata = |current: u64, custom: &str, two: &str| {
            value(&format!(
                r#"{{"current_version":{current},"custom_metadata":{custom},"oldest_version":0,"versions":{{
                "1":{{"created_time":"T1","deletion_time":"","destroyed":false}},"2":{two}}}}}"#
            ))
        };
        let (custom, two) = (r#"{"owner":"a"}"#, r#"{"created_time":"T2","deletion_time":"","destroyed":false}"#);
        let cases = [
            ("the same", metadata(2, custom, two), true),
            ("another number", metadata(1, custom, two), false),
            ("other custom metadata", metadata(2, "null", two), false),
            ("deleted", metadata(2, custom, r#"{"created_time":"T2","deletion_time":"T","destroyed":false}"#), false),
            ("destroyed", metadata(2, custom, r#"{"created_time":"T2","deletion_time":"","destroyed":true}"#), false),
            (
                "written anew",
                metadata(2, custom, r#"{"created_time":"T9","deletion_time":"","destroyed":false}"#),
                false,
            ),
            ("not listed", metadata(3, custom, two), false),
        ];
        assert!(of_data(&data).is_some());
        for (about, metadata, same) in cases {
            assert_eq!(current(&metadata) == of_data(&data), same, "{about}");
        }
        assert_eq!((of_data(&value("{}")), current(&value("{}"))), (None, None));
    }
}
