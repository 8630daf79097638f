//! The formats about one login, golden and hostile, and what real readers make of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod common;

use std::sync::Arc;

use common::{Store, kv2, outcome};
use proptest::prelude::*;
use sidekey_core::Lookup;
use sidekey_core::contract::Format;

/// A user and a password with all that some format minds.
const HOSTILE: &str = r##"{"username": "a:p\\p *", "password": "#p@s's \"w\\{d} $x;é&%\t", "host": "db.example.org", "port": 5432, "dbname": "my db"}"##;

fn shown(format: Format, json: &str) -> String {
    outcome(&common::format(format, "s"), &Store::from([(Lookup::read("s"), Arc::new(kv2(json)))]))
}

fn table(format: Format, cases: &[(&str, &str)]) {
    for (json, want) in cases {
        assert_eq!(shown(format, json), *want, "{json}");
    }
}

#[test]
fn writes_ini_files() {
    table(
        Format::Ini,
        &[
            (
                r#"{"b": "x y", "a": 1.50, "sec": {"k": "v;w", "n": null, "m": {"x": 1}}, "empty": {}}"#,
                "a=1.50\nb=x y\n\n[empty]\n\n[sec]\nk=\"v;w\"\nm=\"{\\\"x\\\":1}\"\nn=null\n",
            ),
            (r#"{"a": "line\nline", "b": " 'x' \\"}"#, "a=\"line\\nline\"\nb=\" 'x' \\\\\"\n"),
            (
                r#"{"a=b": "x"}"#,
                "SK2005: template t: the key \"a=b\" is no name in an INI file \
                 (rename the key in the secret, or choose the format json or yaml)",
            ),
            ("{}", ""),
        ],
    );
}

#[test]
fn writes_postgresqls_password_file() {
    table(
        Format::Pgpass,
        &[
            (r#"{"username": "app", "password": "pw"}"#, "*:*:*:app:pw\n"),
            (HOSTILE, "db.example.org:5432:my db:a\\:p\\\\p *:\\#p@s's \"w\\\\{d} $x;é&%\t\n"),
            (r##"{"username": "*", "password": "*", "host": "#h"}"##, "\\#h:*:*:\\*:\\*\n"),
            (
                r#"{"username": "a", "password": "a\nb"}"#,
                "SK2005: template t: field `password`: a line break or a NUL byte cannot stand in this format \
                 (encode the field with base64, or use the format raw)",
            ),
            (
                r#"{"username": "a", "pasword": "b"}"#,
                "SK2005: template t: the format needs a field `password` or `pass` (the secret has: pasword, username)",
            ),
        ],
    );
}

#[test]
fn writes_mysql_option_files() {
    table(
        Format::Mycnf,
        &[
            (r#"{"username": "app", "password": "pw"}"#, "[client]\nuser=\"app\"\npassword=\"pw\"\n"),
            (
                HOSTILE,
                "[client]\nuser=\"a:p\\\\p *\"\npassword=\"#p@s's \\\"w\\\\{d} $x;é&%\\t\"\nhost=\"db.example.org\"\nport=\"5432\"\n\n[mysql]\ndatabase=\"my db\"\n",
            ),
            (r#"{"user": "a", "pass": "x\r\n[mysqld]\n"}"#, "[client]\nuser=\"a\"\npassword=\"x\\r\\n[mysqld]\\n\"\n"),
        ],
    );
}

#[test]
fn writes_netrc_files() {
    table(
        Format::Netrc,
        &[
            (r#"{"username": "app", "password": "pw"}"#, "default login app password pw\n"),
            (r#"{"login": "app", "password": "pw", "machine": "h"}"#, "machine h login app password pw\n"),
            (HOSTILE, "machine db.example.org login \"a:p\\\\p *\" password \"#p@s's \\\"w\\\\{d} $x;é&%\t\"\n"),
        ],
    );
}

#[test]
fn writes_registry_logins() {
    table(
        Format::Dockerconfigjson,
        &[
            (
                r#"{"username": "app", "password": "p\"w<\u0001é", "registry": "registry.example.org"}"#,
                "{\n  \"auths\": {\n    \"registry.example.org\": {\n      \"username\": \"app\",\n      \
                 \"password\": \"p\\\"w<\\u0001é\",\n      \"auth\": \"YXBwOnAidzwBw6k=\"\n    }\n  }\n}\n",
            ),
            (
                r#"{"username": "a:b", "password": "p"}"#,
                "SK2005: template t: a registry's user has no colon in its name",
            ),
        ],
    );
    let hub = shown(Format::Dockerconfigjson, r#"{"username": "a", "password": "p"}"#);
    assert!(hub.contains("\"https://index.docker.io/v1/\": {"), "{hub}");
}

#[test]
fn writes_jdbc_urls() {
    table(
        Format::Jdbc,
        &[
            (
                r#"{"engine": "postgres", "username": "a&b", "password": "p@ss w/ö?", "host": "db", "port": 5432, "dbname": "my db"}"#,
                "jdbc:postgresql://db:5432/my%20db?user=a%26b&password=p%40ss%20w%2F%C3%B6%3F",
            ),
            (
                r#"{"engine": "MySQL", "username": "a", "password": "p", "host": "2001:db8::1"}"#,
                "jdbc:mysql://[2001:db8::1]/?user=a&password=p",
            ),
            (
                r#"{"engine": "sqlserver", "username": "a", "password": "p;x}y", "host": "db", "port": "1433", "dbname": "d"}"#,
                "jdbc:sqlserver://db:1433;databaseName={d};user={a};password={p;x}}y}",
            ),
            (
                r#"{"engine": "oracle", "username": "a", "password": "p", "host": "db"}"#,
                "SK2005: template t: the field `engine` names no database that this format knows (it knows postgresql, mysql, \
                 mariadb and sqlserver; for others write a template)",
            ),
            (
                r#"{"engine": "mysql", "username": "a", "password": "p", "host": "db/?x"}"#,
                "SK2005: template t: the field `host` is not the name of a host",
            ),
            (
                r#"{"engine": "mysql", "username": "a", "password": "p", "host": "db", "port": "1x"}"#,
                "SK2005: template t: the field `port` is not a number",
            ),
            (
                r#"{"engine": "mysql", "username": "a", "password": "p"}"#,
                "SK2005: template t: the format needs a field `host` or `hostname` or `server` or `machine` \
                 (the secret has: engine, password, username)",
            ),
        ],
    );
}

#[test]
fn writes_pem_bundles() {
    let pem = |name: &str| format!("-----BEGIN {name}-----\\nQUJD\\n-----END {name}-----");
    let (key, leaf, one, two) = (pem("KEY"), pem("LEAF"), pem("ONE"), pem("TWO"));
    let bundle =
        |blocks: &[&str]| blocks.iter().map(|block| format!("{}\n", block.replace("\\n", "\n"))).collect::<String>();
    let cases = [
        (
            format!(r#"{{"certificate": "{leaf}", "private_key": "{key}\n", "ca_chain": ["{one}", "{two}", "{one}"], "issuing_ca": "{one}"}}"#),
            bundle(&[&key, &leaf, &one, &two]),
        ),
        (
            format!(r#"{{"tls.crt": "{}\r\n", "tls.key": "{key}", "ca.crt": "{one}"}}"#, leaf.replace("\\n", "\\r\\n")),
            bundle(&[&key, &leaf, &one]),
        ),
        (format!(r#"{{"certificate": "{leaf}\n{one}", "ca_chain": [], "issuing_ca": "{one}"}}"#), bundle(&[&leaf, &one])),
        (
            r#"{"certificate": "MIIB"}"#.to_owned(),
            "SK2005: template t: the field for `certificate` is not in PEM form (it begins with -----BEGIN and ends with -----; \
             Vault writes it with format=pem)"
                .to_owned(),
        ),
        (
            format!(r#"{{"private_key": "{key}"}}"#),
            "SK2005: template t: the format needs a field `certificate` or `tls.crt` or `cert` (the secret has: private_key)".to_owned(),
        ),
    ];
    for (json, want) in cases {
        assert_eq!(shown(Format::Pem, &json), want, "{json}");
    }
}

#[test]
fn shows_no_value_in_any_error() {
    let marker = common::MARKER;
    for format in Format::ALL {
        for json in [
            format!(
                r#"{{"username": "{marker}\n", "password": "{marker}\n", "engine": "{marker}", "host": "{marker}/", "certificate": "{marker}"}}"#
            ),
            format!(r#"{{"username": ["{marker}"], "password": {{"x": "{marker}"}}, "certificate": 5}}"#),
        ] {
            let out = shown(format, &json);
            assert!(!out.starts_with("SK") || !out.contains(marker), "{}: {out}", format.word());
        }
    }
}

/// libpq's way to read a field: a backslash takes what follows as it is, a colon ends it.
fn fields(line: &str) -> Vec<String> {
    let (mut out, mut chars) = (vec![String::new()], line.chars());
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.last_mut().unwrap().extend(chars.next()),
            ':' => out.push(String::new()),
            c => out.last_mut().unwrap().push(c),
        }
    }
    out
}

/// A quoted word as MySQL's option files, git's configuration and netrc readers take it.
fn unquoted(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else { return text.to_owned() };
    let (mut out, mut chars) = (String::new(), inner.chars());
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some('b') => '\u{8}',
                other => other.unwrap(),
            },
            '"' => panic!("a quote stands free in {text}"),
            c => c,
        });
    }
    out
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let taken = if c == '%' { 3 } else { c.len_utf8() };
        if c == '%' {
            bytes.push(u8::from_str_radix(&rest[1..3], 16).unwrap());
        } else {
            bytes.extend_from_slice(&rest.as_bytes()[..taken]);
        }
        rest = &rest[taken..];
    }
    String::from_utf8(bytes).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn gives_each_reader_any_password(password in "[ -~é😀\t]{1,12}", user in "[ -9;-~é]{1,8}") {
        let json = serde_json::json!({ "username": user, "password": password, "engine": "mysql", "host": "h" }).to_string();
        let line = shown(Format::Pgpass, &json);
        prop_assert_eq!(fields(line.trim_end_matches('\n'))[3..].to_vec(), vec![user.clone(), password.clone()]);
        let file = shown(Format::Mycnf, &json);
        let lines: Vec<&str> = file.lines().collect();
        prop_assert_eq!(unquoted(lines[1].strip_prefix("user=").unwrap()), user.clone());
        prop_assert_eq!(unquoted(lines[2].strip_prefix("password=").unwrap()), password.clone());
        let line = shown(Format::Netrc, &json);
        prop_assert_eq!(unquoted(line.trim_end_matches('\n').split_once(" password ").unwrap().1.rsplit(" password ").next().unwrap()), password.clone());
        let url = shown(Format::Jdbc, &json);
        let (user_part, password_part) = url.split_once("?user=").unwrap().1.split_once("&password=").unwrap();
        prop_assert_eq!((decoded(user_part), decoded(password_part)), (user.clone(), password.clone()));
        let docker: serde_json::Value = serde_json::from_str(&shown(Format::Dockerconfigjson, &json)).unwrap();
        prop_assert_eq!(docker["auths"]["h"]["password"].as_str(), Some(password.as_str()));
    }

    #[test]
    fn gives_ini_readers_any_value(value in "[ -~é\n\t\r]{0,12}") {
        let file = shown(Format::Ini, &serde_json::json!({ "k": value }).to_string());
        prop_assert_eq!(unquoted(file.strip_prefix("k=").unwrap().strip_suffix('\n').unwrap()), value);
    }
}
