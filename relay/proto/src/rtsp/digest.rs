//! HTTP Digest (RFC 7616, and the form without `qop` of RFC 2069 that cameras speak).

use aws_lc_rs::digest as sha;
use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq as _;

/// Longest field taken from a header, bytes.
const MAX_FIELD: usize = 2048;

/// Hash of a challenge or an answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Algorithm {
    /// MD5, which every camera and player knows.
    Md5,
    /// SHA-256 (RFC 7616).
    Sha256,
}

impl Algorithm {
    /// Lower-case hex of the hash of `parts` joined by colons.
    fn hash(self, parts: &[&str]) -> String {
        let text = parts.join(":");
        match self {
            Self::Md5 => hex(&Md5::digest(text.as_bytes())),
            Self::Sha256 => hex(sha::digest(&sha::SHA256, text.as_bytes()).as_ref()),
        }
    }

    /// The stored form of a password: `H(user:realm:password)` in lower-case hex.
    pub fn ha1(self, user: &str, realm: &str, password: &str) -> String {
        self.hash(&[user, realm, password])
    }

    /// Name in headers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// What a login is checked against: `H(user:realm:password)` for each hash. Never printed.
#[derive(Clone)]
pub struct Secret {
    md5: String,
    sha256: String,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

impl Secret {
    /// From stored hex forms.
    pub fn from_ha1(md5: &str, sha256: &str) -> Self {
        Self { md5: md5.to_ascii_lowercase(), sha256: sha256.to_ascii_lowercase() }
    }

    /// From the password.
    pub fn from_password(user: &str, realm: &str, password: &str) -> Self {
        let ha1 = |algorithm: Algorithm| algorithm.ha1(user, realm, password);
        Self { md5: ha1(Algorithm::Md5), sha256: ha1(Algorithm::Sha256) }
    }

    fn ha1(&self, algorithm: Algorithm) -> &str {
        match algorithm {
            Algorithm::Md5 => &self.md5,
            Algorithm::Sha256 => &self.sha256,
        }
    }
}

/// A client's `Authorization: Digest`.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorization {
    /// Who.
    pub username: String,
    /// Of our challenge.
    pub realm: String,
    /// Of our challenge.
    pub nonce: String,
    /// The client's idea of the request's URI; hashed as it stands.
    pub uri: String,
    response: String,
    algorithm: Algorithm,
    session_variant: bool,
    qop: Option<String>,
    nc: String,
    cnonce: String,
}

impl std::fmt::Debug for Authorization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authorization([redacted])")
    }
}

impl Authorization {
    /// Parses a header value; `None` if it is no Digest or lacks a field.
    pub fn parse(header: &str) -> Option<Self> {
        let fields = Fields::parse(header)?;
        let (algorithm, session_variant) = algorithm(fields.get("algorithm"))?;
        let qop = fields.get("qop").map(str::to_ascii_lowercase);
        if qop.as_deref().is_some_and(|qop| qop != "auth") {
            return None;
        }
        let owned = |name| fields.get(name).map(str::to_owned);
        Some(Self {
            username: owned("username")?,
            realm: owned("realm")?,
            nonce: owned("nonce")?,
            uri: owned("uri")?,
            response: owned("response")?.to_ascii_lowercase(),
            algorithm,
            session_variant,
            qop,
            nc: owned("nc").unwrap_or_default(),
            cnonce: owned("cnonce").unwrap_or_default(),
        })
    }

    /// Whether the answer was made with `secret` for this method. Constant time in the secret.
    pub fn verify(&self, secret: &Secret, method: &str) -> bool {
        let expected = response(secret, method, self);
        expected.as_bytes().ct_eq(self.response.as_bytes()).into()
    }
}

