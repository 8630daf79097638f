//! A real Vault Secrets Operator, Sidekey after it, and that operator again: what one has made, the next leaves as it is.
//! Needs `E2E_VSO=1 e2e/run`, which builds VSO from its Go module.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

use std::collections::BTreeMap;
use std::thread::sleep;

use serde_json::{Value, json};
use sidekey_e2e::kept::decoded;
use sidekey_e2e::manuals::transit;
use sidekey_e2e::operator::Away;
use sidekey_e2e::vault::Mount;
use sidekey_e2e::vso::Vso;
use sidekey_e2e::wait::{seconds, until};
use sidekey_e2e::{Kept, api, audit, sandbox};

const STATIC: (&str, &str) = ("vaultstaticsecrets", "VaultStaticSecret");
const DYNAMIC: (&str, &str) = ("vaultdynamicsecrets", "VaultDynamicSecret");
const PKI: (&str, &str) = ("vaultpkisecrets", "VaultPKISecret");

/// A namespace with an object of each shape, each with a Secret of its name.
struct Case {
    kept: Kept,
    pki: Mount,
    v1: Mount,
}

/// What must not change: versions of Secrets, generations of workloads, and how often Vault was asked for what costs it something.
#[derive(Debug, PartialEq)]
struct Seen {
    versions: BTreeMap<String, Value>,
    workloads: BTreeMap<String, Value>,
    logins: usize,
    credentials: usize,
    certificates: usize,
}

impl Case {
    fn new(name: &str) -> Self {
        let kept = Kept::new(name);
        let namespace = kept.static_role("1h");
        let role = json!({"db_name": "pg", "default_ttl": "1h", "max_ttl": "2h", "creation_statements":
            ["CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';"]});
        sandbox::vault().write(&format!("database/roles/{namespace}-drawn"), &role);
        let (pki, v1) = (Mount::pki(&namespace), Mount(format!("kv1-{namespace}")));
        sandbox::vault().write(&format!("sys/mounts/{}", v1.0), &json!({"type": "kv", "options": {"version": "1"}}));
        let data = json!({"user": "one", "port": 5432, "deep": {"a": [1, null, 1.50]}, "html": "<a&b>", "none": null});
        sandbox::vault().write(&format!("{}/app", v1.0), &data);
        for path in ["app", "other"] {
            kept.sandbox.put(path, &json!({"user": "old"}));
            kept.sandbox.put(path, &data);
        }
        kept.sandbox.grant(&format!(
            "path \"secret/data/{namespace}/*\" {{ capabilities = [\"read\"] }}\n\
             path \"{}/*\" {{ capabilities = [\"read\"] }}\n\
             path \"database/creds/{namespace}-drawn\" {{ capabilities = [\"read\"] }}\n\
             path \"database/static-creds/{namespace}\" {{ capabilities = [\"read\"] }}\n\
             path \"{}/issue/web\" {{ capabilities = [\"update\"] }}",
            v1.0, pki.0
        ));
        let case = Self { kept, pki, v1 };
        case.shared();
        for (of, name, spec, destination) in case.objects() {
            let mut all = json!({"create": true, "name": name});
            merge(&mut all, &destination);
            let mut spec = spec;
            spec["destination"] = all;
            case.kept.workload("deployments", name);
            spec["rolloutRestartTargets"] = json!([{"kind": "Deployment", "name": name}]);
            case.kept.secret(of.0, of.1, name, &spec, &json!({}));
        }
        case
    }

    /// What the objects refer to.
    fn shared(&self) {
        let kept = &self.kept;
        let namespace = &kept.sandbox.namespace;
        let global = json!({"vaultConnectionRef": "vault", "allowedNamespaces": ["*"], "defaultAuthMethod": "kubernetes",
            "kubernetes": {"mount": "kubernetes", "role": namespace, "serviceAccount": "app", "audiences": ["vault"]}});
        kept.create("vaultauthglobals", "VaultAuthGlobal", "all", &global);
        let led = json!({"vaultAuthGlobalRef": {"name": "all", "allowDefault": false}});
        kept.create("vaultauths", "VaultAuth", "led", &led);
        let library = json!({"templates": {"greet": {"name": "greet", "text": "{{- define \"hi\" -}}hi {{ . }}{{- end -}}"}},
            "sourceTemplates": [{"name": "lib", "text": "{{- define \"link\" -}}{{ get .Secrets \"user\" }}@db{{- end -}}"}],
            "excludes": ["^none$"]});
        kept.create("secrettransformations", "SecretTransformation", "library", &library);
        let there = json!({"metadata": {"name": "there", "labels": {"mine": "yes"}}, "stringData": {"user": "me"}});
        kept.sandbox.create("secrets", &there);
        let taken = json!({"metadata": {"name": "taken", "labels": {"mine": "yes"}}, "stringData": {"user": "me"}});
        kept.sandbox.create("secrets", &taken);
    }

