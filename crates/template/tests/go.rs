//! Go templates: the forms that annotations use, byte for byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod common;

use common::{go, store, strict, table};
use sidekey_core::contract::{Engine, Source, Template};
use sidekey_template::Rendered;

#[test]
fn renders_the_forms_of_real_annotations() {
    table(
        go,
        &[
            (
                "{{- with secret \"secret/data/web\" -}}\nexport PW=\"{{ .Data.data.password }}\"\n{{- end }}\n",
                "export PW=\"p<&>\"w$\"\n",
            ),
            ("{{ with secret \"kv1/web\" }}{{ .Data.username }}:{{ .Data.port }}{{ end }}", "app:5432"),
            (
                "{{ with secret \"database/creds/web\" }}postgresql://{{ .Data.username }}:{{ .Data.password }}@db:5432/app{{ end }}",
                "postgresql://v-user:v-pass@db:5432/app",
            ),
            (
                "{{ with secret \"database/creds/web\" }}{{ .LeaseID }} {{ .LeaseDuration }} {{ .Renewable }} {{ .RequestID }} {{ .Warnings }} {{ .Auth }} {{ .WrapInfo }}{{ end }}",
                "database/creds/web/1 3600 true rid [slow] <no value> <no value>",
            ),
            (
                "{{ with secret \"database/creds/web\" }}{{ range $k, $v := .Data }}{{ $k }}={{ $v }}\n{{ end }}{{ end }}",
                "password=v-pass\nusername=v-user\n",
            ),
            (
                "{{ with secret \"database/creds/web\" }}\n{{- range $k, $v := .Data }}\nexport {{ $k }}='{{ $v }}'\n{{- end }}\n{{- end }}",
                "\nexport password='v-pass'\nexport username='v-user'",
            ),
            (
                "{{ with secret \"pki/issue/web\" \"common_name=web.test\" \"ttl=1h\" }}{{ .Data.certificate }}\n{{ .Data.issuing_ca }}{{ end }}",
                "CERT\nCA",
            ),
            (
                "{{ with secret \"pki/issue/web\"\n  \" ttl = 1h \"\n  \"common_name= web.test\"\n}}{{ range .Data.ca_chain }}{{ . }}\n{{ end }}{{ end }}",
                "CA1\nCA2\n",
            ),
            (
                "{{ with pkiCert \"pki/issue/web\" \"common_name=web.test\" \"ttl=1h\" }}{{ .Cert }}{{ .Data.Key }}{{ .CA }}{{ range .CAChain }}{{ . }}{{ end }}{{ end }}",
                "CERT\nKEY\nCA\nCA1\nCA2\n",
            ),
            ("{{ with secret \"kv1/noparams\" \"\" }}{{ .Data.a }}{{ end }}", "written"),
            (
                "{{ with secret \"secret/data/web?version=2\" }}{{ .Data.data | toJSON }}{{ end }}",
                "{\"username\":\"old\"}",
            ),
            (
                "{{ with secret \"kv1/web\" }}{{ .Data.password | toJSON }} {{ .Data.password | toUnescapedJSON }}{{ end }}",
                "\"p\\u003c\\u0026\\u003e\\\"w$\" \"p<&>\\\"w$\"",
            ),
            (
                "{{ with secret \"database/creds/web\" }}{{ .Data | toJSONPretty }}{{ end }}",
                "{\n  \"password\": \"v-pass\",\n  \"username\": \"v-user\"\n}",
            ),
            (
                "{{ with secret \"database/creds/web\" }}{{ .Data | toYAML }}{{ end }}",
                "password: v-pass\nusername: v-user",
            ),
            ("{{ with secret \"secret/data/web\" }}{{ index .Data.data \"odd.key\" }}{{ end }}", "dotted"),
            (
                "{{ with secret \"secret/data/web\" }}{{ if .Data.data.username }}user={{ .Data.data.username }}{{ end }}{{ if .Data.data.nope }}x{{ else }}-{{ end }}{{ end }}",
                "user=app-",
            ),
            ("{{ with secret \"secret/data/web\" }}{{ .Data.data.b64 | base64Decode }}{{ end }}", "hello"),
            ("{{ with secret \"secret/data/web\" }}{{ base64Decode .Data.data.b64 }}{{ \"\\n\" }}{{ end }}", "hello\n"),
            ("{{ with secret \"secret/data/web\" }}{{ .Data.data.deep.a.b.c }}{{ end }}", "down"),
            (
                "{{ with secret \"secret/data/web\" }}{{ .Data.data.deep }} {{ .Data.data.list }}{{ end }}",
                "map[a:map[b:map[c:down]]] [x y]",
            ),
            ("{{ with $s := secret \"kv1/web\" }}{{ $s.Data.username }}{{ end }}", "app"),
            ("{{ $s := secret \"kv1/web\" }}{{ $s.Data.username }}-{{ (secret \"kv1/web\").Data.on }}", "app-true"),
            ("{{ range secrets \"secret/metadata/\" }}[{{ . }}]{{ end }}", "[api/][web]"),
            (
                "{{ range secrets \"secret/metadata/\" }}{{ with secret (printf \"secret/data/%s\" .) }}{{ range $k, $v := .Data.data }}{{ $k }},{{ end }}{{ end }};{{ end }}",
                "x,;b64,bytes,deep,empty,list,none,odd.key,on,password,port,ratio,username,zero,;",
            ),
            ("{{ with secret \"kv1/web\" }}\n{{ .Data.username -}}\n{{ end }}\nend", "\napp\nend"),
        ],
    );
}

