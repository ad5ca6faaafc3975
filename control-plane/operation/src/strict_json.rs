//! JSON that every parser reads alike.
//!
//! Parsers differ in which of two members with one name they take, so that a part that judges a
//! request and a part that carries it out may see two requests. Such a text is refused whole, also
//! inside members that nobody reads.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Reads a whole text.
///
/// # Errors
/// When it is not JSON (RFC 8259) in UTF-8, an object has two members with one name, it is nested
/// deeper than 127, or it is not a `T`.
pub fn from_slice<T: DeserializeOwned>(text: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice::<Unambiguous>(text)?;
    serde_json::from_slice(text)
}

/// Any value without two members of one name.
struct Unambiguous;

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Walk)
    }
}

struct Walk;

impl<'de> Visitor<'de> for Walk {
    type Value = Unambiguous;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_str<E>(self, _: &str) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_unit<E>(self) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Unambiguous, A::Error> {
        while items.next_element::<Unambiguous>()?.is_some() {}
        Ok(Unambiguous)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Unambiguous, A::Error> {
        let mut names = BTreeSet::new();
        while let Some(name) = members.next_key::<String>()? {
            if !names.insert(name) {
                return Err(A::Error::custom("two members have one name"));
            }
            members.next_value::<Unambiguous>()?;
        }
        Ok(Unambiguous)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_parsers_read_differently_is_refused() {
        let reads = |text: &[u8]| from_slice::<serde_json::Value>(text).is_ok();
        for good in [r#"{"a":1,"b":{"a":1}}"#, r#"[{"a":1},{"a":1}]"#, "-0.5e3", "null", " \"x\" "]
        {
            assert!(reads(good.as_bytes()), "{good}");
        }
        for bad in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"[[{"b":{"a":1,"c":2,"a":3}}]]"#,
            r#"{"a":1} x"#,
            r#"{"a":1,}"#,
            "{'a':1}",
            "NaN",
            "1e999",
            "01",
            "\u{feff}{}",
            "",
        ] {
            assert!(!reads(bad.as_bytes()), "{bad}");
        }
        assert!(!reads(b"{\"a\":\"\xff\"}"), "not UTF-8");
        assert!(!reads(br#"{"a":"\ud800"}"#), "half of a surrogate pair");
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(reads(nested(127).as_bytes()) && !reads(nested(128).as_bytes()));
    }
}
