//! User name and password as the fake database makes them, wherever a file has them.

/// The first generated user name and password in a text.
pub(crate) fn find(text: &str) -> Option<(String, String)> {
    let words = || text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    let user = words().find(|word| word.starts_with("v-") && word.len() > 20)?;
    let password = words().find(|word| word.ends_with("-A1a"))?;
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_both_in_any_format() {
        let want = Some(("v-web-0123456789abcdef0123".to_owned(), "0123456789abcdef-A1a".to_owned()));
        for text in [
            "USERNAME=\"v-web-0123456789abcdef0123\"\nPASSWORD=\"0123456789abcdef-A1a\"\n",
            "postgresql://v-web-0123456789abcdef0123:0123456789abcdef-A1a@db:5432/app",
            "{\"password\":\"0123456789abcdef-A1a\",\"username\":\"v-web-0123456789abcdef0123\"}",
        ] {
            assert_eq!(find(text), want, "{text}");
        }
        assert_eq!(find("user: web"), None);
    }
}