#[test]
fn prints_numbers_as_received_and_nothing_as_go_does() {
    table(
        go,
        &[
            (
                "{{ with secret \"kv1/web\" }}{{ .Data.port }} {{ .Data.ratio }} {{ printf \"%s|%v|%d\" .Data.ratio .Data.port .Data.port }}{{ end }}",
                "5432 1.50 1.50|5432|%!d(json.Number=5432)",
            ),
            (
                "{{ with secret \"kv1/web\" }}{{ eq .Data.port \"5432\" }} {{ or .Data.zero 9 }} {{ .Data.ratio | toJSON }}{{ end }}",
                "true 0 1.50",
            ),
            (
                "{{ with secret \"kv1/web\" }}{{ .Data.nope }} {{ .Data.none }} {{ printf \"%v\" .Data.nope }} {{ .Data.empty }}{{ end }}",
                "<no value> <no value> <nil> ",
            ),
            (
                "{{ . }} {{ .a }} {{ $ }} {{ .a.b }} {{ print nil }}",
                "<no value> <no value> <no value> <no value> <nil>",
            ),
            (
                "{{ 1e6 }} {{ 3.0 }} {{ 1.5 }} {{ 'a' }} {{ 0x1F }} {{ true }} {{ `raw\\n` }} {{ \"tab\\t\" }}",
                "1e+06 3 1.5 97 31 true raw\\n tab\t",
            ),
        ],
    );
}

#[test]
fn runs_the_language() {
    table(
        go,
        &[
            ("{{ $n := 0 }}{{ range loop 3 }}{{ $n = add $n 2 }}{{ end }}{{ $n }}", "6"),
            ("{{ range $i, $v := loop 1 4 }}{{ $i }}{{ $v }} {{ end }}", "01 12 23 "),
            (
                "{{ range $i := loop 9 }}{{ if eq $i 1 }}{{ continue }}{{ end }}{{ if gt $i 3 }}{{ break }}{{ end }}{{ $i }}{{ end }}",
                "023",
            ),
            ("{{ range 3 }}{{ . }}{{ end }}{{ range loop 0 }}x{{ else }}none{{ end }}", "012none"),
            ("{{ with \"\" }}a{{ else with \"b\" }}{{ . }}{{ else }}c{{ end }}", "b"),
            ("{{ if false }}a{{ else if true }}b{{ else }}c{{ end }}{{ if and true (not false) }}d{{ end }}", "bd"),
            (
                "{{ define \"x\" }}[{{ . }}]{{ end }}{{ template \"x\" 1 }}{{ range loop 1 }}{{ template \"x\" }}{{ end }}",
                "[1][<no value>]",
            ),
            ("{{ block \"y\" 7 }}<{{ . }}>{{ end }}{{ executeTemplate \"y\" 8 }}", "<7><8>"),
            (
                "{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ $x }}{{ end }}{{ $x }}{{ if true }}{{ $x = 3 }}{{ end }}{{ $x }}",
                "213",
            ),
            ("a {{- /* c */ -}} b{{/* c */}}c {{- 1 }}", "abc1"),
            ("a {{- /* c */}} b\n{ {{- 1 }} }", "a b\n{1 }"),
            ("\u{a0}{{- 1 -}}\u{a0}", "\u{a0}1\u{a0}"),
            ("{{ \"a\" | printf \"%s%s\" \"b\" }} {{ 10 | subtract 3 }} {{ and 1 0 2 }} {{ or 0 \"\" 3 }}", "ba 7 0 3"),
            ("{{ or true (index (split \",\" \"\") 5) }}", "true"),
            (
                "{{ print 1 2 \"a\" 3 nil }}|{{ println \"a\" 1 }}|{{ html \"<a&'\\\">\" }}|{{ js \"it's <\\n\" }}|{{ urlquery \"a b&c\" }}",
                "1 2a3 <nil>|a 1\n|&lt;a&amp;&#39;&#34;&gt;|it\\'s \\u003C\\u000A|a+b%26c",
            ),
            (
                "{{ index \"abc\" 1 }} {{ slice \"abcd\" 1 3 }} {{ len \"é\" }} {{ lt 1 2 }} {{ ne \"a\" \"b\" }} {{ eq 1 2 1 }}",
                "98 bc 2 true true true",
            ),
        ],
    );
}

