//! A status as it is kept: what many objects say in the same words is there once.
//!
//! text → own fields · login and conditions, shared · times → text

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::pool::Pool;

const LOGIN: &str = "vaultClientMeta";
const CONDITIONS: &str = "conditions";
const SINCE: &str = "lastTransitionTime";

type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// A status of any kind, without a field lost.
#[derive(Debug)]
pub(super) struct Packed {
    /// A JSON object of the fields that are no other object's, open at its end.
    own: Box<str>,
    /// JSON.
    login: Option<Arc<str>>,
    conditions: Box<[Condition]>,
}

#[derive(Debug)]
struct Condition {
    /// A JSON object, open at its end, without its time.
    words: Arc<str>,
    /// Unix seconds; none when the time is among the words.
    since: Option<i64>,
}

impl Packed {
    /// None when the text is not shaped as a status is.
    pub(super) fn new(text: &str, pool: &mut Pool<str>) -> Option<Self> {
        let mut fields: Fields<'_> = serde_json::from_str(text).ok()?;
        let conditions = fields.remove(CONDITIONS).map_or("[]", RawValue::get);
        let conditions: Vec<Fields<'_>> = serde_json::from_str(conditions).ok()?;
        let login = fields.remove(LOGIN).map(|raw| pool.share(raw.get().into()));
        let conditions = conditions.into_iter().map(|fields| Condition::new(fields, pool)).collect::<Option<_>>()?;
        Some(Self { own: open(&fields)?.into(), login, conditions })
    }

    /// JSON of the same meaning; fields may be in another order.
    pub(super) fn text(&self) -> String {
        let mut text = self.own.to_string();
        if let Some(login) = &self.login {
            add(&mut text, LOGIN, login);
        }
        let conditions: Vec<_> = self.conditions.iter().map(Condition::text).collect();
        add(&mut text, CONDITIONS, &format!("[{}]", conditions.join(",")));
        text.push('}');
        text
    }
}

impl Condition {
    fn new(mut fields: Fields<'_>, pool: &mut Pool<str>) -> Option<Self> {
        let told = fields.get(SINCE).and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
        // A time in another form stays as it is.
        let since = told.and_then(|told| {
            let time = told.parse::<Timestamp>().ok()?;
            (written(time) == told).then(|| time.as_second())
        });
        if since.is_some() {
            fields.remove(SINCE);
        }
        Some(Self { words: pool.share(open(&fields)?.into()), since })
    }

    fn text(&self) -> String {
        let mut text = self.words.to_string();
        if let Some(time) = self.since.and_then(|since| Timestamp::from_second(since).ok()) {
            add(&mut text, SINCE, &format!("\"{}\"", written(time)));
        }
        text.push('}');
        text
    }
}

fn written(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `{"a":1` and so on.
fn open(fields: &Fields<'_>) -> Option<String> {
    let mut text = serde_json::to_string(fields).ok()?;
    text.pop();
    Some(text)
}

fn add(text: &mut String, name: &str, value: &str) {
    let comma = if text.len() > 1 { "," } else { "" };
    text.extend([comma, "\"", name, "\":", value]);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn there_and_back(status: &Value, pool: &mut Pool<str>) -> (Packed, Value) {
        let packed = Packed::new(&status.to_string(), pool).unwrap();
        let back = serde_json::from_str(&packed.text()).unwrap();
        (packed, back)
    }

    #[test]
    fn nothing_of_a_status_is_lost_and_what_two_have_in_common_is_there_once() {
        let mut pool = Pool::default();
        let condition =
            |time: &str| json!({ "type": "Ready", "status": "True", "message": "a \"b\"", "lastTransitionTime": time });
        let status = |mac: &str, time: &str| {
            json!({
                "lastGeneration": 3, "secretMAC": mac, "vaultClientMeta": { "id": "x" }, "odd": [1, { "y": null }],
                "conditions": [condition(time), condition("2026-11-28T20:00:00.5+01:00")],
            })
        };
        let (one, two) = (status("a", "2026-11-28T20:00:00Z"), status("b", "2026-11-28T20:00:01Z"));
        let ((one, first), (two, second)) = (there_and_back(&one, &mut pool), there_and_back(&two, &mut pool));
        assert_eq!((first, second), (status("a", "2026-11-28T20:00:00Z"), status("b", "2026-11-28T20:00:01Z")));
        assert!(Arc::ptr_eq(&one.conditions[0].words, &two.conditions[0].words));
        assert!(Arc::ptr_eq(one.login.as_ref().unwrap(), two.login.as_ref().unwrap()));
    }

    #[test]
    fn what_is_no_status_is_left_alone() {
        let mut pool = Pool::default();
        assert_eq!(there_and_back(&json!({}), &mut pool).1, json!({ "conditions": [] }));
        for text in ["[]", "null", "{\"conditions\":{}}", "{\"conditions\":[1]}"] {
            assert!(Packed::new(text, &mut pool).is_none(), "{text}");
        }
    }
}
