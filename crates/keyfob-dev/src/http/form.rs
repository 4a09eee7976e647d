//! Strict parsing of request parameters.

use std::{borrow::Cow, fmt};

use percent_encoding::percent_decode;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::Value;

/// Looking for repetitions is quadratic, so their number is bounded.
const MOST_PARAMETERS: usize = 100;

/// The decoded parameters of a query or a form, in order.
#[derive(Debug, Default)]
pub(crate) struct Form(Vec<(String, String)>);

/// A parameter occurred more than once (RFC 6749 §3.1, §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Repeated;

impl Form {
    /// `None` = the octets are not UTF-8 (RFC 6749 App. B), or there are more parameters than any request needs.
    pub(crate) fn parse(input: &[u8]) -> Option<Self> {
        let pairs = input.split(|b| *b == b'&').filter(|pair| !pair.is_empty());
        let read = pairs.map(|pair| {
            let at = pair.iter().position(|b| *b == b'=');
            let (name, value) = at.map_or((pair, &[][..]), |at| (&pair[..at], &pair[at + 1..]));
            Some((decode(name)?, decode(value)?))
        });
        let form = read.take(MOST_PARAMETERS + 1).collect::<Option<Vec<_>>>()?;
        (form.len() <= MOST_PARAMETERS).then_some(Self(form))
    }

    /// The members of a JSON object: a list of texts is a parameter that occurs more than once. `None` = it is none, or
    /// holds what no request needs.
    pub(crate) fn of_object(input: &[u8]) -> Option<Self> {
        let members = serde_json::from_slice::<Members>(input).ok()?.0;
        let mut form = Vec::new();
        for (name, value) in members {
            match value {
                Value::String(text) => form.push((name, text)),
                Value::Number(number) => form.push((name, number.to_string())),
                Value::Array(list) => {
                    for one in list {
                        form.push((name.clone(), one.as_str()?.to_owned()));
                    }
                }
                Value::Null | Value::Bool(_) | Value::Object(_) => return None,
            }
        }
        (form.len() <= MOST_PARAMETERS).then_some(Self(form))
    }

    /// A parameter that may occur once; an empty one counts as omitted.
    pub(crate) fn one<'a>(&'a self, name: &'a str) -> Result<Option<&'a str>, Repeated> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (value, None) => Ok(value.filter(|v| !v.is_empty())),
            _ => Err(Repeated),
        }
    }

    /// As [`Form::one`], where the caller has refused repetitions already.
    pub(crate) fn optional<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.one(name).ok().flatten()
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Every value, whatever its name.
    pub(crate) fn values(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(_, value)| value.as_str())
    }

    /// Whether any parameter but `resource` (RFC 8707 §2) and `audience` (RFC 8693 §2.1) occurs more than once.
    pub(crate) fn repeats(&self) -> bool {
        let names = || {
            self.0
                .iter()
                .map(|(name, _)| name)
                .filter(|name| !matches!(name.as_str(), "resource" | "audience"))
        };
        names().enumerate().any(|(i, name)| names().take(i).any(|earlier| earlier == name))
    }
}

/// The members of an object in order, one that stands twice among them.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members, M::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

/// Decodes one form value; also used for HTTP Basic (RFC 6749 §2.3.1).
pub(crate) fn decode(value: &[u8]) -> Option<String> {
    let blanks: Cow<'_, [u8]> = if value.contains(&b'+') {
        value.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect::<Vec<_>>().into()
    } else {
        value.into()
    };
    percent_decode(&blanks).decode_utf8().ok().map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_parameter_is_seen_even_when_it_is_empty() {
        let form = Form::parse(b"a=1&b=&a=").expect("UTF-8");
        assert_eq!(form.one("a"), Err(Repeated));
        assert_eq!(form.one("b"), Ok(None));
        assert!(form.repeats());
        assert!(!Form::parse(b"resource=x&resource=y").expect("UTF-8").repeats());
    }

    #[test]
    fn the_members_of_an_object_are_parameters() {
        let form = Form::of_object(br#"{"a":"x&y","resource":["b","c"],"n":60}"#).expect("an object");
        assert_eq!((form.optional("a"), form.optional("n")), (Some("x&y"), Some("60")));
        assert_eq!(form.all("resource").collect::<Vec<_>>(), ["b", "c"]);
        assert!(Form::of_object(br#"{"a":"x","a":"y"}"#).expect("an object").repeats());
        for wrong in ["", "[]", "{", r#"{"a":true}"#, r#"{"a":{}}"#, r#"{"a":[1]}"#, r#"{"a":"x"} b"#] {
            assert!(Form::of_object(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }

    #[test]
    fn form_data_is_utf_8() {
        assert_eq!(Form::parse("x=%C3%A9+%2B".as_bytes()).expect("UTF-8").optional("x"), Some("é +"));
        assert!(Form::parse(b"x=%FF").is_none());
    }
}