#[test]
fn serves_consul_templates_helpers() {
    table(
        go,
        &[
            (
                "{{ scratch.MapSet \"m\" \"a/b\" 1 }}{{ scratch.MapSetX \"m\" \"a/b\" 2 }}{{ scratch.MapSet \"m\" \"c\" \"x\" }}{{ scratch.Get \"m\" | explodeMap | toJSON }}",
                "{\"a\":{\"b\":1},\"c\":\"x\"}",
            ),
            (
                "{{ scratch.Set \"k\" 1 }}{{ scratch.SetX \"k\" 2 }}{{ scratch.Get \"k\" }}{{ scratch.Key \"k\" }}{{ scratch.Key \"z\" }}{{ scratch.Get \"z\" }}",
                "1truefalse<no value>",
            ),
            (
                "{{ env \"POD\" }}|{{ env \"NOPE\" }}|{{ envOrDefault \"EMPTY\" \"d\" }}|{{ envOrDefault \"NOPE\" \"d\" }}|{{ mustEnv \"POD\" }}",
                "web-1|||d|web-1",
            ),
            (
                "{{ timestamp }} {{ timestamp \"unix\" }} {{ timestamp \"2006-01-02\" }}",
                "2023-11-14T22:13:20Z 1700000000 2023-11-14",
            ),
            (
                "{{ split \",\" \" a,b \" | join \"-\" }} {{ splitToMap \",\" \":\" \"a:1,b:2\" | toJSON }} {{ split \",\" \"\" | len }}",
                "a-b {\"a\":\"1\",\"b\":\"2\"} 0",
            ),
            (
                "{{ \"a\\n\\nb\" | indent 2 }}|{{ trim \"xy\" \"xaby\" }}|{{ trimPrefix \"a\" \"ab\" }}|{{ trimSuffix \"b\" \"ab\" }}|{{ trimSpace \" a \" }}",
                "  a\n\n  b|ab|b|a|a",
            ),
            ("{{ toLower \"AÉ\" }} {{ toUpper \"aß\" }} {{ toTitle \"foo bar_baz x-y\" }}", "aé Aß Foo Bar_baz X-Y"),
            (
                "{{ replaceAll \"a\" \"b\" \"aXa\" }} {{ regexReplaceAll \"(\\\\d+)\" \"<$1>\" \"a12b3\" }} {{ regexMatch \"^a.c$\" \"abc\" }}",
                "bXb a<12>b<3> true",
            ),
            (
                "{{ in (split \",\" \"a,b\") \"b\" }} {{ \"abc\" | contains \"bc\" }} {{ containsAll (sprig_list \"a\") (split \",\" \"a,b\") }} {{ containsNone (sprig_list \"z\") (split \",\" \"a\") }}",
                "true true true true",
            ),
            ("{{ sha256Hex \"abc\" }}", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "{{ hmacSHA256Hex \"what do ya want for nothing?\" \"Jefe\" }}",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                "{{ base64Encode \"a?>\" }} {{ base64URLEncode \"a?>\" }} {{ base64URLDecode \"YT8-\" }}",
                "YT8+ YT8- a?>",
            ),
            ("{{ (parseJSON `{\"a\": [1, 2.5, 10000000]}`).a }} {{ parseJSON \"\" | toJSON }}", "[1 2.5 1e+07] {}"),
            (
                "{{ add 1 2 }} {{ subtract 3 10 }} {{ multiply 2 1.5 }} {{ divide 2 9 }} {{ modulo 4 9 }} {{ minimum 1 2 }} {{ maximum 1 2 }} {{ parseInt \"7\" | add 1 }} {{ parseBool \"t\" }} {{ parseFloat \"1.5\" }} {{ parseInt \"\" }}",
                "3 7 3 4 1 1 2 8 true 1.5 0",
            ),
            (
                "{{ mergeMap (parseJSON `{\"a\": 1}`) (parseJSON `{\"a\": 2, \"b\": 3}`) | toJSON }} {{ mergeMapWithOverride (parseJSON `{\"a\": 1}`) (parseJSON `{\"a\": 2}`) | toJSON }}",
                "{\"a\":1,\"b\":3} {\"a\":2}",
            ),
            (
                "{{ sprig_default \"d\" \"\" }} {{ sprig_dict \"a\" 1 | toJSON }} {{ sprig_list 1 2 | sprig_last }} {{ sprig_trunc -2 \"abc\" }} {{ sprig_ternary \"y\" \"n\" true }} {{ sprig_get (sprig_dict \"a\" \"b\") \"z\" }}",
                "d {\"a\":1} 2 bc y ",
            ),
        ],
    );
}

