use super::*;

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

fn entry(key: &str, line: usize, labels: &[&str], value: Value) -> Entry {
    Entry { key: key.to_owned(), line, labels: labels.iter().map(|&label| label.to_owned()).collect(), value }
}

#[test]
fn reads_blocks_labels_comments_and_heredocs() {
    let read = parse(
        "# one\nvault { address = \"https://v\" } // two\n/* three\n */\nsink \"file\" {\n  mode = 0640\n  list = [1, true,\n\
         \"a\\n\\u0041${env \"x\"}\",]\n}\ncontents = <<-EOT\n    {{ a }}\n      b\n    EOT\nlast = \"x\"",
    )
    .unwrap();
    let list = Value::List(vec![Value::Number("1".into()), Value::Bool(true), text("a\nA${env \"x\"}")]);
    let want = vec![
        entry("vault", 2, &[], Value::Block(vec![entry("address", 2, &[], text("https://v"))])),
        entry(
            "sink",
            5,
            &["file"],
            Value::Block(vec![entry("mode", 6, &[], Value::Number("0640".into())), entry("list", 7, &[], list)]),
        ),
        entry("contents", 10, &[], text("{{ a }}\n  b\n")),
        entry("last", 14, &[], text("x")),
    ];
    assert_eq!(read, want);
}

#[test]
fn reads_json_as_the_same_tree() {
    let json = "{\"vault\": {\"address\": \"v\", \"n\": null},\n \"template\": [{\"contents\": \"\\ud83d\\ude00\"}]}";
    let want = vec![
        entry(
            "vault",
            1,
            &[],
            Value::Block(vec![entry("address", 1, &[], text("v")), entry("n", 1, &[], Value::Null)]),
        ),
        entry("template", 2, &[], Value::List(vec![Value::Block(vec![entry("contents", 2, &[], text("\u{1f600}"))])])),
    ];
    assert_eq!(parse(json).unwrap(), want);
}

#[test]
fn names_the_line_and_quotes_nothing() {
    let cases = [
        ("a = \"secret", 1, "the closing quote"),
        ("a = \"x\n\"", 1, "the closing quote on the same line; a heredoc (<<EOF) has several"),
        ("\n\na {", 3, "a closing brace"),
        ("a = [1 2]", 1, "a comma or a closing bracket"),
        ("a = secret", 1, "a value: text in quotes, a number, true, false, a list or a block"),
        ("a =", 1, "a value"),
        ("= 1", 1, "a name"),
        ("a b c d e f = 1", 1, "an equals sign or an opening brace"),
        ("a = <<EOF\nx", 2, "the heredoc's end"),
        ("/* x", 1, "the end of the comment"),
        ("{}}", 1, "nothing after the closing brace"),
        ("a = \"\\q\"", 1, "an escape such as \\n, \\\" or \\\\"),
        ("a = \"\\ud800\"", 1, "the code of a character"),
    ];
    for (text, line, words) in cases {
        assert_eq!(parse(text), Err(Wrong { line, words }), "{text}");
    }
}

#[test]
fn bounds_depth_and_length_and_never_panics() {
    assert!(parse(&"a={".repeat(10_000)).is_err());
    assert!(parse(&format!("a = {}", "[".repeat(100_000))).is_err());
    assert!(parse(&" ".repeat(MAX_BYTES + 1)).is_err());
    let sample = "a \"é\" { b = [1, \"x${y}\", <<E\nt\nE\n] /* c */ }";
    for (at, _) in sample.char_indices() {
        let _ = parse(&sample[..at]);
        let _ = parse(&sample[at..]);
        for insert in ["\"", "{", "}", "[", "\\", "\u{1f600}", "\0", "<<"] {
            let _ = parse(&format!("{}{insert}{}", &sample[..at], &sample[at..]));
        }
    }
}
