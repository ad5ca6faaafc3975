//! The file in which an operator writes a policy of a product, and what may stand in it.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sightline_operation::strict_json;

use super::{GENERAL, PolicyError};
use crate::consent::{PURPOSES, Purpose};
use crate::limits::{
    MAX_NAME_CHARS, POLICY_FILE_BYTES, POLICY_ID_CHARS, POLICY_RETENTION_CHARS, POLICY_TEXT_CHARS,
};
use crate::storage::model::ProductPolicy;

/// Reads and checks one.
pub(super) fn read(text: &[u8]) -> Result<ProductPolicy, PolicyError> {
    if text.len() > POLICY_FILE_BYTES {
        let most = format!("it is longer than {POLICY_FILE_BYTES} bytes");
        return Err(PolicyError::Unreadable(most));
    }
    let value: Value = strict_json::from_slice(text)
        .map_err(|error| PolicyError::Unreadable(error.to_string()))?;
    let Value::Object(mut members) = value else {
        return Err(PolicyError::Unreadable("it is no object".into()));
    };
    let members = &mut members;
    let purpose = purpose(&needed::<String>(members, "purpose")?)?;
    let policy = ProductPolicy {
        id: id(needed(members, "id")?)?,
        product: product(&needed::<String>(members, "product")?)?,
        purpose: purpose.id.to_owned(),
        version: version(needed(members, "version")?)?,
        optional: optional(purpose, taken(members, "optional")?)?,
        fields: fields(purpose, taken(members, "fields")?)?,
        retention: retention(taken(members, "retention")?)?,
        text: texts(members)?,
    };
    match members.keys().next() {
        Some(other) => Err(PolicyError::key(other, "a policy has no such key")),
        None => Ok(policy),
    }
}

fn taken<T: DeserializeOwned>(
    members: &mut Map<String, Value>,
    key: &str,
) -> Result<Option<T>, PolicyError> {
    let Some(value) = members.remove(key) else { return Ok(None) };
    serde_json::from_value(value).map(Some).map_err(|error| PolicyError::key(key, error))
}

fn needed<T: DeserializeOwned>(
    members: &mut Map<String, Value>,
    key: &str,
) -> Result<T, PolicyError> {
    taken(members, key)?.ok_or_else(|| PolicyError::key(key, "it is missing"))
}

fn id(id: String) -> Result<String, PolicyError> {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    if id == GENERAL {
        return Err(PolicyError::key("id", "that is the catalogue's own"));
    }
    if (1..=POLICY_ID_CHARS).contains(&id.len()) && id.bytes().all(plain) {
        return Ok(id);
    }
    Err(PolicyError::key(
        "id",
        "it has 1 to 64 small letters, digits, hyphens, dots or underscores",
    ))
}

fn product(product: &str) -> Result<String, PolicyError> {
    let product = product.trim();
    let fits = (1..=MAX_NAME_CHARS).contains(&product.chars().count());
    if fits && !product.chars().any(char::is_control) {
        return Ok(product.to_owned());
    }
    Err(PolicyError::key("product", "it is what a client calls itself, in 1 to 64 characters"))
}

fn purpose(id: &str) -> Result<&'static Purpose, PolicyError> {
    let found = PURPOSES.iter().find(|purpose| purpose.id == id);
    found.ok_or_else(|| PolicyError::key("purpose", "the catalogue has no such purpose"))
}

fn version(version: u32) -> Result<u32, PolicyError> {
    // What every reader of JSON and the database hold exactly, and never zero.
    let fits = version > 0 && i32::try_from(version).is_ok();
    fits.then_some(version).ok_or_else(|| PolicyError::key("version", "it begins at 1"))
}

/// Whether something may be refused is up to what the service can do without, and it does not differ
/// between products.
fn optional(purpose: &Purpose, optional: Option<bool>) -> Result<Option<bool>, PolicyError> {
    let reason = match (purpose.optional, optional) {
        (true, Some(false)) => "what may be refused in general may be refused for each product",
        (false, Some(true)) => "the service cannot do without it, whatever the product",
        _ => return Ok(optional),
    };
    Err(PolicyError::key("optional", reason))
}

fn fields(
    purpose: &Purpose,
    fields: Option<Vec<String>>,
) -> Result<Option<Vec<String>>, PolicyError> {
    let Some(fields) = fields else { return Ok(None) };
    for (at, field) in fields.iter().enumerate() {
        let key = format!("fields[{at}]");
        if !purpose.fields.contains(&field.as_str()) {
            let known = purpose.fields.join(", ");
            return Err(PolicyError::key(&key, format!("the purpose covers no more than {known}")));
        }
        if fields[..at].contains(field) {
            return Err(PolicyError::key(&key, "it stands there twice"));
        }
    }
    Ok(Some(fields))
}

fn retention(retention: Option<String>) -> Result<Option<String>, PolicyError> {
    retention.map(|text| worded("retention", &text, POLICY_RETENTION_CHARS)).transpose()
}

/// Both languages, or neither.
fn texts(members: &mut Map<String, Value>) -> Result<Option<(String, String)>, PolicyError> {
    let Some(mut texts) = taken::<Map<String, Value>>(members, "text")? else { return Ok(None) };
    let mut language = |language: &str| {
        let key = format!("text.{language}");
        let text = texts.remove(language).ok_or_else(|| PolicyError::key(&key, "it is missing"))?;
        let text: String =
            serde_json::from_value(text).map_err(|error| PolicyError::key(&key, error))?;
        worded(&key, &text, POLICY_TEXT_CHARS)
    };
    let both = (language("en")?, language("zh")?);
    match texts.keys().next() {
        Some(other) => Err(PolicyError::key(&format!("text.{other}"), "texts are en and zh")),
        None => Ok(Some(both)),
    }
}

fn worded(key: &str, text: &str, most: usize) -> Result<String, PolicyError> {
    let text = text.trim();
    if (1..=most).contains(&text.chars().count()) && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    let reason = format!("it has 1 to {most} characters and no line breaks");
    Err(PolicyError::key(key, reason))
}