#[test]
fn keeps_binary_bytes() {
    let source = go("{{ with secret \"kv1/web\" }}{{ base64Decode .Data.bytes }}{{ end }}");
    let Ok(Rendered::Complete { bytes, .. }) = common::rendered(&source, &store()) else { panic!("renders") };
    assert_eq!(bytes.expose().as_slice(), [0, 0xff, 0xfe]);
}

#[test]
fn honours_custom_delimiters() {
    let template = Template {
        left: "[[".to_owned(),
        right: "]]".to_owned(),
        ..Template::inline(Engine::Go, "[[- with secret \"kv1/web\" -]] {{ [[ .Data.username ]] }}[[ end ]]")
    };
    assert_eq!(common::outcome(&Source::Template(template), &store()), "{{ app }}");
}

#[test]
fn fails_on_a_missing_key_when_told_to() {
    table(
        strict,
        &[
            (
                "{{ with secret \"kv1/web\" }}{{ .Data.username }}{{ .Data.none }}{{ index .Data \"nope\" }}{{ end }}",
                "app<no value><no value>",
            ),
            (
                "{{ with secret \"kv1/web\" }}\n {{ .Data.usrname }}{{ end }}",
                "SK2003: template t, line 2, column 5: there is no key `usrname` (did you mean `username`?)",
            ),
            (
                "{{ with secret \"kv1/web\" }}{{ if .Data.optional }}x{{ end }}{{ end }}",
                "SK2003: template t, line 1, column 34: there is no key `optional`",
            ),
            (
                "{{ .x }}",
                "SK2003: template t, line 1, column 4: there is no data here to have a key `x` (is it meant to stand inside a with?)",
            ),
        ],
    );
}

#[test]
fn a_denied_function_fails_when_it_is_called_and_no_other_does() {
    let denied = |text: &str| {
        let denied = ["env", "sprig_*", "to*er"].map(str::to_owned).to_vec();
        Source::Template(Template { denied, ..Template::inline(Engine::Go, text) })
    };
    table(
        denied,
        &[
            ("{{ envOrDefault \"NONE\" \"x\" }}{{ toTitle \"a\" }}{{ if false }}{{ env \"POD\" }}{{ end }}", "xA"),
            (
                "{{ env \"POD\" }}",
                "SK2003: template t, line 1, column 4: function `env` is disabled (the template's denylist names it)",
            ),
            (
                "{{ \"a\" | sprig_upper }}",
                "SK2003: template t, line 1, column 10: function `sprig_upper` is disabled (the template's denylist names it)",
            ),
            (
                "{{ toUpper \"a\" }}{{ toLower \"A\" }}",
                "SK2003: template t, line 1, column 4: function `toUpper` is disabled (the template's denylist names it)",
            ),
        ],
    );
}
