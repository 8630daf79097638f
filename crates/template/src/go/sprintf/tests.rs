//! The expected texts are those of Go's own fmt package.

use super::*;

fn printed(format: &str, args: &[Val]) -> String {
    sprintf(format, args).map_or_else(|failure| failure.message, |bytes| String::from_utf8(bytes).unwrap())
}

/// The expected texts are those of Go's own fmt package.
#[test]
fn formats_as_gos_fmt_does() {
    let (int, text) = (Val::Int, |text: &str| Val::str(text));
    let number = || Val::Number(std::rc::Rc::new(zeroize::Zeroizing::new(b"5432".to_vec())));
    let cases: Vec<(&str, Vec<Val>, &str)> = vec![
        ("%s|%v|%q|%d|%T|%x", vec![number(); 6], "5432|5432|\"5432\"|%!d(json.Number=5432)|json.Number|35343332"),
        ("%d|%5d|%-5d|%05d|%+d|% d", vec![int(42); 6], "42|   42|42   |00042|+42| 42"),
        (
            "%x|%X|%o|%b|%c|%U|%q|%#x",
            [255, 255, 8, 5, 65, 0x1_f600, 65, 255].map(int).to_vec(),
            "ff|FF|10|101|A|U+1F600|'A'|0xff",
        ),
        ("%s|%10s|%-10s|%.2s", vec![text("héllo"); 4], "héllo|     héllo|héllo     |hé"),
        ("%q", vec![text("a\"b\n\u{1}é☺\u{200b}😀")], "\"a\\\"b\\n\\x01é☺\\u200b😀\""),
        ("%x|%X|% x|%v", vec![text("hi"); 4], "6869|6869|68 69|hi"),
        (
            "%s|%d|%t|%v|%s",
            vec![int(42), text("hi"), Val::Bool(true), Val::Nil, Val::Nil],
            "%!s(int=42)|%!d(string=hi)|true|<nil>|%!s(<nil>)",
        ),
        ("%d %s", vec![int(1)], "1 %!s(MISSING)"),
        ("%d", vec![int(1), int(2)], "1%!(EXTRA int=2)"),
        ("%z", vec![int(3)], "%!z(int=3)"),
        ("%[2]s %[1]s|%[3]d", vec![text("a"), text("b"), int(5)], "b a|5"),
        ("%*d", vec![int(3), int(2)], "  2"),
        (
            "%v|%s",
            vec![Val::list(vec![int(1), text("a"), Val::Nil]), Val::list(vec![int(1), text("a")])],
            "[1 a <nil>]|[%!s(int=1) a]",
        ),
        (
            "%05s|%6.2f%%|%t|%5t",
            vec![text("ab"), Val::Float(99.5), text("x"), Val::Bool(true)],
            "000ab| 99.50%|%!t(string=x)| true",
        ),
        ("%-05d|%x|%e", vec![int(7), int(-255), Val::Float(100.0)], "7    |-ff|1.000000e+02"),
        ("%08.2f|%+.1f|%-8.1f|", vec![Val::Float(0.5), Val::Float(0.5), Val::Float(0.5)], "00000.50|+0.5|0.5     |"),
        ("100%", vec![], "100%!(NOVERB)"),
        ("%99999d", vec![int(1)], "printf: width or precision above 10000"),
    ];
    for (format, args, want) in cases {
        assert_eq!(printed(format, &args), want, "{format}");
    }
}

/// The expected texts are those of Go's own fmt package.
#[test]
fn formats_floats_as_gos_fmt_does() {
    let cases = [
        (1.0, "1|1.000000e+00|1.000000|1"),
        (100_000.0, "100000|1.000000e+05|100000.000000|1e+05"),
        (1e6, "1e+06|1.000000e+06|1000000.000000|1e+06"),
        (123_456_789.0, "1.23456789e+08|1.234568e+08|123456789.000000|1.23e+08"),
        (1e-4, "0.0001|1.000000e-04|0.000100|0.0001"),
        (1e-5, "1e-05|1.000000e-05|0.000010|1e-05"),
        (0.000_123_45, "0.00012345|1.234500e-04|0.000123|0.000123"),
        (1.0 / 3.0, "0.3333333333333333|3.333333e-01|0.333333|0.333"),
        (-2.5, "-2.5|-2.500000e+00|-2.500000|-2.5"),
    ];
    for (f, want) in cases {
        assert_eq!(printed("%v|%e|%f|%.3g", &vec![Val::Float(f); 4]), want);
    }
}
