//! What sprig draws by lot, or takes from the clock: frozen with the data, and none without a seed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod common;

use std::collections::BTreeSet;

use common::{Store, env, frozen, go, outcome};
use sidekey_template::{Frozen, Inputs, Rendered, compile};

fn with(text: &str, frozen: &Frozen) -> String {
    let (store, env) = (Store::new(), env());
    match compile("t", &go(text), None).unwrap().render(&Inputs { answers: &store, env: &env, frozen }) {
        Ok(Rendered::Complete { bytes, .. }) => String::from_utf8(bytes.expose().clone()).unwrap(),
        Ok(Rendered::Incomplete { .. }) => panic!("incomplete"),
        Err(error) => error.to_string(),
    }
}

const DRAWN: [&str; 6] = [
    "sprig_randAlpha 20",
    "sprig_randAlphaNum 20",
    "sprig_randNumeric 20",
    "sprig_randAscii 20",
    "sprig_randBytes 20",
    "sprig_uuidv4",
];

#[test]
fn draws_the_same_for_the_same_data_and_something_else_each_time() {
    let text = DRAWN.map(|call| format!("{{{{ {call} }}}}\n{{{{ {call} }}}}\n")).concat();
    let first = with(&text, &frozen(1));
    assert_eq!(with(&text, &frozen(1)), first);
    let second = with(&text, &frozen(2));
    let seen: BTreeSet<&str> = first.lines().chain(second.lines()).collect();
    assert_eq!(seen.len(), 4 * DRAWN.len(), "{seen:?}");
}

/// Of the 62 characters each comes as often as the next: by chance alone, further off than this once in a billion seeds.
#[test]
fn favours_no_character() {
    let text = with("{{ sprig_randAlphaNum 62000 }}", &frozen(1));
    let count = |c: char| text.matches(c).count();
    let counts: Vec<usize> = ('0'..='z').filter(char::is_ascii_alphanumeric).map(count).collect();
    assert_eq!(counts.len(), 62);
    assert!(counts.iter().all(|count| (780..1220).contains(count)), "{counts:?}");
}

#[test]
fn draws_nothing_without_a_seed_nor_without_end() {
    for call in DRAWN {
        let name = call.split(' ').next().unwrap();
        let said = with(&format!("{{{{ {call} }}}}"), &Frozen::default());
        let want = format!("{name}: the system has no random numbers to make this of");
        assert!(said.ends_with(&want), "{said}");
    }
    let long = with("{{ sprig_randAlpha 1048577 }}", &frozen(1));
    assert!(long.ends_with("more than 1048576 characters drawn by lot"), "{long}");
    let many = with("{{ range sprig_until 100 }}{{ $x := sprig_randBytes 1000000 }}{{ end }}", &frozen(1));
    assert!(many.ends_with("more than 1000000 steps"), "{many}");
}

#[test]
fn takes_the_moment_of_the_data_for_now() {
    let text = "{{ sprig_now }}|{{ sprig_date \"2006-01-02\" nil }}|{{ sprig_now | sprig_date_modify \"24h\" | sprig_htmlDate }}|\
                {{ (sprig_now).AddDate 0 1 0 | sprig_date \"2006-01-02T15:04:05Z07:00\" }}";
    assert_eq!(with(text, &frozen(1)), "2023-11-14 22:13:20 +0000 UTC|2023-11-14|2023-11-15|2023-12-14T22:13:20Z");
}

/// Go falls back to UTC without a word, which would write a wrong time.
#[test]
fn refuses_zones_by_name_when_the_template_is_read() {
    let said =
        outcome(&go("x\n{{ if false }}{{ sprig_dateInZone \"15:04\" 0 \"Europe/Berlin\" }}{{ end }}"), &Store::new());
    assert_eq!(
        said,
        "SK2002: template t, line 2, column 45: sprig_dateInZone: only the time zone UTC is known (there are no rules \
         of other zones here)"
    );
    let late = outcome(&go("{{ \"Europe/Berlin\" | sprig_htmlDateInZone 0 }}"), &Store::new());
    assert!(
        !late.contains("Berlin") && late.starts_with("SK2003: ") && late.contains("only the time zone UTC is known"),
        "{late}"
    );
}

#[test]
fn reads_the_agents_variables_under_sprigs_names() {
    let text = "{{ sprig_env \"POD\" }}|{{ sprig_expandenv \"$POD-${POD}${EMPTY}$NOPE.\" }}";
    assert_eq!(with(text, &frozen(1)), "web-1|web-1-web-1.");
}
