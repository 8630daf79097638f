//! Templates and filters of an object and of the SecretTransformations it refers to, put together and rendered.

use std::borrow::Cow;

use sidekey_core::{Cause, Sensitive, Value};
use sidekey_template::{Frozen, Input, Settled, TemplateSet};

use super::auth::{House, invalid};
use super::data::{Data, Filter};
use super::refer::{admit, find};
use crate::cache::Cache;
use crate::digest;
use crate::types::Kind;
use crate::types::destination::{Destination, Template, Transformation, TransformationRef};
use crate::types::object::{Key, Metadata};
use crate::types::transformation::SecretTransformationSpec;

/// A SecretTransformation that is referred to, and how.
#[derive(Clone, Debug)]
pub struct Shared {
    key: Key,
    spec: SecretTransformationSpec,
    reference: TransformationRef,
}

/// What has come of the templates.
pub struct Rendered<'s> {
    /// Their texts, by key.
    pub data: Data,
    /// The fields of the source, as the templates have left them: `set` and `unset` are seen in the Secret, as with VSO.
    pub fields: Cow<'s, Value>,
}

/// What Vault has answered.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The whole; none of an answer that is put together of several.
    pub raw: Option<&'a Value>,
    /// The fields.
    pub fields: &'a Value,
    /// The map `metadata` of the answer, as of KV v2.
    pub metadata: Option<&'a Value>,
}

/// Finds what a destination refers to.
///
/// # Errors
/// A SecretTransformation is missing, does not admit the object's namespace, or cannot be read.
pub fn referred(
    cache: &Cache,
    house: &House,
    key: &Key,
    destination: Option<&Destination>,
) -> Result<Vec<Shared>, Cause> {
    let references = destination.into_iter().flat_map(|destination| &destination.transformation.transformation_refs);
    let one = |reference: &TransformationRef| {
        let namespace = reference.namespace.as_deref().filter(|name| !name.is_empty()).unwrap_or(&key.namespace);
        let object = find(cache, Kind::SecretTransformation, namespace, &reference.name, key)?;
        let at = Key::new(Kind::SecretTransformation, namespace, reference.name.clone());
        admit(cache, house, &at, object, &key.namespace, key)?;
        let spec = object.spec().map_err(|words| invalid(&at, &words))?;
        // A part of one is used only when all of it can be.
        check(&at, &spec)?;
        Ok(Shared { key: at, spec, reference: reference.clone() })
    };
    references.map(one).collect()
}

/// Whether a SecretTransformation can be used by anybody.
///
/// # Errors
/// The first template or expression at fault.
pub fn check(key: &Key, spec: &SecretTransformationSpec) -> Result<(), Cause> {
    let reference = TransformationRef { name: key.name.to_string(), ..TransformationRef::default() };
    let wrong = |words: String| invalid(key, &words);
    let mut gathered = Gathered::default();
    gathered.add_shared(&Shared { key: key.clone(), spec: spec.clone(), reference }).map_err(wrong)?;
    // Two of one name are a fault only of who uses both.
    for index in 1..gathered.texts.len() {
        let (before, rest) = gathered.texts.split_at_mut(index);
        if before.iter().any(|other| other.name == rest[0].name) {
            rest[0].name = format!("{} ({index})", rest[0].name);
        }
    }
    gathered.compile()?;
    Filter::new(&spec.includes, &spec.excludes).map(drop).map_err(wrong)
}

/// Everything parsed and compiled. Not kept over an await: templates share their parts without locks.
pub struct Transformer {
    set: Option<TemplateSet>,
    /// A key and the name of the template that fills it, in order: of two for one key the last counts.
    outputs: Vec<(String, String)>,
    filter: Filter,
}

/// What is gathered before it is compiled.
#[derive(Default)]
struct Gathered {
    texts: Vec<Text>,
    outputs: Vec<(String, String)>,
}

/// A template that is to be compiled, and the key that it fills; none of a source template.
struct Text {
    output: String,
    name: String,
    text: String,
}

impl Gathered {
    fn add(&mut self, at: &Key, source: &str, output: &str, template: &Template) {
        let own = template.name.as_deref().filter(|name| !name.is_empty());
        let name = own.map_or_else(|| format!("{}/{}/{source}", at.namespace, at.name), str::to_owned);
        let pair = (output.to_owned(), name.clone());
        if !self.outputs.contains(&pair) {
            self.outputs.push(pair);
        }
        // One template under two keys is one template.
        if !self.texts.iter().any(|other| other.name == name && other.text == template.text) {
            self.texts.push(Text { output: output.to_owned(), name, text: template.text.clone() });
        }
    }

