//! The language of texts for people, from `Accept-Language` (RFC 9110, 12.5.4).

use http::{HeaderMap, header};

/// Languages that user messages exist in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// The default.
    English,
    /// Simplified Chinese.
    Chinese,
}

/// Longest `Accept-Language` that is looked at, bytes.
const MAX_HEADER_LEN: usize = 256;

impl Language {
    /// The language with the highest weight; English when none fits.
    pub fn of(headers: &HeaderMap) -> Self {
        let text = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let Some(text) = text.filter(|text| text.len() <= MAX_HEADER_LEN) else {
            return Self::English;
        };
        let mut best = (0.0, Self::English);
        for range in text.split(',') {
            let (tag, weight) = weighted(range);
            let Some(language) = Self::from_tag(tag) else { continue };
            if weight > best.0 {
                best = (weight, language);
            }
        }
        best.1
    }

    /// BCP 47 tag.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-CN",
        }
    }

    fn from_tag(tag: &str) -> Option<Self> {
        let primary = tag.split('-').next()?;
        if primary.eq_ignore_ascii_case("zh") {
            Some(Self::Chinese)
        } else if primary.eq_ignore_ascii_case("en") || primary == "*" {
            Some(Self::English)
        } else {
            None
        }
    }
}

fn weighted(range: &str) -> (&str, f32) {
    let mut parts = range.split(';');
    let tag = parts.next().unwrap_or_default().trim();
    let weight = parts
        .find_map(|part| part.trim().strip_prefix("q="))
        .map_or(1.0, |weight| weight.trim().parse().unwrap_or(0.0));
    (tag, weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weightiest_known_language_wins_and_english_is_the_default() {
        let cases = [
            ("", Language::English),
            ("zh-CN,zh;q=0.9,en;q=0.8", Language::Chinese),
            ("en;q=0.8, zh-TW;q=0.9", Language::Chinese),
            ("de-DE,de;q=0.9,en;q=0.5", Language::English),
            ("fr, zh;q=0", Language::English),
            ("zh;q=x", Language::English),
            ("*", Language::English),
            ("ZH-hans", Language::Chinese),
        ];
        for (text, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, text.parse().unwrap());
            assert_eq!(Language::of(&headers), expected, "{text}");
        }
    }
}
