//! The objects: each template alone with each answer, then filters, names, references and several templates at once; and what
//! differs on purpose.

use serde_json::{Map, Value, json};

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

/// Texts, with the secret's data, its metadata and the object's in reach.
const TEXTS: &[&str] = &[
    "plain",
    "",
    "{{ .Secrets.user }}",
    "{{ .Secrets.pass }}",
    "{{ .Secrets.port }}",
    "{{ .Secrets.big }}",
    "{{ .Secrets.float }}",
    "{{ .Secrets.exp }}",
    "{{ .Secrets.neg }}",
    "{{ .Secrets.on }}/{{ .Secrets.off }}",
    "{{ .Secrets.none }}",
    "{{ .Secrets.missing }}",
    "{{ .Secrets.missing.deeper }}",
    "{{ .Secrets.user.deeper }}",
    "{{ .Secrets.list }}",
    "{{ .Secrets.map }}",
    "{{ .Secrets }}",
    "{{ .secrets.user }}",
    "{{ .Nothing }}",
    "{{ . }}",
    "{{ . | toJson }}",
    "{{ .Metadata }}",
    "{{ .Metadata.version }}",
    "{{ .Metadata.custom_metadata.owner }}",
    "{{ .Metadata.created_time }}",
    "{{ .Metadata.custom_metadata }}",
    "{{ .Annotations }}",
    "{{ .Labels }}",
    "{{ .Labels.team }}",
    "{{ .Annotations.note | quote }}",
    "{{ .Annotations.none }}",
    "{{ get .Labels \"team\" }}",
    "{{ get .Secrets \"user\" }}",
    "{{ index .Secrets \"A_KEY.x-y\" }}",
    "{{ index .Secrets \"missing\" }}",
    "{{ index .Labels \"none\" }}",
    "{{ range $k, $v := .Secrets }}{{ $k }}={{ $v }};{{ end }}",
    "{{ range .Secrets.list }}[{{ . }}]{{ end }}",
    "{{ range $i, $e := .Secrets.list }}{{ $i }}:{{ $e }} {{ else }}none{{ end }}",
    "{{ range .Secrets.none }}x{{ else }}none{{ end }}",
    "{{ range $k, $v := .Metadata }}{{ $k }} {{ end }}",
    "{{ range .Secrets.user }}x{{ end }}",
    "{{ range .Secrets.port }}x{{ end }}",
    "{{ range . }}x{{ end }}",
    "{{ with .Secrets.map }}{{ .a.b }}{{ end }}",
    "{{ with .Secrets.missing }}x{{ else }}y{{ end }}",
    "{{ if .Secrets.empty }}x{{ else if .Secrets.on }}y{{ end }}",
    "{{ if .Secrets.off }}x{{ else }}y{{ end }}",
    "{{ if eq .Secrets.user \"app\" }}x{{ end }}",
    "{{ eq .Secrets.port 5432 }}",
    "{{ eq (int .Secrets.port) 5432 }}",
    "{{ .Secrets.port | int | add 1 }}",
    "{{ .Secrets.port | toString }}",
    "{{ .Secrets.float | float64 }}",
    "{{ .Secrets.float | int64 }}",
    "{{ .Secrets.big | int64 }}",
    "{{ add .Secrets.port 1 }}",
    "{{ mul 3 .Secrets.port }}",
    "{{ div .Secrets.port 2 }}",
    "{{ kindOf .Secrets.port }}",
    "{{ typeOf .Secrets.port }}",
    "{{ kindOf .Secrets.list }} {{ typeOf .Secrets.map }}",
    "{{ typeOf .Secrets }}",
    "{{ typeOf . }}",
    "{{ kindOf . }}",
    "{{ typeOf .Labels }}",
    "{{ typeOf .Secrets.none }}",
    "{{ kindIs \"map\" .Secrets.map }}",
    "{{ typeIs \"string\" .Secrets.user }}",
    "{{ printf \"%s:%s\" .Secrets.user .Secrets.pass }}",
    "{{ printf \"%d\" .Secrets.port }}",
    "{{ printf \"%v\" .Secrets.port }}",
    "{{ printf \"%q\" .Secrets.lines }}",
    "{{ printf \"%05d\" (int .Secrets.port) }}",
    "{{ printf \"%v\" .Secrets.map }}",
    "{{ printf \"%T\" .Secrets.port }}",
    "{{ .Secrets.user | b64enc }}",
    "{{ .Secrets.b64 | b64dec }}",
    "{{ .Secrets.user | b64dec }}",
    "{{ .Secrets.user | b32enc }}",
    "{{ .Secrets.pass | quote }}",
    "{{ .Secrets.pass | squote }}",
    "{{ .Secrets.list | toJson }}",
    "{{ .Secrets.map | toPrettyJson }}",
    "{{ .Secrets.pass | toRawJson }}",
    "{{ .Secrets.float | toJson }}",
    "{{ .Secrets | toJson }}",
    "{{ .Metadata | toJson }}",
    "{{ .Labels | toJson }}",
    "{{ (fromJson .Secrets.json).a }}",
    "{{ range (fromJson .Secrets.json).a }}{{ . }} {{ end }}",
    "{{ fromJson .Secrets.user }}",
    "{{ mustFromJson .Secrets.user }}",
    "{{ .Secrets.user | upper | repeat 2 }}",
    "{{ .Secrets.user | title }}",
    "{{ trunc 2 .Secrets.user }}",
    "{{ trunc -2 .Secrets.user }}",
    "{{ substr 0 2 .Secrets.user }}",
    "{{ .Secrets.lines | trim | indent 2 }}",
    "{{ .Secrets.lines | nindent 4 }}",
    "{{ replace \"a\" \"b\" .Secrets.user }}",
    "{{ regexReplaceAll \"p+\" .Secrets.user \"<$0>\" }}",
    "{{ regexFind \"[a-z]\" .Secrets.user }}",
    "{{ regexMatch \"^a\" .Secrets.user }}",
    "{{ regexSplit \",\" .Secrets.csv -1 }}",
    "{{ splitList \",\" .Secrets.csv | join \"+\" }}",
    "{{ $p := split \",\" .Secrets.csv }}{{ $p._0 }}{{ $p._1 }}",
    "{{ .Secrets.csv | splitList \",\" | compact }}",
    "{{ sha256sum .Secrets.pass }}",
    "{{ sha1sum .Secrets.user }} {{ adler32sum .Secrets.user }}",
    "{{ sha512sum .Secrets.user }}",
    "{{ urlParse .Secrets.url | toJson }}",
    "{{ (urlParse .Secrets.url).host }}",
    "{{ urlJoin (dict \"scheme\" \"https\" \"host\" .Secrets.user) }}",
    "{{ default \"x\" .Secrets.empty }}",
    "{{ default \"x\" .Secrets.missing }}",
    "{{ coalesce .Secrets.empty .Secrets.none .Secrets.user }}",
    "{{ ternary \"a\" \"b\" .Secrets.on }}",
    "{{ ternary \"a\" \"b\" .Secrets.user }}",
    "{{ empty .Secrets.map }}",
    "{{ keys .Secrets | sortAlpha | join \",\" }}",
    "{{ keys .Labels | sortAlpha }}",
    "{{ keys .Annotations .Labels | sortAlpha }}",
    "{{ values .Labels | sortAlpha }}",
    "{{ pick .Secrets \"user\" \"port\" | toJson }}",
    "{{ omit .Secrets.map \"z\" | toJson }}",
    "{{ merge (dict \"user\" \"x\") .Secrets.map | toJson }}",
    "{{ hasKey .Secrets \"user\" }}",
    "{{ hasKey .Labels \"team\" }}",
    "{{ dig \"a\" \"b\" \"none\" .Secrets.map }}",
    "{{ dig \"x\" \"none\" .Secrets.map }}",
    "{{ pluck \"user\" .Secrets .Labels }}",
    "{{ set .Secrets \"user\" \"new\" | len }}{{ .Secrets.user }}",
    "{{ unset .Secrets \"user\" | len }}",
    "{{ dict \"a\" 1 | toJson }}",
    "{{ list 1 \"a\" nil | toJson }}",
    "{{ first .Secrets.list }}{{ last .Secrets.list | toJson }}",
    "{{ rest .Secrets.list | toJson }}",
    "{{ has \"a\" .Secrets.list }}",
    "{{ without .Secrets.list \"a\" | toJson }}",
    "{{ concat .Secrets.list (list 1) | len }}",
    "{{ reverse .Secrets.list | toJson }}",
    "{{ uniq .Secrets.list | toJson }}",
    "{{ slice .Secrets.list 1 2 | toJson }}",
    "{{ slice .Secrets.user 1 }}",
    "{{ len .Secrets }} {{ len .Secrets.user }}",
    "{{ len .Labels }} {{ len .Annotations }}",
    "{{ until 3 }}",
    "{{ seq 1 3 }}",
    "{{ semver .Secrets.semver }}",
    "{{ (semver .Secrets.semver).Minor }}",
    "{{ semverCompare \">=1.0.0-0\" .Secrets.semver }}",
    "{{ camelcase .Secrets.semver }}|{{ snakecase \"aB\" }}|{{ kebabcase \"aB c\" }}",
    "{{ abbrev 5 .Secrets.url }}",
    "{{ wrap 5 .Secrets.url }}",
    "{{ wrapWith 5 \"\\t\" .Secrets.url }}",
    "{{ cat .Secrets.user .Secrets.port }}",
    "{{ initials .Secrets.lines }}",
    "{{ plural \"a\" \"b\" (len .Secrets.user) }}",
    "{{ base .Secrets.url }} {{ dir .Secrets.url }} {{ ext \"a.b\" }}",
    "{{ max 1 .Secrets.port 7 }}",
    "{{ round .Secrets.float 1 }}",
    "{{ ceil .Secrets.float }}",
    "{{ floor .Secrets.float }}",
    "{{ toStrings .Secrets.list }}",
    "{{ toDecimal \"0777\" }}",
    "{{ atoi \"12\" }}",
    "{{ .Secrets.list | join \"-\" }}",
    "{{ join \"-\" .Secrets.map }}",
    "{{ deepEqual .Secrets.map .Secrets.map }}",
    "{{ contains \"p\" .Secrets.user }}",
    "{{ hasPrefix \"a\" .Secrets.user }}",
    "{{ trimSuffix \"p\" .Secrets.user }}",
    "{{ nospace .Secrets.lines }}",
    "{{ swapcase .Secrets.user }}",
    "{{ duration 3661 }}",
    "{{ duration .Secrets.port }}",
    "{{ durationRound \"2h10m5s\" }}",
    "{{ mustToDate \"2006-01-02\" \"2026-01-02\" | toJson }}",
    "{{ fail .Secrets.user }}",
    "{{ nofunction }}",
    "{{ env \"HOME\" }}",
    "{{ now }}",
    "{{ genCA \"a\" 1 }}",
    "{{ secret \"x\" }}",
    "{{ if }}",
    "{{ .Secrets.user",
    "{{ end }}",
    "{{ template \"t\" . }}",
    "{{ template \"nothing\" . }}",
    "{{ template \"lib/one/0\" . }}",
    "{{ template \"u\" }}",
    "{{ define \"d\" }}one{{ end }}{{ template \"d\" }}",
    "{{ define \"d\" }}two{{ end }}[{{ template \"d\" }}]",
    "{{ block \"d\" . }}b{{ end }}",
    "{{ define \"t\" }}taken{{ end }}",
    "{{- /* c */ -}} x {{- \"y\" -}} z",
    "{{ $x := 1 }}{{ if .Secrets.on }}{{ $x = 2 }}{{ end }}{{ $x }}",
    "{{ html .Secrets.pass }}{{ js .Secrets.pass }}",
    "{{ urlquery .Secrets.pass }}",
    "{{ print .Secrets.port .Secrets.on .Secrets.user }}",
    "{{ println .Secrets.none }}",
    "{{ and .Secrets.user .Secrets.port }}",
    "{{ or .Secrets.empty .Secrets.port }}",
    "{{ not .Secrets.off }}",
    "{{ lt 1 2 }}{{ gt \"b\" \"a\" }}",
    "{{ lt .Secrets.port 6000 }}",
    "{{ call .Secrets.user }}",
    "{{ .Secrets.port.String }}",
    "{{ .Secrets.port.Int64 }}",
    "{{ .Secrets.port.Float64 }}",
    "{{ range $i := until 3 }}{{ if eq $i 1 }}{{ continue }}{{ end }}{{ $i }}{{ end }}",
    "{{ range until 9 }}{{ if gt . 2 }}{{ break }}{{ end }}{{ . }}{{ end }}",
    "{{ range 3 }}{{ . }}{{ end }}",
    "{{ with $x := .Secrets.user }}{{ $x }}{{ end }}",
    "{{ $.Secrets.user }}",
    "{{ (.Secrets).user }}",
    "{{ .Secrets.map.a.b }}",
    "{{ index .Secrets.map \"a\" \"b\" 0 }}",
    "{{ index .Secrets.list 9 }}",
    "{{ index .Secrets.list 0 }}",
    "{{ .Secrets.list.x }}",
    "{{ nil }}",
    "{{ 1.5e3 }} {{ 0x1F }} {{ 'a' }} {{ true }}",
    "{{ `raw` }}",
    "{{ \"a\" | printf \"%s-%s\" \"b\" }}",
    "{{ 1 | 2 }}",
    "{{ .Secrets.user | .Secrets.pass }}",
];

/// Texts that most answers can be put into.
const FINE: &[&str] = &[
    "plain",
    "",
    "{{ .Secrets.user }}",
    "{{ .Secrets.port }}",
    "{{ .Secrets.missing }}",
    "{{ .Secrets.map }}",
    "{{ .Metadata.version }}",
    "{{ .Labels.team }}",
    "{{ .Annotations | toJson }}",
    "{{ .Secrets | toJson }}",
    "{{ keys .Secrets | sortAlpha | join \",\" }}",
    "{{ set .Secrets \"user\" \"new\" | len }}",
    "{{ $_ := unset .Secrets \"user\" }}",
    "{{ $_ := set .Secrets \"added\" (list 1 \"x\") }}",
    "{{ define \"d\" }}one{{ end }}{{ template \"d\" }}",
    "{{ define \"d\" }}two{{ end }}[{{ template \"d\" }}]",
    "{{ block \"d\" . }}b{{ end }}",
    "{{ define \"d\" }}{{ end }}-",
    "{{ define \"t\" }}taken{{ end }}x",
    "{{ len .Secrets }}",
    "{{ get .Secrets \"added\" }}",
    "{{ . }}",
];

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
