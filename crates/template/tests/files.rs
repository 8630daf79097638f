//! `writeToFile`: what a rendering wants to be written beside its own file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod common;

use common::{go, outcome, rendered, store, table};
use sidekey_template::{ExtraFile, Rendered};

fn files(text: &str) -> Vec<ExtraFile> {
    match rendered(&go(text), &store()) {
        Ok(Rendered::Complete { files, .. }) => files,
        Ok(Rendered::Incomplete { .. }) => panic!("data is missing: {text}"),
        Err(error) => panic!("{text}: {error}"),
    }
}

/// Path, mode, owner and bytes on a line each.
fn shown(text: &str) -> String {
    let line = |file: &ExtraFile| {
        let bytes = String::from_utf8_lossy(file.bytes.expose()).into_owned();
        format!("{} {:o} {:?} {bytes:?}", file.path, file.mode, file.owner)
    };
    files(text).iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn answers_the_files_and_prints_nothing() {
    let cases = [
        ("{{ writeToFile \"/v/a\" \"\" \"\" \"0640\" \"x\" }}", "/v/a 640 (None, None) \"x\""),
        (
            "{{ \"x\" | writeToFile \"/v/./a//b\" \"100\" \"1000\" \"644\" }}",
            "/v/a/b 644 (Some(Number(100)), Some(Number(1000))) \"x\"",
        ),
        (
            "{{ \"x\" | writeToFile \"/v/a\" (print \"vault\") \"www-data\" \"644\" }}",
            "/v/a 644 (Some(Name(\"vault\")), Some(Name(\"www-data\"))) \"x\"",
        ),
        ("{{ \"x\" | writeToFile \"/v/a\" \"\" \"\" \"0600\" \"newline\" }}", "/v/a 600 (None, None) \"x\\n\""),
        (
            "{{ range loop 3 }}{{ print . | writeToFile \"/v/a\" \"\" \"\" \"0600\" \"append,newline\" }}{{ end }}",
            "/v/a 600 (None, None) \"0\\n1\\n2\\n\"",
        ),
        (
            "{{ range loop 3 }}{{ print . | writeToFile \"/v/a\" \"\" \"\" \"0600\" }}{{ end }}",
            "/v/a 600 (None, None) \"2\"",
        ),
        (
            "{{ range loop 2 }}{{ print . | writeToFile (printf \"/v/%d\" .) \"\" \"\" \"0600\" }}{{ end }}",
            "/v/0 600 (None, None) \"0\"\n/v/1 600 (None, None) \"1\"",
        ),
        ("{{ if false }}{{ writeToFile \"/v/a\" \"\" \"\" \"0640\" \"x\" }}{{ end }}", ""),
        (
            "{{ with secret \"kv1/web\" }}{{ base64Decode .Data.b64 | writeToFile \"/v/k\" \"\" \"\" \"0400\" }}{{ end }}",
            "/v/k 400 (None, None) \"hello\"",
        ),
    ];
    for (text, want) in cases {
        assert_eq!(shown(text), want, "{text}");
        assert_eq!(outcome(&go(text), &store()), "", "{text}");
    }
}

#[test]
fn refuses_by_name_what_cannot_be_honoured() {
    let name = "SK2002: template t, line 1, column";
    table(
        go,
        &[
            (
                "{{ writeToFile \"a\" \"\" \"\" \"0640\" \"x\" }}",
                &format!("{name} 16: writeToFile: the path is not absolute"),
            ),
            (
                "{{ writeToFile \"/v/../a\" \"\" \"\" \"0640\" \"x\" }}",
                &format!("{name} 16: writeToFile: the path climbs out of its directory with `..`"),
            ),
            (
                "{{ \"x\" | writeToFile \"/v/a\" \"a:b\" \"\" \"0640\" }}",
                &format!("{name} 29: writeToFile: the user is neither a number nor a name that one can have"),
            ),
            (
                "{{ if false }}{{ \"x\" | writeToFile \"/v/a\" \"\" \"4294967295\" \"0640\" }}{{ end }}",
                &format!("{name} 46: writeToFile: the group is neither a number nor a name that one can have"),
            ),
            (
                "{{ \"x\" | writeToFile \"/v/a\" \"\" \"\" \"0689\" }}",
                &format!("{name} 35: writeToFile: the mode is not octal (write it as \"0640\")"),
            ),
            (
                "{{ \"x\" | writeToFile \"/v/a\" (print \"-1\") \"\" \"0640\" }}",
                "SK2003: template t, line 1, column 10: writeToFile: the user is neither a number nor a name that one can have",
            ),
            (
                "{{ writeToFile \"/v/a\" \"\" \"\" \"0640\" }}",
                "SK2003: template t, line 1, column 4: writeToFile: 4 arguments do not fit (write writeToFile PATH USER GROUP MODE [FLAGS] CONTENT)",
            ),
            (
                "{{ range loop 70 }}{{ writeToFile (print \"/v/\" .) \"\" \"\" \"0640\" \"x\" }}{{ end }}",
                "SK2003: template t, line 1, column 23: writeToFile: more than 64 files",
            ),
        ],
    );
}
