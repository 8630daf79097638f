//! The objects, and what each verb does to them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::path::Place;
use super::stream::{Lines, Writer};
use super::{Called, failure};

type Mint = Box<dyn Fn(&str, &str, &str) -> Option<String> + Send>;

#[derive(Default)]
pub(super) struct State {
    version: u64,
    uids: u64,
    /// By path.
    pub(super) objects: BTreeMap<String, Value>,
    pub(super) calls: Vec<Called>,
    pub(super) refusals: Vec<(String, String, u16, usize)>,
    pub(super) watches: Vec<Watch>,
    /// Everything that happened, for watches from an earlier version.
    history: Vec<Happened>,
    pub(super) mint: Option<Mint>,
}

struct Happened {
    version: u64,
    what: &'static str,
    path: String,
    object: Value,
}

pub(super) struct Watch {
    place: Place,
    selector: Vec<Term>,
    metadata: bool,
    writer: Writer,
}

impl State {
    pub(super) fn refused(&mut self, method: &str, path: &str) -> Option<u16> {
        let meets = |(verb, part, _, left): &&mut (String, String, u16, usize)| {
            *left > 0 && verb == method && path.contains(part.as_str())
        };
        let (_, _, status, left) = self.refusals.iter_mut().find(meets)?;
        *left -= 1;
        Some(*status)
    }

    pub(super) fn answer(
        &mut self,
        method: &str,
        place: &Place,
        query: &str,
        kind: &str,
        body: Value,
        metadata: bool,
    ) -> (u16, Value) {
        let path = place.object(&place.namespace, &place.name);
        match (method, place.subresource.as_str()) {
            ("POST", "token") => self.token(place, &body),
            ("GET", _) if place.name.is_empty() => self.list(place, query, metadata),
            ("GET", _) => self.objects.get(&path).cloned().map_or_else(|| absent(&path), |object| (200, object)),
            ("POST", _) => self.create(place, body),
            ("DELETE", _) => self.delete_if(place, &body),
            ("PUT", subresource) => self.replace(&path, body, subresource),
            ("PATCH", "") if kind.starts_with("application/apply-patch") && !self.objects.contains_key(&path) => {
                self.create(place, body)
            }
            ("PATCH", subresource) => self.patch(&path, kind, &body, subresource),
            _ => (405, failure(405, "no such verb")),
        }
    }

    fn token(&self, place: &Place, body: &Value) -> (u16, Value) {
        let audience = body["spec"]["audiences"][0].as_str().unwrap_or_default();
        let token = self.mint.as_ref().and_then(|mint| mint(&place.namespace, &place.name, audience));
        match token {
            Some(token) => (201, json!({ "kind": "TokenRequest", "status": { "token": token } })),
            None => (404, failure(404, &format!("serviceaccounts \"{}\" not found", place.name))),
        }
    }

    fn list(&self, place: &Place, query: &str, metadata: bool) -> (u16, Value) {
        let selector = selector(query);
        let mut found: Vec<_> = self
            .objects
            .iter()
            .filter(|(path, object)| place.holds(path) && selected(object, &selector))
            .map(|(path, object)| (path, seen(object, metadata)))
            .collect();
        let number = |key: &str| query.split('&').find_map(|pair| pair.strip_prefix(key));
        if let Some(after) = number("continue=") {
            found.retain(|(path, _)| path.as_str() > after);
        }
        let limit = number("limit=").and_then(|text| text.parse::<usize>().ok()).unwrap_or(usize::MAX);
        let mut meta = json!({ "resourceVersion": self.version.to_string() });
        if found.len() > limit {
            found.truncate(limit);
            meta["continue"] = json!(found.last().map(|(path, _)| path));
        }
        let items: Vec<_> = found.into_iter().map(|(_, object)| object).collect();
        // As a real one has it: an empty list of mere metadata is none at all.
        let items = if metadata && items.is_empty() { Value::Null } else { json!(items) };
        (200, json!({ "kind": "List", "apiVersion": "v1", "metadata": meta, "items": items }))
    }

    pub(super) fn watch(&mut self, place: &Place, query: &str, metadata: bool) -> (u16, Lines) {
        let from = query.split('&').find_map(|pair| pair.strip_prefix("resourceVersion=")?.parse().ok()).unwrap_or(0);
        let (writer, lines) = Lines::open();
        let watch = Watch { place: place.clone(), selector: selector(query), metadata, writer };
        for happened in self.history.iter().filter(|happened| happened.version > from) {
            watch.tell(happened);
        }
        self.watches.push(watch);
        (200, lines)
    }