    #[rustfmt::skip]
    fn objects(&self) -> Vec<((&'static str, &'static str), &'static str, Value, Value)> {
        let namespace = &self.kept.sandbox.namespace;
        let kv2 = |more: Value| {
            let mut spec = json!({"mount": "secret", "path": format!("{namespace}/app"), "type": "kv-v2", "refreshAfter": "5s"});
            merge(&mut spec, &more);
            spec
        };
        let creds = |path: String| json!({"mount": "database", "path": path});
        let drawn = creds(format!("creds/{namespace}-drawn"));
        let rotated = merged(creds(format!("static-creds/{namespace}")), &json!({"allowStaticCreds": true, "refreshAfter": "5s"}));
        let pki = json!({"mount": self.pki.0, "role": "web", "commonName": "web.example.com", "ttl": "1h"});
        let labels = json!({"labels": {"team": "a"}, "annotations": {"note": "b"}});
        let url = json!({"name": "url", "text": "{{ template \"link\" . }} {{ .Metadata.version }} {{ .Annotations.x }}"});
        let templates = json!({"transformation": {"excludeRaw": true, "excludes": ["port"],
            "transformationRefs": [{"name": "library"}], "templates": {"url": url, "up": {"text": "{{ get .Secrets \"user\" | upper }}"}}}});
        let basic = json!({"type": "kubernetes.io/basic-auth", "transformation": {"excludes": [".*"], "excludeRaw": true,
            "templates": {"username": {"text": "{{ .Secrets.username }}"}, "password": {"text": "{{ .Secrets.password }}"}}}});
        vec![
            (STATIC, "plain", kv2(json!({})), json!({})),
            (STATIC, "led", kv2(json!({"vaultAuthRef": "led"})), json!({})),
            (STATIC, "version", kv2(json!({"version": 1})), json!({})),
            (STATIC, "v1", kv2(json!({"mount": self.v1.0, "path": "app", "type": "kv-v1"})), json!({})),
            (STATIC, "labels", kv2(json!({})), labels.clone()),
            (STATIC, "rawless", kv2(json!({})), json!({"transformation": {"excludeRaw": true}})),
            (STATIC, "filtered", kv2(json!({})), json!({"transformation": {"includes": ["^u", "p.rt"], "excludes": ["x"]}})),
            (STATIC, "templates", kv2(json!({})), templates),
            (STATIC, "unsigned", kv2(json!({"hmacSecretData": false})), json!({})),
            (STATIC, "there", kv2(json!({})), json!({"create": false})),
            (STATIC, "taken", kv2(json!({})), json!({"overwrite": true})),
            (DYNAMIC, "db", drawn.clone(), json!({})),
            (DYNAMIC, "basic", drawn, basic),
            (DYNAMIC, "role", rotated, json!({})),
            (PKI, "tls", pki.clone(), json!({"type": "kubernetes.io/tls"})),
            (PKI, "pem", merged(pki.clone(), &json!({"format": "pem", "altNames": ["b.example.com"]})), labels),
            (PKI, "bundle", merged(pki, &json!({"format": "pem_bundle"})), json!({})),
        ]
    }

    fn secret(&self, name: &str) -> Value {
        api::get(&self.kept.secret_path(name)).json()
    }

