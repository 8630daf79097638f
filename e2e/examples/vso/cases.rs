//! The objects: each template alone with each answer, then filters, names, references and several templates at once; and what
//! differs on purpose.

use serde_json::{Map, Value, json};

use crate::texts::{FINE, TEXTS};

/// Answers of Vault, and whether each is one of KV v2.
fn answers() -> Vec<(Value, bool)> {
    let text = r#"{"user":"app","pass":"p<&>\"'\\ é\u2028","url":"https://u:p@db.example:5432/x?y=1#z","port":5432,"big":12345678901234567890,
        "float":1.50,"exp":1e5,"neg":-7,"on":true,"off":false,"none":null,"empty":"","list":["b","a",3,null,{"k":"v"}],
        "map":{"z":1,"a":{"b":["c"]},"s":"t"},"json":"{\"a\":[1,2.50,\"x\"],\"n\":null}","csv":"a,b,,c","lines":"one\ntwo\n  three\n",
        "cert":"-----BEGIN X-----\nQUJD\n-----END X-----\n","b64":"aGVsbG8=","semver":"1.2.3-rc.1","A_KEY.x-y":"odd"}"#;
    let fields: Value = serde_json::from_str(text).unwrap();
    let metadata = json!({"version": 3, "created_time": "2026-01-02T03:04:05.6789Z", "deletion_time": "", "destroyed": false,
        "custom_metadata": {"owner": "team-a", "tier": null}});
    vec![
        (json!({"data": fields, "metadata": metadata}), true),
        (fields, false),
        (json!({"data": {}, "metadata": {"version": 1, "custom_metadata": null}}), true),
        (json!({"username": "v-web", "password": "x y", "ttl": 3600}), false),
        (json!({"data": {"_raw": "mine", "user": "u"}, "metadata": {}}), true),
        (json!({"a b": "no key", "user": "u"}), false),
        (json!({"metadata": {"version": 9}, "data": "x", "user": {"name": "n"}}), false),
    ]
}

/// Patterns of filters, in Go's syntax.
const PATTERNS: &[&str] = &[
    "^u",
    "pass",
    ".*",
    "^$",
    "a|e",
    "^(user|pass)$",
    "(?i)A_key",
    r"\.x",
    r"^[[:lower:]]+$",
    r"\w{3}",
    "^[^u]",
    "(",
    "[a-",
    "(?P<n>u)ser",
    r"\d",
    r"\bon\b",
    "",
];

const KEYS: &[&str] = &["url", "user", "a", "b.txt", "z", "c", "d", "e", "A_KEY.x-y", "_raw", "bad key"];

const NAMES: &[&str] = &["", "", "", "t", "u", "lib/one/a", "app/web/a", "a", "url"];

/// Names in a library: none that is a key too, as then it is chance which of its templates VSO takes.
const OTHERS: &[&str] = &["", "", "", "t", "u", "lib/one/a", "app/web/a"];

/// A shared library; what it is called, and what it has.
fn library(dice: &mut Dice, name: &str) -> Value {
    let mut spec = Map::new();
    for (field, most) in [("templates", 3), ("sourceTemplates", 2)] {
        let count = dice.below(most + 1);
        if field == "templates" {
            let all: Map<String, Value> =
                (0..count).map(|_| (dice.of(KEYS).to_owned(), template(dice, OTHERS))).collect();
            spec.insert(field.to_owned(), Value::Object(all));
        } else {
            spec.insert(field.to_owned(), (0..count).map(|_| template(dice, OTHERS)).collect());
        }
    }
    for field in ["includes", "excludes"] {
        if dice.below(4) == 0 {
            spec.insert(field.to_owned(), json!([dice.of(PATTERNS)]));
        }
    }
    let meta = json!({"name": name, "namespace": "lib", "uid": name});
    let (api, kind) = ("secrets.hashicorp.com/v1beta1", "SecretTransformation");
    json!({"apiVersion": api, "kind": kind, "metadata": meta, "spec": spec})
}

fn template(dice: &mut Dice, names: &'static [&'static str]) -> Value {
    // Mostly such as can be rendered, else hardly anything with several would be.
    let (name, text) = (dice.of(names), if dice.below(8) == 0 { dice.of(TEXTS) } else { dice.of(FINE) });
    if name.is_empty() { json!({"text": text}) } else { json!({"name": name, "text": text}) }
}

