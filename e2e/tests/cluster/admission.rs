//! Refused with a message that names the annotation, what is wrong with it, and where.

use sidekey_e2e::{Sandbox, Shape};

fn refused(name: &str, shape: &Shape, words: &[&str]) {
    let sandbox = Sandbox::new(name);
    let message = sandbox.refused(shape);
    println!("{message}");
    for word in words {
        assert!(message.contains(word), "`{word}` is missing in: {message}");
    }
}

fn native(pairs: &[(&str, &str)]) -> Shape {
    Shape::new("web", &["sleep"]).native(&[("inject", "true"), ("role", "web")]).native(pairs)
}

fn vault(pairs: &[(&str, &str)]) -> Shape {
    Shape::new("web", &["sleep"]).vault(&[("agent-inject", "true"), ("role", "web")]).vault(pairs)
}

#[test]
fn refuses_a_bad_boolean() {
    refused("bool-native", &native(&[("inject", "yes please")]), &["SK1001", "sidekey.dev/inject", "yes please"]);
    refused(
        "bool-vault",
        &vault(&[("agent-inject", "yes please")]),
        &["SK1001", "vault.hashicorp.com/agent-inject", "yes please"],
    );
}

#[test]
fn refuses_a_bad_template_with_its_line_and_column() {
    let template = "first\nsecond {{#if}}";
    refused(
        "tpl-native",
        &native(&[("secret-a", "secret/a"), ("template-a", template)]),
        &["sidekey.dev/template-a", "line 2", "column"],
    );
    let template = "first\n{{ with secret \"secret/data/a\" }}{{ .Data.data.a | nosuch }}{{ end }}";
    let shape = vault(&[("agent-inject-secret-a", "secret/data/a"), ("agent-inject-template-a", template)]);
    refused("tpl-vault", &shape, &["vault.hashicorp.com/agent-inject-template-a", "line 2", "column", "nosuch"]);
}

#[test]
fn refuses_a_path_that_climbs() {
    refused(
        "climb",
        &native(&[("secret-a", "secret/a"), ("file-a", "../../etc/passwd")]),
        &["SK1004", "sidekey.dev/file-a"],
    );
}

#[test]
fn refuses_two_secrets_with_one_destination() {
    let shape = native(&[("secret-a", "secret/a"), ("secret-b", "secret/b"), ("file-a", "same"), ("file-b", "same")]);
    refused("twice", &shape, &["SK1005", "same"]);
    let shape = vault(&[
        ("agent-inject-secret-a", "secret/a"),
        ("agent-inject-secret-b", "secret/b"),
        ("agent-inject-file-a", "same"),
        ("agent-inject-file-b", "same"),
    ]);
    refused("twice-vault", &shape, &["SK1005", "same"]);
}

#[test]
fn leaves_a_pod_alone_that_does_not_ask() {
    let sandbox = Sandbox::new("alone");
    let pod = sandbox.start(&Shape::new("web", &["sleep"]).native(&[("inject", "false"), ("role", "web")]));
    let spec = pod.object()["spec"].clone();
    assert!(spec["initContainers"].is_null(), "{spec}");
    assert_eq!(spec["containers"].as_array().map(Vec::len), Some(1));
}