    fn create(&mut self, place: &Place, mut object: Value) -> (u16, Value) {
        self.uids += 1;
        let generated = object["metadata"]["generateName"].as_str().map(|prefix| format!("{prefix}{}", self.uids));
        let name = object["metadata"]["name"].as_str().map(str::to_owned).or(generated).unwrap_or_default();
        let path = place.object(&place.namespace, &name);
        if self.objects.contains_key(&path) {
            return (409, failure(409, "it exists"));
        }
        let metadata = &mut object["metadata"];
        metadata["name"] = json!(name);
        if !place.namespace.is_empty() {
            metadata["namespace"] = json!(place.namespace);
        }
        metadata["generation"] = json!(1);
        metadata["uid"] = json!(format!("{:08x}-0000-4000-8000-000000000000", self.uids));
        (201, self.put("ADDED", &path, object))
    }

    fn replace(&mut self, path: &str, mut object: Value, subresource: &str) -> (u16, Value) {
        let Some(before) = self.objects.get(path).cloned() else { return absent(path) };
        let version = object["metadata"]["resourceVersion"].as_str();
        if version.is_some_and(|version| before["metadata"]["resourceVersion"] != version) {
            return (409, failure(409, "it changed"));
        }
        if before["immutable"] == true && before["data"] != object["data"] {
            return (422, failure(422, "data: Forbidden: field is immutable when `immutable` is set"));
        }
        object["metadata"]["uid"] = before["metadata"]["uid"].clone();
        (200, self.update(path, &before, object, subresource))
    }

    fn patch(&mut self, path: &str, kind: &str, body: &Value, subresource: &str) -> (u16, Value) {
        let Some(before) = self.objects.get(path).cloned() else { return absent(path) };
        let mut after = before.clone();
        if kind.starts_with("application/json-patch") {
            let Ok(patch) = serde_json::from_value::<json_patch::Patch>(body.clone()) else {
                return (400, failure(400, "no patch"));
            };
            if json_patch::patch(&mut after, &patch).is_err() {
                return (422, failure(422, "the patch does not apply"));
            }
        } else {
            let version = &body["metadata"]["resourceVersion"];
            if version.is_string() && *version != before["metadata"]["resourceVersion"] {
                return (409, failure(409, "it changed"));
            }
            json_patch::merge(&mut after, body);
        }
        (200, self.update(path, &before, after, subresource))
    }

    /// A write of the status leaves the rest alone, and the other way round; a new spec is a new generation.
    fn update(&mut self, path: &str, before: &Value, mut after: Value, subresource: &str) -> Value {
        if subresource == "status" {
            let status = after["status"].take();
            after = before.clone();
            after["status"] = status;
        } else if before.get("status").is_some() && before.get("spec").is_some() {
            after["status"] = before["status"].clone();
        }
        let generation = before["metadata"]["generation"].as_u64().unwrap_or(1);
        let news = u64::from(before["spec"] != after["spec"]);
        after["metadata"]["generation"] = json!(generation + news);
        let leaving = after["metadata"]["deletionTimestamp"].is_string();
        if leaving && after["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty) {
            self.remove(path);
            return after;
        }
        let same = {
            let mut plain = after.clone();
            plain["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"].clone();
            plain == *before
        };
        if same { before.clone() } else { self.put("MODIFIED", path, after) }
    }

    fn put(&mut self, what: &'static str, path: &str, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.objects.insert(path.to_owned(), object.clone());
        self.tell(what, path, object.clone());
        object
    }

    fn tell(&mut self, what: &'static str, path: &str, object: Value) {
        let happened = Happened { version: self.version, what, path: path.to_owned(), object };
        self.watches.retain(|watch| watch.tell(&happened));
        self.history.push(happened);
    }

    fn delete_if(&mut self, place: &Place, options: &Value) -> (u16, Value) {
        let path = place.object(&place.namespace, &place.name);
        let wanted = options["preconditions"]["uid"].as_str();
        let uid = self.objects.get(&path).map(|object| object["metadata"]["uid"].clone());
        match uid {
            Some(uid) if wanted.is_some_and(|wanted| uid != wanted) => (409, failure(409, "it is another one")),
            _ => self.delete(place),
        }
    }

    pub(super) fn delete(&mut self, place: &Place) -> (u16, Value) {
        let path = place.object(&place.namespace, &place.name);
        let Some(mut object) = self.objects.get(&path).cloned() else { return absent(&path) };
        if object["metadata"]["finalizers"].as_array().is_some_and(|list| !list.is_empty()) {
            object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            return (200, self.put("MODIFIED", &path, object));
        }
        self.remove(&path);
        (200, object)
    }

