//! handlebars templates, byte for byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod common;

use std::sync::Arc;

use common::{hbs, table};
use sidekey_core::{Lookup, Response, Sensitive};
use sidekey_template::{Answers, Inputs, Rendered, compile};

#[test]
fn renders_the_users_data() {
    table(
        hbs,
        &[
            ("{{#with (secret \"secret/data/web\")}}{{username}}:{{password}}:{{port}}{{/with}}", "app:p<&>\"w$:5432"),
            ("{{#with (secret \"kv1/web\") as |s|}}{{s.username}} {{{s.password}}}{{/with}}", "app p<&>\"w$"),
            (
                "{{lookup (secret \"kv1/web\") \"odd.key\"}} {{lookup (lookup (secret \"kv1/web\") \"list\") 1}}",
                "dotted y",
            ),
            (
                "{{#with (secret \"kv1/web\")}}{{[odd.key]}} {{deep.a.b.c}} {{list.[0]}} {{on}}{{/with}}",
                "dotted down x true",
            ),
            (
                "{{#each (secret \"database/creds/web\")}}{{@key}}={{this}}{{#unless @last}},{{/unless}}{{/each}}",
                "password=v-pass,username=v-user",
            ),
            (
                "{{#each (secret \"database/creds/web\") as |v k|}}\nexport {{k}}={{shell v}}\n{{/each}}\n",
                "export password=\"v-pass\"\nexport username=\"v-user\"\n",
            ),
            (
                "{{#with (secret \"pki/issue/web\" common_name=\"web.test\" ttl=\"1h\")}}{{certificate}}{{#each ca_chain}} {{this}}{{/each}}{{/with}}",
                "CERT CA1 CA2",
            ),
            (
                "{{#with (pki \"pki/issue/web\" common_name=\"web.test\" ttl=\"1h\")}}{{private_key}}{{certificate}}{{#each ca_chain}}{{this}}{{/each}}{{issuing_ca}}{{/with}}",
                "KEY\nCERT\nCA1\nCA2\nCA\n",
            ),
            ("{{#with (pki \"kv1/noparams\")}}{{a}}{{/with}}", "written"),
            ("{{#with (secret \"secret/data/web?version=2\")}}{{username}}{{/with}}", "old"),
            ("{{#each (secrets \"secret/metadata/\")}}[{{this}}]{{/each}}", "[api/][web]"),
            (
                "{{#with (response \"database/creds/web\")}}{{lease_id}} {{lease_duration}} {{renewable}} {{data.username}}{{/with}}",
                "database/creds/web/1 3600 true v-user",
            ),
            (
                "{{json (secret \"database/creds/web\")}}\n{{yaml (secret \"database/creds/web\")}}",
                "{\"password\":\"v-pass\",\"username\":\"v-user\"}\npassword: v-pass\nusername: v-user",
            ),
            (
                "{{jsonPretty (secret \"database/creds/web\")}}",
                "{\n  \"password\": \"v-pass\",\n  \"username\": \"v-user\"\n}",
            ),
            (
                "{{#with (secret \"kv1/web\")}}{{json password}} {{base64Decode b64}} {{base64 username}} {{sha256 empty}}{{/with}}",
                "\"p<&>\\\"w$\" hello YXBw e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            ),
            (
                "{{#with (secret \"kv1/web\")}}{{#if empty}}a{{else if on}}b{{else}}c{{/if}}{{#unless none}}d{{/unless}}{{#if (eq port 5432)}}e{{/if}}{{default none \"f\"}}{{/with}}",
                "bdef",
            ),
            (
                "{{#with (secret \"kv1/web\")}}{{#with none}}a{{else}}b{{/with}}{{#each nope}}c{{else}}d{{/each}}{{/with}}{{#each (split \"\" \",\")}}e{{/each}}",
                "bd",
            ),
            ("{{#with (secret \"kv1/web\")}}{{ratio}} {{#if zero}}t{{else}}f{{/if}}{{/with}}", "1.50 f"),
        ],
    );
}

#[test]
fn serves_its_helpers() {
    table(
        hbs,
        &[
            ("{{env \"POD\"}} {{timestamp}} {{timestamp \"unix\"}}", "web-1 2023-11-14T22:13:20Z 1700000000"),
            (
                "{{upper \"a\"}}{{lower \"B\"}}{{trim \" c \"}} {{replace \"aXa\" \"a\" \"b\"}} {{join (split \"a,b\" \",\") \"-\"}}|{{indent \"x\" 2}}",
                "Abc bXb a-b|  x",
            ),
            (
                "{{shell \"it's $x\"}} {{properties \"é\"}} {{propertiesKey \"a b\"}} {{envName \"A_1\"}}",
                "\"it's \\$x\" \\u00e9 a\\ b A_1",
            ),
            ("a  {{~upper \"b\"~}}  c {{! comment }}{{!-- {{no}} --}}d \\{{e}}", "aBc d {{e}}"),
            ("{{{{raw}}}}{{x}}{{{{/raw}}}}", "{{x}}"),
            (
                "{{len (split \"a,b\" \",\")}} {{and true false}} {{or true false}} {{not false}} {{gt 2 1}}",
                "2 false true true true",
            ),
        ],
    );
}

/// Files beside the answers: `/a` is text, `/b` is not, all else cannot be read.
struct Beside(common::Store);

impl Answers for Beside {
    fn get(&self, lookup: &Lookup) -> Option<Arc<Response>> {
        Answers::get(&self.0, lookup)
    }

    fn file(&self, path: &str, sandbox: Option<&str>) -> Option<Result<Sensitive<Vec<u8>>, String>> {
        assert_eq!(sandbox, None);
        Some(match path {
            "/a" => Ok(Sensitive::new(b"held\n".to_vec())),
            "/b" => Ok(Sensitive::new(vec![0xff])),
            other => Err(format!("{other}: not here")),
        })
    }
}

#[test]
fn reads_files_where_the_writer_does() {
    let (beside, env, frozen) = (Beside(common::store()), common::env(), common::frozen(1));
    let inputs = Inputs { answers: &beside, env: &env, frozen: &frozen };
    let shown = |text: &str| match compile("t", &hbs(text), None).and_then(|it| it.render(&inputs)) {
        Ok(Rendered::Complete { bytes, .. }) => String::from_utf8(bytes.expose().clone()).unwrap(),
        Ok(Rendered::Incomplete { .. }) => panic!("{text}: incomplete"),
        Err(error) => error.to_string(),
    };
    assert_eq!(shown("{{file \"/a\"}}{{trim (file \" /a \")}}"), "held\nheld");
    let not_text = "template t, line 1, column 1: file: the bytes are not UTF-8 text \
                    (use a Go template, or format raw, for binary files)";
    assert_eq!(shown("{{file \"/b\"}}"), not_text);
    assert_eq!(shown("{{file \"/c\"}}"), "template t, line 1, column 1: file: /c: not here");
    assert!(common::outcome(&hbs("{{file \"/a\"}}"), &beside.0).contains("file: no files are read here"));
    let template = "{{#if (env \"POD\")}}{{else}}{{file \"/a\"}}{{/if}}{{#with (file \" /b\")}}{{file this}}{{/with}}";
    let literal = compile("t", &hbs(template), None).unwrap().literal_files();
    assert_eq!(literal.into_iter().collect::<Vec<_>>(), ["/a", "/b"], "in whatever branch");
}