    fn has(&self, name: &str) -> bool {
        self.texts.iter().any(|other| other.name == name)
    }

    fn add_shared(&mut self, shared: &Shared) -> Result<(), String> {
        let Shared { key, spec, reference } = shared;
        for wanted in &reference.template_refs {
            let template = spec.templates.get(&wanted.name);
            let template = template.ok_or_else(|| format!("{key} has no template {}", wanted.name))?;
            let output = wanted.key_override.as_deref().filter(|key| !key.is_empty()).unwrap_or(&wanted.name);
            self.add(key, &wanted.name, output, template);
        }
        for (index, template) in spec.source_templates.iter().enumerate() {
            let own = template.name.as_deref().filter(|name| !name.is_empty());
            let name = own.map_or_else(|| format!("{}/{}/{index}", key.namespace, key.name), str::to_owned);
            self.texts.push(Text { output: String::new(), name, text: template.text.clone() });
        }
        // What has its key for a name was there before, and goes first.
        let all = spec.templates.iter().filter(|_| reference.template_refs.is_empty());
        let all: Vec<_> = all.filter(|(output, _)| !self.has(output)).collect();
        all.into_iter().for_each(|(output, template)| self.add(key, output, output, template));
        Ok(())
    }

    /// All in the order in which VSO parses and renders them: of two parts that templates define under one name, and of two
    /// templates for one key, the later one counts.
    fn compile(&mut self) -> Result<Option<TemplateSet>, Cause> {
        self.texts.sort_by_cached_key(|one| format!("{}0{}", one.output, one.name));
        self.outputs.sort_by_cached_key(|(output, name)| format!("{output}0{name}"));
        let texts = self.texts.iter().map(|one| (one.name.as_str(), one.text.as_str()));
        if self.texts.is_empty() { Ok(None) } else { Ok(Some(TemplateSet::compile(texts)?)) }
    }
}

impl Transformer {
    /// Puts own and shared parts together and compiles them.
    ///
    /// # Errors
    /// The template, reference or expression at fault.
    pub fn new(key: &Key, own: &Transformation, shared: &[Shared]) -> Result<Self, Cause> {
        let wrong = |words: String| invalid(key, &words);
        let mut gathered = Gathered::default();
        for (output, template) in &own.templates {
            gathered.add(key, output, output, template);
        }
        let (mut includes, mut excludes) = (own.includes.clone(), own.excludes.clone());
        for shared in shared {
            gathered.add_shared(shared).map_err(wrong)?;
            if shared.reference.ignore_includes != Some(true) {
                includes.extend(shared.spec.includes.iter().cloned());
            }
            if shared.reference.ignore_excludes != Some(true) {
                excludes.extend(shared.spec.excludes.iter().cloned());
            }
        }
        let set = gathered.compile()?;
        let outputs = gathered.outputs;
        Ok(Self { set, outputs, filter: Filter::new(&includes, &excludes).map_err(wrong)? })
    }

    /// Filters of source fields.
    pub const fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Renders every template, in the order of their keys. The same answer renders to the same bytes, whatever functions of chance
    /// are called: else each look would find a change.
    ///
    /// # Errors
    /// The template and place at fault; no value of the data.
    pub fn render<'s>(&self, metadata: &Metadata, source: Source<'s>) -> Result<Rendered<'s>, Cause> {
        let Some(set) = &self.set else {
            return Ok(Rendered { data: Data::default(), fields: Cow::Borrowed(source.fields) });
        };
        let Metadata { annotations, labels, .. } = metadata;
        let input = Input { secrets: source.fields, metadata: source.metadata, annotations, labels };
        let names = self.outputs.iter().map(|(_, name)| name.as_str());
        let Settled { texts, secrets } = set.render(names, input, &frozen(source))?;
        let keys = self.outputs.iter().map(|(key, _)| key.clone());
        Ok(Rendered { data: Data(keys.zip(texts).collect()), fields: Cow::Owned(secrets) })
    }
}