    /// With what it owns.
    fn remove(&mut self, path: &str) {
        let Some(mut object) = self.objects.remove(path) else { return };
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let uid = object["metadata"]["uid"].clone();
        self.tell("DELETED", path, object);
        let owned = |object: &Value| {
            let references = object["metadata"]["ownerReferences"].as_array();
            references.is_some_and(|list| list.len() == 1 && list[0]["uid"] == uid)
        };
        let orphans: Vec<_> =
            self.objects.iter().filter(|(_, object)| owned(object)).map(|(path, _)| path.clone()).collect();
        for orphan in orphans {
            self.remove(&orphan);
        }
    }

    pub(super) fn apply(&mut self, plural: &str, object: Value) {
        let version = object["apiVersion"].as_str().unwrap_or("v1");
        let root = if version.contains('/') { format!("/apis/{version}") } else { format!("/api/{version}") };
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        let place = Place { root, namespace: text("namespace"), plural: plural.to_owned(), ..Place::default() };
        let path = place.object(&text("namespace"), &text("name"));
        match self.objects.contains_key(&path) {
            true => drop(self.replace(&path, object, "")),
            false => drop(self.create(&place, object)),
        }
    }

    pub(super) fn edit(&mut self, path: &str, change: impl FnOnce(&mut Value)) -> bool {
        let Some(before) = self.objects.get(path).cloned() else { return false };
        let mut after = before.clone();
        change(&mut after);
        self.update(path, &before, after, "");
        true
    }
}

impl Watch {
    /// Whether somebody still reads.
    fn tell(&self, happened: &Happened) -> bool {
        if !self.place.holds(&happened.path) || !selected(&happened.object, &self.selector) {
            return true;
        }
        self.writer.write(&json!({ "type": happened.what, "object": seen(&happened.object, self.metadata) }))
    }
}

fn absent(path: &str) -> (u16, Value) {
    (404, failure(404, &format!("{path} not found")))
}

/// The whole object, or what a reader of metadata gets.
fn seen(object: &Value, metadata: bool) -> Value {
    match metadata {
        true => {
            json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"] })
        }
        false => object.clone(),
    }
}

/// One term of a selector: where in an object to look, and what of it is wanted.
#[derive(Clone)]
struct Term {
    at: String,
    wanted: Wanted,
}

#[derive(Clone)]
enum Wanted {
    /// One of these, or, with `false`, none of them.
    Among(Vec<String>, bool),
    There(bool),
}

fn selector(query: &str) -> Vec<Term> {
    let text = query.split('&').find_map(|pair| pair.strip_prefix("labelSelector=")).unwrap_or_default();
    let mut text = text.to_owned();
    for (code, plain) in
        [("%2F", "/"), ("%3D", "="), ("%20", " "), ("%28", "("), ("%29", ")"), ("%21", "!"), ("%2C", ",")]
    {
        text = text.replace(code, plain);
    }
    let mut depth = 0;
    let apart = move |c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    };
    let labels = text.split(apart).filter(|term| !term.is_empty()).map(term);
    let name = query.split('&').find_map(|pair| pair.strip_prefix("fieldSelector=metadata.name%3D"));
    let named =
        |name: &str| Term { at: "/metadata/name".to_owned(), wanted: Wanted::Among(vec![name.to_owned()], true) };
    labels.chain(name.map(named)).collect()
}

fn term(text: &str) -> Term {
    let values = |text: &str| text.trim_matches(['(', ')']).split(',').map(str::to_owned).collect();
    let (key, wanted) = if let Some((key, value)) = text.split_once('=') {
        (key, Wanted::Among(vec![value.to_owned()], true))
    } else if let Some((key, text)) = text.split_once(" in ") {
        (key, Wanted::Among(values(text), true))
    } else if let Some((key, text)) = text.split_once(" notin ") {
        (key, Wanted::Among(values(text), false))
    } else {
        (text.trim_start_matches('!'), Wanted::There(!text.starts_with('!')))
    };
    Term { at: format!("/metadata/labels/{}", key.replace('/', "~1")), wanted }
}

fn selected(object: &Value, selector: &[Term]) -> bool {
    selector.iter().all(|Term { at, wanted }| {
        let found = object.pointer(at).and_then(Value::as_str);
        match wanted {
            Wanted::Among(values, among) => found.is_some_and(|found| values.iter().any(|one| one == found)) == *among,
            Wanted::There(there) => found.is_some() == *there,
        }
    })
}
