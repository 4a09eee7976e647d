//! Strict parsing of JSON from outside.

use alloc::{borrow::Cow, collections::BTreeSet};
use core::fmt;

use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};

/// Reads one JSON text. Duplicate members are refused at every depth (RFC 8259 §4 calls them unpredictable,
/// RFC 6749 §3.2 forbids repeated parameters), and so are a byte order mark, text that is not UTF-8,
/// anything after the value and nesting beyond 128 levels.
///
/// # Errors
/// Says what sort of mistake it is and never quotes the text: it may hold tokens.
pub fn strict<T: DeserializeOwned>(text: &[u8]) -> Result<T, &'static str> {
    serde_json::from_slice::<Unique>(text).map_err(|error| match error.classify() {
        serde_json::error::Category::Eof => "ends in the middle",
        serde_json::error::Category::Data => "names a member twice",
        _ => "is not JSON",
    })?;
    serde_json::from_slice(text).map_err(|_| "has a member of the wrong type, or lacks one")
}

/// Any JSON value without duplicate members; keeps nothing of it.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Walk)
    }
}

struct Walk;

impl<'de> Visitor<'de> for Walk {
    type Value = Unique;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_str<E>(self, _: &str) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_unit<E>(self) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Unique, A::Error> {
        while seq.next_element::<Unique>()?.is_some() {}
        Ok(Unique)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if !seen.insert(key) {
                return Err(de::Error::custom("duplicate member"));
            }
            map.next_value::<Unique>()?;
        }
        Ok(Unique)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, string::String};
    use serde_json::Value;

    fn why(text: &str) -> &'static str {
        strict::<Value>(text.as_bytes()).expect_err(text)
    }

    #[test]
    fn a_member_may_be_named_once() {
        assert_eq!(why(r#"{"a":1,"a":2}"#), "names a member twice");
        assert_eq!(why(r#"[{"b":{"a":1,"\u0061":2}}]"#), "names a member twice");
        assert!(strict::<Value>(br#"{"a":{"a":[1.5,-1,null,true,"x"]}}"#).is_ok());
    }

    #[test]
    fn only_one_whole_value_in_utf_8() {
        assert_eq!(why(r#"{"a":"#), "ends in the middle");
        assert_eq!(why("{} {}"), "is not JSON");
        assert_eq!(why("\u{feff}{}"), "is not JSON");
        assert_eq!(strict::<Value>(b"\"\xff\"").err(), Some("is not JSON"));
    }

    #[test]
    fn depth_is_bounded() {
        let deep: String = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(why(&deep), "is not JSON");
    }
}
