//! A document whose keys stay in the order in which they were written.
//!
//! `inject` works on maps that forget it; here it is put back: keys that were there keep their places, new ones follow.

use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// The shape of a document: keys in order, values only where they have keys below.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shape {
    keys: Vec<(String, Self)>,
    items: Vec<Self>,
    /// The member `name`, by which Kubernetes tells the items of most lists apart.
    name: Option<String>,
}

/// A document and its shape.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) value: Value,
    pub(crate) shape: Shape,
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Document;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value that JSON can hold")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Document, E> {
                Ok(plain(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Document, E> {
                Ok(plain(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Document, E> {
                Ok(plain(value))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Document, E> {
                Ok(plain(value))
            }

            fn visit_str<E>(self, value: &str) -> Result<Document, E> {
                Ok(plain(value))
            }

            fn visit_string<E>(self, value: String) -> Result<Document, E> {
                Ok(plain(value))
            }

            fn visit_unit<E>(self) -> Result<Document, E> {
                Ok(plain(Value::Null))
            }

            fn visit_none<E>(self) -> Result<Document, E> {
                Ok(plain(Value::Null))
            }

            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Document, D::Error> {
                Document::deserialize(deserializer)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Document, A::Error> {
                let (mut values, mut items) = (Vec::new(), Vec::new());
                while let Some(Document { value, shape }) = sequence.next_element()? {
                    values.push(value);
                    items.push(shape);
                }
                Ok(Document { value: Value::Array(values), shape: Shape { items, ..Shape::default() } })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
                let (mut values, mut keys) = (Map::new(), Vec::new());
                while let Some((key, Document { value, shape })) = map.next_entry::<String, Document>()? {
                    keys.push((key.clone(), shape));
                    values.insert(key, value);
                }
                let name = values.get("name").and_then(Value::as_str).map(str::to_owned);
                Ok(Document { value: Value::Object(values), shape: Shape { keys, name, ..Shape::default() } })
            }
        }

        deserializer.deserialize_any(Any)
    }
}

fn plain(value: impl Into<Value>) -> Document {
    Document { value: value.into(), shape: Shape::default() }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Ordered { value: &self.value, shape: Some(&self.shape) }.serialize(serializer)
    }
}

struct Ordered<'a> {
    value: &'a Value,
    shape: Option<&'a Shape>,
}

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.value {
            Value::Object(map) => {
                let known = self.shape.map_or(&[][..], |shape| &shape.keys);
                let mut out = serializer.serialize_map(Some(map.len()))?;
                for (key, shape) in known {
                    if let Some(value) = map.get(key) {
                        out.serialize_entry(key, &Ordered { value, shape: Some(shape) })?;
                    }
                }
                for (key, value) in map.iter().filter(|(key, _)| !known.iter().any(|(known, _)| known == *key)) {
                    out.serialize_entry(key, &Ordered { value, shape: None })?;
                }
                out.end()
            }
            Value::Array(values) => {
                let mut out = serializer.serialize_seq(Some(values.len()))?;
                for (index, value) in values.iter().enumerate() {
                    out.serialize_element(&Ordered { value, shape: self.item(index, value) })?;
                }
                out.end()
            }
            other => other.serialize(serializer),
        }
    }
}

impl<'a> Ordered<'a> {
    fn item(&self, index: usize, value: &Value) -> Option<&'a Shape> {
        let items = &self.shape?.items;
        match value.get("name").and_then(Value::as_str) {
            Some(name) => items.iter().find(|item| item.name.as_deref() == Some(name)),
            None => items.get(index),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn old_keys_keep_their_places_and_new_ones_follow() {
        let text = r#"{"spec":{"z":1,"a":[{"name":"app","image":"x"},{"y":1,"b":2}]},"kind":"Pod"}"#;
        let mut document: Document = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&document).unwrap(), text);
        document.value["spec"]["a"].as_array_mut().unwrap().insert(0, json!({"name": "new", "image": "i"}));
        document.value["spec"]["b"] = json!(true);
        document.value["spec"]["a"][1]["env"] = json!([]);
        let wanted = r#"{"spec":{"z":1,"a":[{"image":"i","name":"new"},{"name":"app","image":"x","env":[]},{"b":2,"y":1}],"b":true},"kind":"Pod"}"#;
        assert_eq!(serde_json::to_string(&document).unwrap(), wanted);
    }
}