/// Time and seed that are those of the data: KV v2 says when it was written.
fn frozen(source: Source<'_>) -> Frozen {
    let created = source.metadata.and_then(|metadata| metadata.get("created_time")).and_then(Value::as_text);
    let created = created.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let seed = Sensitive::new(digest::sha256(source.fields.to_json().expose().as_bytes()));
    Frozen { unix_seconds: created.map_or(0, jiff::Timestamp::as_second), seed }
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value, reason = "a table of json! reads better without ampersands")]
mod tests {
    use serde_json::json;

    use super::*;

    fn key() -> Key {
        Key::new(Kind::VaultStaticSecret, "app", "web")
    }

    fn shared(spec: serde_json::Value, reference: serde_json::Value) -> Shared {
        let key = Key::new(Kind::SecretTransformation, "lib", "st");
        let spec = serde_json::from_value(spec).unwrap();
        let mut named = json!({ "name": "st" });
        named.as_object_mut().unwrap().extend(reference.as_object().unwrap().clone());
        Shared { key, spec, reference: serde_json::from_value(named).unwrap() }
    }

    fn rendered(own: serde_json::Value, shared: &[Shared]) -> String {
        let own: Transformation = serde_json::from_value(own).unwrap();
        let raw = Value::parse(r#"{"user":"app","pass":"p<&","n":1.50,"tags":["a","b"]}"#).unwrap();
        let kv2 =
            Value::parse(r#"{"version":3,"created_time":"2026-01-02T03:04:05Z","custom_metadata":{"owner":"x"}}"#)
                .unwrap();
        let metadata = Metadata { labels: [("team".to_owned(), "red".to_owned())].into(), ..Metadata::default() };
        let source = Source { raw: Some(&raw), fields: &raw, metadata: Some(&kv2) };
        match Transformer::new(&key(), &own, shared).and_then(|transformer| transformer.render(&metadata, source)) {
            Ok(rendered) => {
                let pairs = rendered
                    .data
                    .0
                    .iter()
                    .map(|(key, text)| format!("{key}={}", String::from_utf8_lossy(text.expose())));
                pairs.collect::<Vec<_>>().join(" ")
            }
            Err(cause) => format!("{} {}", cause.code, cause.answer),
        }
    }

    fn one(text: &str) -> String {
        rendered(json!({ "templates": { "k": { "text": text } } }), &[])
    }

    #[test]
    fn templates_have_the_secret_its_metadata_and_the_object() {
        let cases = [
            (one("{{ .Secrets.user }}:{{ .Secrets.pass }}"), "k=app:p<&"),
            (one(r#"{{ get .Secrets "user" | upper }} {{ .Secrets.n }}"#), "k=APP 1.50"),
            (one("{{ .Metadata.version }} {{ .Metadata.custom_metadata.owner }}"), "k=3 x"),
            (one("{{ .Labels.team }}{{ .Annotations.none }}"), "k=red<no value>"),
            (one("{{ range .Secrets.tags }}{{ $.Secrets.user }}-{{ . }},{{ end }}"), "k=app-a,app-b,"),
            (one("{{ .Secrets.pass | b64enc }} {{ .Secrets.tags | toJson }}"), r#"k=cDwm ["a","b"]"#),
            (one("{{ .Secrets.missing }}"), "k=<no value>"),
        ];
        for (got, want) in cases {
            assert_eq!(got, want);
        }
        assert!(
            one("{{ .Secrets.user | nofunction }}").starts_with("SK2002"),
            "{}",
            one("{{ .Secrets.user | nofunction }}")
        );
        assert!(one("{{ if }}").starts_with("SK2001"));
    }

    #[test]
    fn chance_is_that_of_the_data() {
        let text = "{{ randInt 0 1000000 }} {{ shuffle .Secrets.user }}";
        assert_eq!(one(text), one(text));
    }

    #[test]
    fn shared_templates_are_taken_whole_in_part_and_under_other_keys() {
        let library = json!({
            "templates": { "url": { "text": "{{ template \"host\" . }}/{{ .Secrets.user }}" }, "other": { "name": "o", "text": "o" } },
            "sourceTemplates": [{ "name": "host", "text": "h" }],
            "includes": ["^u"],
        });
        let all = || shared(library.clone(), json!({}));
        assert_eq!(rendered(json!({}), &[all()]), "other=o url=h/app");
        let part = json!({ "templateRefs": [{ "name": "url", "keyOverride": "address" }] });
        assert_eq!(rendered(json!({}), &[shared(library.clone(), part)]), "address=h/app");
        let none = json!({ "templateRefs": [{ "name": "nothing" }] });
        assert!(rendered(json!({}), &[shared(library.clone(), none)]).contains("has no template nothing"));
        let calls = json!({ "templates": { "mine": { "text": "{{ template \"o\" . }}!" } } });
        assert_eq!(rendered(calls, &[all()]), "mine=o! other=o url=h/app");
        for (name, want) in [("a", "other=o url=h/app"), ("z", "other=o url=mine")] {
            let both = json!({ "templates": { "url": { "name": name, "text": "mine" } } });
            assert_eq!(rendered(both, &[all()]), want, "of two for one key: {name} and lib/st/url");
        }
        let name = json!({ "templates": { "mine": { "name": "o", "text": "x" } } });
        assert!(rendered(name, &[all()]).contains("another template has this name"));
        let bad = json!({ "excludes": ["("] });
        assert!(rendered(bad, &[]).starts_with("SK7001"));
        assert!(check(&key(), &serde_json::from_value(library).unwrap()).is_ok());
        assert!(
            check(&key(), &serde_json::from_value(json!({ "templates": { "a": { "text": "{{" } } })).unwrap()).is_err()
        );
    }

    #[test]
    fn what_templates_change_in_the_data_is_seen_by_the_next_and_in_the_secret() {
        let own = json!({ "templates": {
            "a": { "text": "{{ $_ := set .Secrets \"user\" (list 1 .Secrets.n) }}{{ $_ = unset .Secrets \"pass\" }}" },
            "b": { "text": "{{ .Secrets.user }}" },
        } });
        let raw = Value::parse(r#"{"user":"app","pass":"p","n":1.50}"#).unwrap();
        let own: Transformation = serde_json::from_value(own).unwrap();
        let transformer = Transformer::new(&key(), &own, &[]).unwrap();
        let source = Source { raw: Some(&raw), fields: &raw, metadata: None };
        let rendered = transformer.render(&Metadata::default(), source).unwrap();
        assert_eq!(rendered.data.0["b"].expose(), b"[1 1.50]");
        assert_eq!(rendered.fields.to_json().expose(), r#"{"n":1.50,"user":[1,1.50]}"#);
    }

    #[test]
    fn a_template_named_like_one_of_a_library_goes_first_and_of_two_parts_the_later_one_counts() {
        let library = json!({ "templates": { "a": { "text": "theirs" }, "z": { "text": "{{ template \"d\" }}" } },
            "sourceTemplates": [{ "text": "{{ define \"d\" }}source{{ end }}" }] });
        let own = json!({ "templates": { "b": { "name": "a", "text": "mine" } } });
        assert_eq!(rendered(own, &[shared(library.clone(), json!({}))]), "b=mine z=source");
        let own = json!({ "templates": { "y": { "text": "{{ define \"d\" }}own{{ end }}" } } });
        assert_eq!(rendered(own, &[shared(library, json!({}))]), "a=theirs y= z=own");
    }

    #[test]
    fn no_part_is_taken_of_a_library_that_has_a_fault() {
        let house = House { namespace: "house".into(), default_globals: true, methods: vec![], open_references: true };
        let taken = |text: &str| {
            let spec = json!({ "templates": { "good": { "text": "x" }, "other": { "text": text } } });
            let object = json!({ "metadata": { "name": "st", "namespace": "app", "uid": "u" }, "spec": spec });
            let mut cache = Cache::default();
            let at = Key::new(Kind::SecretTransformation, "app", "st");
            cache.put(at, std::sync::Arc::new(serde_json::from_value(object).unwrap()));
            let reference = json!({ "name": "st", "templateRefs": [{ "name": "good" }] });
            let transformation = json!({ "transformationRefs": [reference] });
            let destination = json!({ "name": "web", "transformation": transformation });
            let destination = serde_json::from_value(destination).unwrap();
            referred(&cache, &house, &key(), Some(&destination)).map(|shared| shared.len())
        };
        assert_eq!(taken("y").ok(), Some(1));
        assert_eq!(taken("{{ if }}").err().map(|cause| cause.code.to_string()).as_deref(), Some("SK2001"));
    }
}
