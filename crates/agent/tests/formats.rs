//! Files in stock formats, read as the programs that they are for read them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::collections::BTreeMap;

use serde_json::json;
use sidekey_core::Code;
use support::Bench;

/// What `java.util.Properties.load` makes of a stream, by its documentation.
fn load(bytes: &[u8]) -> BTreeMap<String, String> {
    // The stream is Latin-1.
    let text: Vec<char> = bytes.iter().map(|byte| char::from(*byte)).collect();
    let (mut found, mut at) = (BTreeMap::new(), 0);
    while at < text.len() {
        let line = logical_line(&text, &mut at);
        let white = |c: &char| matches!(c, ' ' | '\t' | '\u{c}');
        if line.is_empty() {
            continue;
        }
        let mut end = 0;
        while end < line.len() && !white(&line[end]) && !matches!(line[end], '=' | ':') {
            end += if line[end] == '\\' { 2 } else { 1 };
        }
        let end = end.min(line.len());
        let mut value = end + line[end..].iter().take_while(|c| white(c)).count();
        if matches!(line.get(value), Some('=' | ':')) {
            value += 1;
            value += line[value..].iter().take_while(|c| white(c)).count();
        }
        found.insert(unescaped(&line[..end]), unescaped(&line[value..]));
    }
    found
}

/// Without its leading white space; an odd number of backslashes at the end takes the next line to it. Comments and blank lines
/// are empty.
fn logical_line(text: &[char], at: &mut usize) -> Vec<char> {
    let mut line = Vec::new();
    loop {
        let end = text[*at..].iter().position(|c| matches!(c, '\n' | '\r')).map_or(text.len(), |end| *at + end);
        let natural = &text[*at..end];
        *at = end + if text[end..].starts_with(&['\r', '\n']) { 2 } else { 1 };
        let natural: Vec<char> = natural.iter().copied().skip_while(|c| matches!(c, ' ' | '\t' | '\u{c}')).collect();
        if line.is_empty() && natural.first().is_some_and(|c| matches!(c, '#' | '!')) {
            return Vec::new();
        }
        let continued = natural.iter().rev().take_while(|c| **c == '\\').count() % 2 == 1;
        line.extend(&natural[..natural.len() - usize::from(continued)]);
        if !continued || *at >= text.len() {
            return line;
        }
    }
}

fn unescaped(text: &[char]) -> String {
    let (mut units, mut rest) = (Vec::new(), text.iter());
    while let Some(c) = rest.next() {
        let c = match (c, if *c == '\\' { rest.next() } else { None }) {
            (_, Some('u')) => {
                let digits: String = rest.by_ref().take(4).collect();
                units.push(u16::from_str_radix(&digits, 16).unwrap());
                continue;
            }
            (_, Some('t')) => '\t',
            (_, Some('n')) => '\n',
            (_, Some('r')) => '\r',
            (_, Some('f')) => '\u{c}',
            (_, Some(other)) => *other,
            (c, None) => *c,
        };
        units.extend(c.encode_utf16(&mut [0; 2]).iter());
    }
    String::from_utf16(&units).unwrap()
}

/// Every text of up to two of these, and longer ones by chance that is the same each time.
fn texts() -> Vec<String> {
    const PARTS: [&str; 22] = [
        "a", "=", ":", "#", "!", " ", "\t", "\n", "\r", "\u{c}", "\\", "\"", "'", "é", "€", "😀", "\0", "\u{7f}", "u",
        "0041", "n", "\u{85}",
    ];
    let pairs = PARTS.iter().flat_map(|one| PARTS.iter().map(move |other| format!("{one}{other}")));
    let mut state = 7_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap()
    };
    let long: Vec<String> =
        (0..400).map(|_| (0..3 + next() % 9).map(|_| PARTS[next() % PARTS.len()]).collect()).collect();
    PARTS.iter().map(ToString::to_string).chain([String::new()]).chain(pairs).chain(long).collect()
}

#[test]
fn the_model_of_properties_reads_what_its_documentation_shows() {
    let text = "Truth = Beauty\n Truth2:Beauty\nTruth3                    :Beauty\n# no\n  ! no\n\n\
                fruits                           apple, banana, pear, \\\n                                  cantaloupe, \\\r\n  kiwi\n\
                cheeses\na\\:b\\ c=\\u00e9\\\\\nlast=\\";
    let want = [
        ("Truth", "Beauty"),
        ("Truth2", "Beauty"),
        ("Truth3", "Beauty"),
        ("fruits", "apple, banana, pear, cantaloupe, kiwi"),
        ("cheeses", ""),
        ("a:b c", "é\\"),
        ("last", ""),
    ];
    let want: BTreeMap<String, String> = want.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    assert_eq!(load(text.as_bytes()), want);
}

#[tokio::test]
async fn java_reads_every_key_and_value_of_a_properties_file_as_it_is_in_vault() {
    let texts = texts();
    let values = texts.iter().rev();
    let want: BTreeMap<String, String> = texts.iter().cloned().zip(values.cloned()).collect();
    assert!(want.len() > 800, "{}", want.len());
    let bench = Bench::new().await.format("app.properties", "properties", "secret/data/odd", json!({}));
    bench.fake.put("secret/odd", json!(want));
    let agent = bench.start();
    bench.ready().await;
    let text = bench.read("app.properties").unwrap();
    assert!(text.is_ascii());
    let found = load(text.as_bytes());
    for (key, value) in &want {
        assert_eq!(found.get(key), Some(value), "{key:?}");
    }
    assert_eq!(found.len(), want.len(), "a value gave a line of its own");
    agent.stop().await;
}

#[tokio::test]
async fn a_line_break_has_no_place_in_netrc_and_the_cause_says_so_without_the_value() {
    let bench = Bench::new().await.format("web.json", "json", "secret/data/web", json!({})).format(
        ".netrc",
        "netrc",
        "secret/data/login",
        json!({"optional": true}),
    );
    bench
        .fake
        .put("secret/login", json!({"host": "db.test", "username": "app", "password": "marker-1\nmachine marker-2"}));
    let agent = bench.start();
    let cause = |bench: &Bench| bench.status().and_then(|status| status.causes().first().map(|cause| (*cause).clone()));
    bench.until("the cause", |bench| cause(bench).is_some()).await;
    let told = cause(&bench).unwrap();
    assert!(matches!(told.code, Code::FormatData | Code::TemplateRender), "{told}");
    assert!(told.to_string().contains("a line break or a NUL byte cannot stand in this format"), "{told}");
    assert!(told.to_string().contains(".netrc") && !told.to_string().contains("marker"), "{told}");
    bench.ready().await;
    assert!(bench.read(".netrc").is_none() && bench.read("web.json").is_some(), "it stops no other file");

    bench.fake.put("secret/login", json!({"host": "db.test", "username": "app", "password": "a b\"c"}));
    bench.pass(std::time::Duration::from_secs(65)).await;
    let want = "machine db.test login app password \"a b\\\"c\"\n";
    bench.until("the file", |bench| bench.read(".netrc").as_deref() == Some(want)).await;
    bench.until("no cause", |bench| cause(bench).is_none()).await;
    agent.stop().await;
}
