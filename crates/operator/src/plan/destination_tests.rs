// The table of what is there, what is wanted, and what is done.

use super::*;
use crate::types::Kind;

const UID: &str = "11111111-2222-3333-4444-555555555555";

struct Case {
    about: &'static str,
    destination: Value,
    observed: Option<Value>,
    respec: bool,
    want: &'static str,
}

fn owned(uid: &str) -> Value {
    json!({
        "app.kubernetes.io/managed-by": "hashicorp-vso",
        "app.kubernetes.io/name": "vault-secrets-operator",
        "app.kubernetes.io/component": "secret-sync",
        "secrets.hashicorp.com/vso-ownerRefUID": uid,
    })
}

fn secret(labels: Value, value: &str) -> Value {
    let reference = json!({ "apiVersion": "secrets.hashicorp.com/v1beta1", "kind": "VaultStaticSecret", "name": "web", "uid": UID });
    json!({
        "metadata": { "name": "web", "namespace": "app", "uid": "s", "resourceVersion": "7", "labels": labels, "ownerReferences": [reference] },
        "type": "Opaque",
        "data": { "k": value },
    })
}

fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    object.pointer_mut(parent).unwrap()[field] = value;
    object
}

fn run(case: &Case) -> String {
    let key = Key::new(Kind::VaultStaticSecret, "app", "web");
    let metadata = Metadata { uid: UID.to_owned(), ..Metadata::default() };
    let destination: Destination = serde_json::from_value(case.destination.clone()).unwrap();
    let observed: Option<Secret> = case.observed.clone().map(|value| serde_json::from_value(value).unwrap());
    let data = Data([("k".to_owned(), Sensitive::new(b"new".to_vec()))].into());
    let owner = Owner { key: &key, metadata: &metadata };
    let wish = Wish { owner, destination: &destination, data: &data, respec: case.respec };
    match decide(wish, observed.as_ref()) {
        Ok(Change::Nothing) => "nothing".to_owned(),
        Ok(Change::Create(body)) => format!("create {} {}", body.kind, body.metadata["labels"]["app"]),
        Ok(Change::Replace(body)) => {
            let labels = body.metadata["labels"].as_object().map_or(0, serde_json::Map::len);
            let references = body.metadata["ownerReferences"].as_array().map_or(0, Vec::len);
            format!("replace at {}, {labels} labels, {references} references", body.metadata["resourceVersion"])
        }
        Ok(Change::Recreate { uid, body }) => format!("recreate {uid} as {}", body.kind),
        Err(cause) => format!("{} {}", cause.code, cause.answer),
    }
}