fn algorithm(name: Option<&str>) -> Option<(Algorithm, bool)> {
    let known = [
        ("MD5", Algorithm::Md5, false),
        ("SHA-256", Algorithm::Sha256, false),
        ("MD5-sess", Algorithm::Md5, true),
        ("SHA-256-sess", Algorithm::Sha256, true),
    ];
    let name = name.unwrap_or("MD5");
    let found = known.into_iter().find(|(text, ..)| text.eq_ignore_ascii_case(name));
    found.map(|(_, algorithm, session)| (algorithm, session))
}

fn response(secret: &Secret, method: &str, auth: &Authorization) -> String {
    let hash = auth.algorithm;
    let stored = secret.ha1(hash);
    let session = auth.session_variant.then(|| hash.hash(&[stored, &auth.nonce, &auth.cnonce]));
    let ha1 = session.as_deref().unwrap_or(stored);
    let ha2 = hash.hash(&[method, &auth.uri]);
    match &auth.qop {
        Some(qop) => hash.hash(&[ha1, &auth.nonce, &auth.nc, &auth.cnonce, qop, &ha2]),
        None => hash.hash(&[ha1, &auth.nonce, &ha2]),
    }
}

/// A server's challenge, for the client's side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Challenge {
    /// Protection space.
    pub realm: String,
    /// To be sent back.
    pub nonce: String,
    /// Hash.
    pub algorithm: Algorithm,
    /// Whether `qop=auth` is offered.
    pub qop: bool,
    /// The last nonce was merely too old.
    pub stale: bool,
}

impl Challenge {
    /// Parses one `WWW-Authenticate` value; `None` if it is no Digest that we can answer.
    pub fn parse(header: &str) -> Option<Self> {
        let fields = Fields::parse(header)?;
        let (algorithm, false) = algorithm(fields.get("algorithm"))? else { return None };
        let offers = |qop: &str| qop.split(',').any(|one| one.trim().eq_ignore_ascii_case("auth"));
        Some(Self {
            realm: fields.get("realm")?.to_owned(),
            nonce: fields.get("nonce")?.to_owned(),
            algorithm,
            qop: fields.get("qop").is_some_and(offers),
            stale: fields.get("stale").is_some_and(|value| value.eq_ignore_ascii_case("true")),
        })
    }

    /// The value of an `Authorization` header. `cnonce` and `count` (from 1) matter with `qop` only.
    pub fn answer(
        &self,
        user: &str,
        password: &str,
        method: &str,
        uri: &str,
        (cnonce, count): (&str, u32),
    ) -> String {
        let mut auth = Authorization {
            username: user.to_owned(),
            realm: self.realm.clone(),
            nonce: self.nonce.clone(),
            uri: uri.to_owned(),
            response: String::new(),
            algorithm: self.algorithm,
            session_variant: false,
            qop: self.qop.then(|| "auth".to_owned()),
            nc: format!("{count:08x}"),
            cnonce: cnonce.to_owned(),
        };
        let secret = Secret::from_password(user, &self.realm, password);
        auth.response = response(&secret, method, &auth);
        let mut out = format!(
            "Digest username=\"{user}\", realm=\"{}\", nonce=\"{}\", uri=\"{uri}\", response=\"{}\"",
            auth.realm, auth.nonce, auth.response
        );
        if self.algorithm != Algorithm::Md5 {
            out += &format!(", algorithm={}", self.algorithm.name());
        }
        if self.qop {
            out += &format!(", qop=auth, nc={}, cnonce=\"{cnonce}\"", auth.nc);
        }
        out
    }
}

/// `name=value` and `name="value"` pairs behind `Digest`.
struct Fields(Vec<(String, String)>);

