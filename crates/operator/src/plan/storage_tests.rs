// Which VaultAuth encrypts, and what the others say.

use super::*;

const HOUSE: &str = "vault-secrets-operator";

fn house() -> House {
    House { namespace: HOUSE.to_owned(), default_globals: true, methods: Vec::new(), open_references: false }
}

fn put(cache: &mut Cache, kind: Kind, namespace: &str, name: &str, labels: &Value, spec: &Value) {
    let metadata = json!({ "name": name, "namespace": namespace, "uid": name, "labels": labels, "generation": 1 });
    let object: Object = serde_json::from_value(json!({ "metadata": metadata, "spec": spec })).unwrap();
    cache.put(Key::new(kind, namespace, name), Arc::new(object));
}

/// VaultAuths with a transit key: name, namespace, whether they have the label.
fn cache(auths: &[(&str, &str, bool)]) -> Cache {
    let mut cache = Cache::default();
    let spec = json!({ "method": "kubernetes", "mount": "kubernetes", "kubernetes": { "role": "r", "serviceAccount": "s" },
        "vaultConnectionRef": "default", "storageEncryption": { "mount": "transit", "keyName": "k" } });
    for (name, namespace, labelled) in auths {
        let labels = if *labelled { json!({ "cacheStorageEncryption": "true" }) } else { json!({}) };
        put(&mut cache, Kind::VaultAuth, namespace, name, &labels, &spec);
        put(&mut cache, Kind::VaultConnection, namespace, "default", &json!({}), &json!({ "address": "http://vault" }));
    }
    cache
}

fn said(cache: &Cache, name: &str, namespace: &str, persistence: Persistence) -> Option<String> {
    let key = Key::new(Kind::VaultAuth, namespace, name);
    remark(cache, &house(), persistence, &key, &Arc::clone(cache.get(&key).unwrap()))
}

/// As in the published set-up: a second VaultAuth with a transit key, but without the label, beside the chart's own.
#[test]
fn one_with_the_label_encrypts_and_the_others_say_that_they_do_not() {
    let cache = cache(&[("chart", HOUSE, true), ("manual", HOUSE, false), ("far", "app", true)]);
    let found = transit(&cache, &house()).unwrap();
    assert_eq!((&*found.login.auth.name, found.login.consumer.as_str()), ("chart", HOUSE));
    assert_eq!((found.key.mount.as_str(), found.key.key_name.as_str()), ("transit", "k"));
    let encrypted = Persistence::Encrypted;
    assert_eq!(said(&cache, "chart", HOUSE, encrypted), None);
    let manual = said(&cache, "manual", HOUSE, encrypted).unwrap();
    assert!(manual.contains("has not the label cacheStorageEncryption=true"), "{manual}");
    assert!(said(&cache, "far", "app", encrypted).unwrap().contains("not the operator's namespace"));
    assert!(said(&cache, "chart", HOUSE, Persistence::None).unwrap().contains("direct-encrypted"));
}

#[test]
fn none_or_two_with_the_label_encrypt_nothing_and_the_cause_names_them() {
    let none = transit(&cache(&[("manual", HOUSE, false)]), &house()).unwrap_err();
    assert!(none.answer.contains("no VaultAuth there"), "{none}");
    let two = cache(&[("a", HOUSE, true), ("b", HOUSE, true)]);
    let cause = transit(&two, &house()).unwrap_err();
    assert!(cause.answer.contains("a and b both"), "{cause}");
    assert!(said(&two, "a", HOUSE, Persistence::Encrypted).unwrap().contains("b has the label"));
}

#[test]
fn what_transit_made_is_kept_as_an_object_and_read_from_any_that_has_it() {
    assert_eq!(encrypted("vault:v1:x"), br#"{"ciphertext":"vault:v1:x"}"#);
    assert_eq!(ciphertext(br#"{"ciphertext":"vault:v1:x","key_version":1}"#).as_deref(), Some("vault:v1:x"));
    assert_eq!(ciphertext(b"vault:v1:x"), None);
}