fn object(transformation: &Value, labelled: bool) -> Value {
    let mut meta = json!({"name": "web", "namespace": "app", "uid": "u"});
    if labelled {
        meta["labels"] = json!({"team": "red", "app": "web"});
        meta["annotations"] = json!({"note": "a \"b\""});
    }
    let spec = json!({"mount": "secret", "path": "web", "type": "kv-v2", "vaultAuthRef": "a",
        "destination": {"name": "web", "create": true, "transformation": transformation}});
    let (api, kind) = ("secrets.hashicorp.com/v1beta1", "VaultStaticSecret");
    json!({"apiVersion": api, "kind": kind, "metadata": meta, "spec": spec})
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(most).unwrap()).unwrap()
    }

    fn of(&mut self, list: &'static [&'static str]) -> &'static str {
        list[self.below(list.len())]
    }
}

/// One with a bit of everything.
fn any(dice: &mut Dice, answers: &[(Value, bool)]) -> Value {
    let libraries = ["one", "two"].map(|name| library(dice, name));
    let mut own = Map::new();
    let count = dice.below(4);
    let templates: Map<String, Value> = (0..count).map(|_| (dice.of(KEYS).to_owned(), template(dice, NAMES))).collect();
    own.insert("templates".to_owned(), Value::Object(templates));
    for field in ["includes", "excludes"] {
        let count = dice.below(3);
        own.insert(field.to_owned(), (0..count).map(|_| json!(dice.of(PATTERNS))).collect());
    }
    if dice.below(2) == 0 {
        own.insert("excludeRaw".to_owned(), json!(true));
    }
    let count = dice.below(3);
    let references = (0..count).map(|_| {
        let mut reference = json!({"name": *["one", "two"].get(dice.below(2)).unwrap(), "namespace": "lib"});
        for field in ["ignoreIncludes", "ignoreExcludes"] {
            if dice.below(3) == 0 {
                reference[field] = json!(true);
            }
        }
        if dice.below(2) == 0 {
            let name = dice.of(KEYS);
            reference["templateRefs"] = match dice.below(2) {
                0 => json!([{"name": name}]),
                _ => json!([{"name": name, "keyOverride": dice.of(KEYS)}]),
            };
        }
        reference
    });
    let references: Value = references.collect();
    own.insert("transformationRefs".to_owned(), references);
    let (answer, kv2) = &answers[dice.below(answers.len())];
    let object = object(&Value::Object(own), dice.below(2) == 0);
    json!({"object": object, "transformations": libraries, "answer": answer, "kv2": kv2})
}

/// Each text with each answer, each pattern each way, and so many of several things.
pub(crate) fn all(count: usize) -> Vec<Value> {
    let answers = answers();
    let mut cases = Vec::new();
    for (answer, kv2) in &answers {
        let mut add = |transformation: &Value, labelled: bool| {
            let object = object(transformation, labelled);
            cases.push(json!({"object": object, "transformations": [], "answer": answer, "kv2": kv2}));
        };
        for (index, text) in TEXTS.iter().enumerate() {
            add(&json!({"excludeRaw": true, "templates": {"k": {"text": text}}}), index % 2 == 0);
            add(&json!({"excludeRaw": true, "templates": {"k": {"text": text}}}), index % 2 == 1);
        }
        for pattern in PATTERNS {
            add(&json!({"includes": [pattern]}), false);
            add(&json!({"excludes": [pattern], "excludeRaw": true}), false);
            add(&json!({"includes": [pattern, "user"], "excludes": ["pass"]}), false);
        }
    }
    let mut dice = Dice(0x5eed);
    cases.extend((0..count).map(|_| any(&mut dice, &answers)));
    cases
}

/// Words of the other side's refusal, or of ours, where only one of the two refuses, and why that is.
const ON_PURPOSE: &[(Option<&str>, Option<&str>, &str)] = &[
    (None, Some("the pattern is not"), "a pattern that is none is refused here before any key is held against it"),
    (None, Some("is not defined"), "a template that nobody has is refused here before it is called"),
    (None, Some("is refused"), "a function that can never be called is refused here also where nothing calls it"),
    (None, Some("is defined twice"), "a library with a text that defines its own name is refused here as a whole"),
    (None, Some("only a function takes arguments"), "a call that can never do is refused here before it is made"),
    (Some("duplicate SecretTransformation ref"), None, "a library that is named twice is used once here"),
    (Some("duplicate template name"), None, "one template may fill two keys here"),
    (Some("template name empty"), None, "a shared template needs no name of its own here to be named by its key"),
];

/// Why it is no surprise that these two refusals, or the want of one, differ.
pub(crate) fn on_purpose(theirs: Option<&String>, ours: Option<&String>) -> Option<&'static str> {
    let fits = |said: Option<&String>, words: Option<&str>| match (said, words) {
        (Some(said), Some(words)) => said.contains(words),
        (None, None) => true,
        _ => false,
    };
    ON_PURPOSE.iter().find(|(one, other, _)| fits(theirs, *one) && fits(ours, *other)).map(|(.., why)| *why)
}