impl Fields {
    fn parse(header: &str) -> Option<Self> {
        let (scheme, mut rest) = header.trim_start().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let mut fields = Vec::new();
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            if rest.is_empty() {
                return Some(Self(fields));
            }
            let (name, after) = rest.split_once('=')?;
            let (value, after) = value(after.trim_start())?;
            if value.len() > MAX_FIELD || fields.len() == 16 {
                return None;
            }
            fields.push((name.trim().to_ascii_lowercase(), value));
            rest = after;
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// One value and what follows it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut out = String::new();
    let mut escaped = false;
    for (at, c) in quoted.char_indices() {
        match c {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return Some((out, &quoted[at + 1..])),
            _ => {
                out.push(c);
                escaped = false;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const RFC7616: &str = "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", \
        uri=\"/dir/index.html\", nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
        nc=00000001, cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth";

    fn mufasa() -> Secret {
        Secret::from_password("Mufasa", "http-auth@example.org", "Circle of Life")
    }

    #[test]
    fn the_examples_of_rfc_7616_hold() {
        let answers = [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ];
        for (algorithm, response) in answers {
            let header = format!("{RFC7616}, algorithm={algorithm}, response=\"{response}\"");
            let auth = Authorization::parse(&header).unwrap();
            assert!(auth.verify(&mufasa(), "GET"));
            assert!(!auth.verify(&mufasa(), "PUT"));
            assert!(!auth.verify(&Secret::from_password("Mufasa", "x", "Circle of Life"), "GET"));
        }
    }

    #[test]
    fn the_example_of_rfc_2617_without_qop_holds() {
        // H(H(Mufasa:testrealm@host.com:Circle Of Life):nonce:H(GET:/dir/index.html)), RFC 2069 form.
        let secret = Secret::from_password("Mufasa", "testrealm@host.com", "Circle Of Life");
        let header = "Digest username=\"Mufasa\",realm=\"testrealm@host.com\",\
            nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\",uri=\"/dir/index.html\",\
            response=\"670fd8c2df070c60b045671b8b24ff02\"";
        assert!(Authorization::parse(header).unwrap().verify(&secret, "GET"));
    }

    #[test]
    fn every_kind_of_challenge_is_answered_so_that_the_server_takes_it() {
        for (algorithm, qop) in [
            ("MD5", ""),
            ("SHA-256", ""),
            ("MD5", ", qop=\"auth,auth-int\""),
            ("SHA-256", ", qop=\"auth\""),
        ] {
            let header = format!("Digest realm=\"r\", nonce=\"n\", algorithm={algorithm}{qop}");
            let challenge = Challenge::parse(&header).unwrap();
            let answer = challenge.answer("u", "p\"q", "PLAY", "rtsp://h/p", ("c", 1));
            let auth = Authorization::parse(&answer).unwrap();
            assert!(auth.verify(&Secret::from_password("u", "r", "p\"q"), "PLAY"));
            assert!(!auth.verify(&Secret::from_password("u", "r", "p"), "PLAY"));
        }
    }

    #[test]
    fn a_session_variant_is_checked_with_its_own_secret() {
        let base = Algorithm::Md5.hash(&["u", "r", "p"]);
        let ha1 = Algorithm::Md5.hash(&[&base, "n", "c"]);
        let ha2 = Algorithm::Md5.hash(&["PLAY", "/x"]);
        let response = Algorithm::Md5.hash(&[&ha1, "n", "00000001", "c", "auth", &ha2]);
        let header = format!(
            "Digest username=\"u\", realm=\"r\", nonce=\"n\", uri=\"/x\", algorithm=MD5-sess, \
             qop=auth, nc=00000001, cnonce=\"c\", response=\"{response}\""
        );
        let auth = Authorization::parse(&header).unwrap();
        assert!(auth.verify(&Secret::from_password("u", "r", "p"), "PLAY"));
    }

    #[test]
    fn other_schemes_and_torn_headers_are_refused() {
        for header in ["", "Basic dTpw", "Digest", "Digest username=\"u", "Digest realm=r, x"] {
            assert!(Authorization::parse(header).is_none(), "{header}");
        }
        for len in 0..RFC7616.len() {
            let _ = Authorization::parse(&RFC7616[..len]);
        }
    }

    #[test]
    fn secrets_never_print() {
        assert_eq!(format!("{:?}", mufasa()), "Secret([redacted])");
    }
}
