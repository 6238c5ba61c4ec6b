//! Canonical JSON (RFC 8785), restricted to what Sealift hashes: no floating point, integers within 2^53.
//!
//! Owns the one way in which a document that is hashed, logged or signed becomes bytes, and the strict
//! reader that accepts those bytes only.
//! Must not know what the documents mean.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Integers beyond this lose precision in readers that follow JSON's number model.
const MAX_INTEGER: u64 = 1 << 53;

/// Documents nested deeper than this are refused by [`from_bytes`]; ours nest four levels.
const MAX_DEPTH: usize = 16;

/// Why bytes are not the canonical form of a document.
#[derive(Debug, thiserror::Error)]
pub enum NotCanonical {
    /// Longer than the caller allows.
    #[error("{length} bytes where at most {limit} are allowed")]
    TooLong {
        /// Length found.
        length: usize,
        /// Length allowed.
        limit: usize,
    },
    /// Not JSON, or not of the expected shape.
    #[error("not the expected JSON document")]
    Malformed(#[source] serde_json::Error),
    /// Nested too deeply.
    #[error("nested too deeply")]
    TooDeep,
    /// Has a number that is not an integer within 2^53.
    #[error("has a number that is not an integer within 2^53")]
    Number,
    /// JSON of the right shape, but not in its one canonical spelling.
    #[error("not in canonical form (RFC 8785)")]
    Spelling,
}

/// The canonical bytes of a document.
///
/// # Panics
/// When the document holds a floating point number or an integer beyond 2^53, or a map with keys
/// that are not strings: our own types have none.
pub fn to_string<T: Serialize>(document: &T) -> String {
    let value = serde_json::to_value(document).expect("our documents have string keys only");
    let mut text = String::new();
    write(&value, &mut text);
    text
}

/// Reads a document from bytes that must be exactly its canonical form, no longer than `limit`.
pub fn from_bytes<T: Serialize + DeserializeOwned>(bytes: &[u8], limit: usize) -> Result<T, NotCanonical> {
    if bytes.len() > limit {
        return Err(NotCanonical::TooLong {
            length: bytes.len(),
            limit,
        });
    }
    let value: Value = serde_json::from_slice(bytes).map_err(NotCanonical::Malformed)?;
    check(&value, MAX_DEPTH)?;
    let document: T = serde_json::from_value(value).map_err(NotCanonical::Malformed)?;
    // Double keys, white space, escapes and byte order marks all fail to read back as they were written. So does a
    // member that may be left out and is spelt out, or the reverse: of the document, not of the JSON, there is one form.
    if to_string(&document).as_bytes() != bytes {
        return Err(NotCanonical::Spelling);
    }
    Ok(document)
}

fn check(value: &Value, depth: usize) -> Result<(), NotCanonical> {
    let depth = depth.checked_sub(1).ok_or(NotCanonical::TooDeep)?;
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
        Value::Number(number) => match number.as_u64() {
            Some(number) if number <= MAX_INTEGER => Ok(()),
            _ => Err(NotCanonical::Number),
        },
        Value::Array(items) => items.iter().try_for_each(|item| check(item, depth)),
        Value::Object(members) => members.values().try_for_each(|member| check(member, depth)),
    }
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => {
            let integer = number
                .as_u64()
                .filter(|n| *n <= MAX_INTEGER)
                .expect("our documents hold small integers only");
            out.push_str(&integer.to_string());
        }
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push('{');
            for (index, (name, member)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(name, out);
                out.push(':');
                write(member, out);
            }
            out.push('}');
        }
    }
}

/// serde_json escapes exactly as RFC 8785 asks: short escapes where there are some, `\u00xx` for other controls.
fn write_string(text: &str, out: &mut String) {
    out.push_str(&serde_json::to_string(text).expect("a string is always JSON"));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_sorted_by_utf16_and_strings_escaped_as_in_rfc_8785() {
        let text = to_string(&json!({"\u{fb33}": 1, "\u{1f600}": 2, "b": "\u{0}\n\"\\/é", "a": [true, null]}));
        assert_eq!(
            text,
            "{\"a\":[true,null],\"b\":\"\\u0000\\n\\\"\\\\/é\",\"\u{1f600}\":2,\"\u{fb33}\":1}"
        );
    }

    #[test]
    fn every_other_spelling_is_refused() {
        for wrong in [
            r#"{"b":1,"a":2}"#,
            r#"{"a":1,"a":1}"#,
            r#"{"a": 1}"#,
            r#"{"a":1} "#,
            r#"{"a":1.0}"#,
            r#"{"a":1e3}"#,
            r#"{"a":-1}"#,
            r#"{"a":9007199254740993}"#,
            "\u{feff}{\"a\":1}",
            r#"{"a":"\u0041"}"#,
            r#"{"a":1}x"#,
        ] {
            assert!(from_bytes::<Value>(wrong.as_bytes(), 1000).is_err(), "{wrong}");
        }
        assert!(from_bytes::<Value>(br#"{"a":1}"#, 1000).is_ok());
        assert!(matches!(
            from_bytes::<Value>(br#"{"a":1}"#, 3),
            Err(NotCanonical::TooLong { .. })
        ));
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        assert!(matches!(
            from_bytes::<Value>(deep.as_bytes(), 1000),
            Err(NotCanonical::TooDeep)
        ));
    }

    #[test]
    fn a_member_that_may_be_left_out_has_one_spelling_too() {
        #[derive(Debug, Serialize, serde::Deserialize)]
        struct Document {
            nullable: Option<u32>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            optional: Option<u32>,
        }
        let read = |text: &str| from_bytes::<Document>(text.as_bytes(), 1000);
        assert!(read(r#"{"nullable":null}"#).is_ok());
        assert!(read(r#"{"nullable":1,"optional":2}"#).is_ok());
        for wrong in ["{}", r#"{"nullable":null,"optional":null}"#, r#"{"optional":1}"#] {
            assert!(matches!(read(wrong), Err(NotCanonical::Spelling)), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(texts in prop::collection::btree_map(".*", ".*", 0..8), number in 0..MAX_INTEGER) {
            let document = json!({"texts": texts, "number": number});
            let text = to_string(&document);
            prop_assert_eq!(from_bytes::<Value>(text.as_bytes(), 1 << 20).unwrap(), document);
        }

        #[test]
        fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = from_bytes::<Value>(&bytes, 1 << 20);
        }
    }
}
