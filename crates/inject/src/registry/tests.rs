use super::*;

#[test]
fn holds_each_field_once_at_its_index() {
    for (index, row) in TABLE.iter().enumerate() {
        assert_eq!(row.field as usize, index);
        assert!(row.vault.is_some() || row.native.is_some(), "{row:?}");
    }
}

#[test]
fn holds_the_74_keys_of_the_vault_dialect() {
    let keys: Vec<Key> = TABLE.iter().filter_map(|row| row.vault).collect();
    let count = |suffix| keys.iter().filter(|key| key.suffix == suffix).count();
    assert_eq!((count(Suffix::Never), count(Suffix::Always), count(Suffix::Maybe)), (61, 11, 2));
}

#[test]
fn no_key_stands_for_two_fields() {
    for dialect in [Dialect::Vault, Dialect::Native] {
        let mut names: Vec<_> = TABLE.iter().filter_map(|row| Some(row.key(dialect)?.name)).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}

#[test]
fn takes_keys_apart() {
    let cases = [
        ("agent-inject", Parsed::Plain(Field::Inject)),
        ("agent-inject-secret-Db.env", Parsed::Suffixed(Field::Secret, "Db.env")),
        ("agent-inject-template-file-foo", Parsed::Suffixed(Field::TemplateFile, "foo")),
        ("agent-inject-template-file", Parsed::Suffixed(Field::Template, "file")),
        ("secret-volume-path", Parsed::Plain(Field::VolumePath)),
        ("secret-volume-path-foo", Parsed::Suffixed(Field::VolumePath, "foo")),
        ("agent-inject-secret", Parsed::Unknown),
        ("agent-inject-secret-", Parsed::Unknown),
        ("Role", Parsed::Unknown),
    ];
    for (key, want) in cases {
        assert_eq!(parse(Dialect::Vault, key), want, "{key}");
    }
    assert_eq!(parse(Dialect::Native, "template-engine"), Parsed::Plain(Field::TemplateEngine));
    assert_eq!(parse(Dialect::Native, "template-engine-web"), Parsed::Suffixed(Field::TemplateEngine, "web"));
}

#[test]
fn suggests_what_was_meant() {
    let cases = [
        ("agent-injct", Some("agent-inject")),
        ("Role", Some("role")),
        ("agent-inject-secrets-db", Some("agent-inject-secret-db")),
        ("agent-inject-secret", Some("agent-inject-secret-<NAME>")),
        ("agent-inject-templete-Web.env", Some("agent-inject-template-Web.env")),
        ("agent-pre-populate-onyl", Some("agent-pre-populate-only")),
        ("frobnicate", None),
    ];
    for (key, want) in cases {
        assert_eq!(nearest(Dialect::Vault, key).as_deref(), want, "{key}");
    }
}

#[test]
fn knows_every_format_of_the_contract() {
    let words = sidekey_core::contract::Format::ALL.map(sidekey_core::contract::Format::word);
    let row = TABLE.iter().find(|row| row.field == Field::Format).map(|row| row.kind);
    assert!(matches!(row, Some(Kind::OneOf(known)) if known == words), "{row:?}");
}

/// Levenshtein's distance as the books have it.
fn whole_distance(left: &[u8], right: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut before = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            before.push((row[j] + usize::from(a != b)).min(row[j + 1] + 1).min(before[j] + 1));
        }
        row = before;
    }
    row[right.len()]
}

proptest::proptest! {
    #[test]
    fn gives_up_on_nothing_within_the_bound(left in "[a-c]{0,12}", right in "[a-c]{0,12}", bound in 0_usize..8) {
        let whole = whole_distance(left.as_bytes(), right.as_bytes());
        proptest::prop_assert_eq!(distance(Word::of(&left), Word::of(&right), bound), Some(whole).filter(|cost| *cost <= bound));
    }
}