    fn seen(&self) -> Seen {
        let entries = audit::of(&self.kept.sandbox.namespace, "");
        let count = |prefix: &str| audit::count(&entries, prefix);
        let deployments = format!("/apis/apps/v1/namespaces/{}/deployments", self.kept.sandbox.namespace);
        let all = |path: &str, what: &str| {
            let items = api::get(path).json()["items"].as_array().cloned().unwrap_or_default();
            let name = |it: &Value| it["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            items.iter().map(|it| (name(it), it["metadata"][what].clone())).collect()
        };
        Seen {
            versions: all(&self.kept.sandbox.path("secrets"), "resourceVersion"),
            workloads: all(&deployments, "generation"),
            logins: count("auth/kubernetes/login"),
            credentials: count("database/creds/"),
            certificates: count(&format!("{}/issue/", self.pki.0)),
        }
    }

    /// Each object was looked at since it was last written, whoever looked, and has its Secret.
    fn synced(&self) {
        for (of, name, ..) in self.objects() {
            until(seconds(90), &format!("synced: {}/{name}", of.0), || {
                let object = self.kept.get(of.0, name);
                let there = self.secret(name)["metadata"]["uid"].is_string();
                if there && object["status"]["lastGeneration"] == object["metadata"]["generation"] {
                    Ok(())
                } else {
                    Err(object["status"].to_string())
                }
            });
        }
    }

    /// Each secret of KV was read once more, and then once again: all that the first reads led to is done.
    fn looked_at(&self) {
        let paths = [format!("secret/data/{}/app", self.kept.sandbox.namespace), format!("{}/app", self.v1.0)];
        let reads = |path: &String| audit::count(&audit::of(&self.kept.sandbox.namespace, ""), path);
        let before: Vec<usize> = paths.iter().map(reads).collect();
        for (path, before) in paths.iter().zip(before) {
            until(seconds(60), &format!("read twice: {path}"), || match reads(path) {
                now if now >= before + 2 => Ok(()),
                now => Err(format!("{now} reads, {before} before")),
            });
        }
        sleep(seconds(6));
    }
}

/// Without the workloads that VSO 0.10.0 restarts at each look: of a Secret that it has not made, and of one with an empty value,
/// since it signs `null` and then finds an empty text.
fn calm(mut seen: Seen) -> Seen {
    for name in ["there", "templates"] {
        seen.workloads.remove(name);
    }
    seen
}

fn merge(into: &mut Value, from: &Value) {
    for (key, value) in from.as_object().into_iter().flatten() {
        into[key] = value.clone();
    }
}

fn merged(mut into: Value, from: &Value) -> Value {
    merge(&mut into, from);
    into
}

/// What two Secrets of one object must have in common, whoever made them: all but what names the object and what Vault draws.
fn shape(secret: &Value, of: (&str, &str)) -> Value {
    let mut data = secret["data"].clone();
    if of != STATIC {
        for value in data.as_object_mut().into_iter().flat_map(|data| data.values_mut()) {
            *value = json!("drawn");
        }
    }
    let raw = decoded(secret, "_raw");
    if let Some((before, after)) = raw.split_once("\"created_time\":\"").filter(|_| of == STATIC) {
        data["_raw"] = json!(format!("{before}{}", after.trim_start_matches(|c| c != '"')));
    }
    let metadata = &secret["metadata"];
    let mut labels = metadata["labels"].clone();
    let mut owners = metadata["ownerReferences"].clone();
    let named = [labels.get_mut("secrets.hashicorp.com/vso-ownerRefUID"), owners.pointer_mut("/0/uid")];
    named.into_iter().flatten().for_each(|uid| *uid = json!("its"));
    json!({"type": secret["type"], "data": data, "labels": labels, "annotations": metadata["annotations"], "owners": owners,
        "immutable": secret["immutable"], "finalizers": metadata["finalizers"]})
}

/// Everything of KV changes, and who uses it is restarted once.
fn change(case: &Case, user: &str, look: fn(Seen) -> Seen) {
    let before = look(case.seen());
    let data = json!({"user": user, "port": 1, "html": "<a&b>"});
    case.kept.sandbox.put("app", &data);
    sandbox::vault().write(&format!("{}/app", case.v1.0), &data);
    case.looked_at();
    let after = look(case.seen());
    for (of, name, ..) in case.objects() {
        let [before, after] = [&before, &after].map(|seen| seen.workloads.get(name).and_then(Value::as_u64));
        let restarts = u64::from(of == STATIC && name != "version" && name != "unsigned");
        assert_eq!(after, before.map(|before| before + restarts), "restarts of {name} for {user}");
        if of == STATIC && name != "version" && name != "templates" {
            assert_eq!(decoded(&case.secret(name), "user"), user, "{name}");
        }
    }
    assert_eq!(
        (after.logins, after.credentials, after.certificates),
        (before.logins, before.credentials, before.certificates)
    );
}

fn sidekey_has(case: &Case) {
    for (of, name, ..) in case.objects() {
        case.kept.ready(of.0, name, "True");
    }
    case.looked_at();
}

#[test]
#[ignore = "needs E2E_VSO=1: the Vault Secrets Operator, which e2e/run builds then"]
fn objects_of_a_real_vault_secrets_operator_are_taken_over_and_handed_back() {
    let vso = Vso::install();
    let away = Away::new();
    transit();
    let case = Case::new("op-handover");
    vso.scale(1);
    case.synced();
    case.looked_at();
    vso.scale(0);
    let first = case.seen();
    println!("synced by VSO: {first:?}");
    away.back();
    sidekey_has(&case);
    assert_eq!(case.seen(), first, "taken over");

    let fresh = Case::new("op-fresh");
    fresh.synced();
    sidekey_has(&fresh);
    for (of, name, ..) in case.objects() {
        let [theirs, ours] = [&case, &fresh].map(|case| shape(&case.secret(name), of));
        assert_eq!(ours, theirs, "{name}: made by Sidekey, and by VSO");
    }
    drop(fresh);

    change(&case, "two", |seen| seen);
    let before = calm(case.seen());
    let away = Away::new();
    vso.scale(1);
    case.looked_at();
    assert_eq!(calm(case.seen()), before, "handed back");
    change(&case, "three", calm);
    vso.scale(0);
    away.back();
    let before = case.seen();
    sidekey_has(&case);
    assert_eq!(case.seen(), before, "taken over again");
    change(&case, "four", |seen| seen);
    for (of, name, ..) in case.objects() {
        case.kept.remove(of.0, name);
    }
}