#[test]
fn each_case_of_what_is_there_and_what_is_wanted() {
    let create = || json!({ "name": "web", "create": true, "labels": { "app": "x" } });
    let mine = || with(secret(owned(UID), "bmV3"), "/metadata/labels/app", json!("x"));
    let foreign = || secret(json!({}), "b2xk");
    let case = |about, destination, observed, respec, want| Case { about, destination, observed, respec, want };
    let cases = [
        case(
            "absent, not to be made",
            json!({ "name": "web" }),
            None,
            true,
            "SK7006 it is not there, and destination.create is false",
        ),
        case("absent", create(), None, true, "create Opaque \"x\""),
        case(
            "absent, with a type",
            json!({ "name": "web", "create": true, "type": "kubernetes.io/tls" }),
            None,
            true,
            "create kubernetes.io/tls null",
        ),
        case(
            "not to be made, other data",
            json!({ "name": "web" }),
            Some(foreign()),
            true,
            "replace at \"7\", 0 labels, 1 references",
        ),
        case("not to be made, same data", json!({ "name": "web" }), Some(secret(json!({}), "bmV3")), true, "nothing"),
        case(
            "not to be made, another resource's",
            json!({ "name": "web" }),
            Some(secret(owned("other"), "b2xk")),
            true,
            "SK7007 it belongs to the resource with the uid other",
        ),
        case("mine and right", create(), Some(mine()), false, "nothing"),
        case("mine and right after an edit of the spec", create(), Some(mine()), true, "nothing"),
        case(
            "mine, other data",
            create(),
            Some(with(mine(), "/data/k", json!("b2xk"))),
            false,
            "replace at \"7\", 5 labels, 1 references",
        ),
        case(
            "mine, one key too many",
            create(),
            Some(with(mine(), "/data/extra", json!("YQ=="))),
            false,
            "replace at \"7\", 5 labels, 1 references",
        ),
        case(
            "mine, a label lost",
            create(),
            Some(secret(owned(UID), "bmV3")),
            false,
            "replace at \"7\", 5 labels, 1 references",
        ),
        case(
            "mine, a label of somebody else's",
            create(),
            Some(with(mine(), "/metadata/labels/team", json!("y"))),
            false,
            "nothing",
        ),
        case(
            "the same after an edit of the spec",
            create(),
            Some(with(mine(), "/metadata/labels/team", json!("y"))),
            true,
            "replace at \"7\", 5 labels, 1 references",
        ),
        case(
            "mine, a second owner",
            create(),
            Some(with(mine(), "/metadata/ownerReferences", json!([{ "uid": "z" }, { "uid": UID }]))),
            false,
            "nothing",
        ),
        case(
            "mine, the reference lost",
            create(),
            Some(with(mine(), "/metadata/ownerReferences", json!([{ "uid": "z" }]))),
            false,
            "replace at \"7\", 5 labels, 2 references",
        ),
        case(
            "mine, of another type",
            create(),
            Some(with(mine(), "/type", json!("kubernetes.io/tls"))),
            false,
            "recreate s as Opaque",
        ),
        case("mine, immutable and right", create(), Some(with(mine(), "/immutable", json!(true))), false, "nothing"),
        case(
            "mine, immutable and other",
            create(),
            Some(with(with(mine(), "/immutable", json!(true)), "/data/k", json!("b2xk"))),
            false,
            "SK7008 it is immutable and its data is another",
        ),
        case(
            "nobody's",
            create(),
            Some(foreign()),
            true,
            "SK7007 it is there, no such resource owns it, and destination.overwrite is false",
        ),
        case(
            "nobody's, to be taken",
            with(create(), "/overwrite", json!(true)),
            Some(foreign()),
            true,
            "replace at \"7\", 5 labels, 1 references",
        ),
        case(
            "another resource's, to be taken",
            with(create(), "/overwrite", json!(true)),
            Some(secret(owned("other"), "b2xk")),
            true,
            "SK7007 it belongs to the resource with the uid other",
        ),
        case(
            "left behind by another resource",
            create(),
            Some(with(secret(owned("other"), "b2xk"), "/metadata/annotations", json!({ RETAINED: "true" }))),
            true,
            "replace at \"7\", 5 labels, 1 references",
        ),
        case(
            "mine, to be left behind",
            with(create(), "/retain", json!(true)),
            Some(mine()),
            false,
            "replace at \"7\", 5 labels, 0 references",
        ),
        case(
            "another resource's, to be shared",
            json!({ "name": "web", "merge": true }),
            Some(secret(owned("other"), "bmV3")),
            true,
            "replace at \"7\", 4 labels, 1 references",
        ),
        case(
            "labels that want to be the owner's",
            with(create(), "/labels", json!({ OWNER_UID: "mine" })),
            Some(secret(owned(UID), "bmV3")),
            false,
            "nothing",
        ),
    ];
    for case in &cases {
        assert_eq!(run(case), case.want, "{}", case.about);
    }
}

#[test]
fn a_shared_secret_is_divided_by_the_note_of_its_keys() {
    let mut object = with(secret(json!({}), "bmV3"), "/data/theirs", json!("eA=="));
    object["metadata"]["annotations"] = json!({ format!("{KEYS}{UID}"): "k,gone" });
    let divided = serde_json::from_value::<Secret>(object).unwrap().divided(UID);
    let names = |data: &Data| data.0.keys().cloned().collect::<Vec<_>>();
    assert_eq!((names(&divided.data), names(&divided.others)), (vec!["k".to_owned()], vec!["theirs".to_owned()]));
    let own = Data([("k2".to_owned(), Sensitive::new(b"x".to_vec()))].into());
    assert_eq!(names(&own.beside(&divided.others)), ["k2", "theirs"]);
}
