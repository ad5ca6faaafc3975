//! Attestations: somebody affirms that others agree, where the server cannot ask them itself.
//!
//! A feature that needs one calls [`ControlPlane::require_attestation`]; its refusal names the kind and
//! the object, so that a client can show the text and come back.

use aws_lc_rs::digest::{SHA256, digest};

use crate::ControlPlane;
use crate::error::Inner;
use crate::limits::{ATTESTATIONS, ATTESTED_CHARS, PAGE};
use crate::storage::model::{Attestation, Charge, NewAttestation, RetryAfter, Session};

/// What is affirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttestationKind {
    /// The persons who are filmed agree.
    Others,
    /// A guardian has authorised that a child's data is processed.
    Guardian,
}

/// The text that is affirmed.
#[derive(Clone, Copy, Debug)]
pub struct AttestationText {
    /// Kind.
    pub kind: AttestationKind,
    /// Version; rises with each change of the text.
    pub version: u32,
    /// Text, English.
    pub en: &'static str,
    /// Text, Chinese.
    pub zh: &'static str,
}

/// The texts in force.
pub const TEXTS: &[AttestationText] = &[
    AttestationText {
        kind: AttestationKind::Others,
        version: 1,
        en: "The persons who can be seen or heard in what I share or export know of it and agree.",
        zh: "我所分享或导出的内容中可被看到或听到的人均已知情并同意。",
    },
    AttestationText {
        kind: AttestationKind::Guardian,
        version: 1,
        en: "What I submit concerns a child under 14, and I am the guardian or have the guardian's \
             authorisation to submit it.",
        zh: "我提交的信息涉及未满十四周岁的儿童，我是其监护人或已获得监护人的授权。",
    },
];

impl AttestationKind {
    /// Stored form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Others => "others",
            Self::Guardian => "guardian",
        }
    }

    /// The text in force.
    pub fn text(self) -> &'static AttestationText {
        TEXTS.iter().find(|text| text.kind == self).expect("each kind has a text")
    }
}

impl AttestationText {
    /// Hash over both languages, kept with each attestation: what was affirmed can be shown later.
    pub fn sha256(&self) -> [u8; 32] {
        let text = [self.en, "\n", self.zh].concat();
        digest(&SHA256, text.as_bytes()).as_ref().try_into().expect("SHA-256 has 32 bytes")
    }
}

/// Why an attestation is not taken, or why one is asked for.
#[derive(Debug, thiserror::Error)]
pub enum AttestationError {
    /// Another text is in force.
    #[error("the text has another version now; read its present version first")]
    OtherVersion,
    /// Not the name of a thing.
    #[error("the object is 1 to 96 letters, digits, -, _, . or :")]
    BadObject,
    /// There is none of the present text about this object.
    #[error("affirm first that others agree")]
    Missing {
        /// What is to be affirmed.
        kind: AttestationKind,
        /// What about.
        object: String,
    },
    /// Too many.
    #[error("too many attestations; try again later")]
    Limited(RetryAfter),
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

impl ControlPlane {
    /// Keeps an attestation of whoever is signed in. Returns its position.
    ///
    /// # Errors
    /// See [`AttestationError`].
    pub async fn attest(
        &self,
        session: &Session,
        kind: AttestationKind,
        object: &str,
        version: u32,
    ) -> Result<u64, AttestationError> {
        let text = kind.text();
        if version != text.version {
            return Err(AttestationError::OtherVersion);
        }
        if !names_something(object) {
            return Err(AttestationError::BadObject);
        }
        let charge = Charge {
            dimension: "attestation",
            key: self.vault().lookup("account", session.account.as_str()),
            windows: ATTESTATIONS.to_vec(),
        };
        let charged = self.store().charge(&[charge], self.now()).await.map_err(Inner::from)?;
        charged.map_err(AttestationError::Limited)?;
        let new = NewAttestation {
            account: session.account.clone(),
            subject: session.subject.clone(),
            kind: kind.as_str(),
            object: object.to_owned(),
            version,
            text_sha256: text.sha256(),
            terminal: session.terminal.clone(),
        };
        Ok(self.store().attest(&new, self.now()).await.map_err(Inner::from)?)
    }

    /// Attestations of the account, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn attestations(
        &self,
        session: &Session,
        before: Option<u64>,
    ) -> Result<Vec<Attestation>, Inner> {
        Ok(self.store().attestations(&session.account, before, PAGE).await?)
    }

    /// Lets a feature go on only if the account has affirmed the present text about this object.
    /// Returns the position of the attestation.
    ///
    /// # Errors
    /// See [`AttestationError`].
    pub async fn require_attestation(
        &self,
        session: &Session,
        kind: AttestationKind,
        object: &str,
    ) -> Result<u64, AttestationError> {
        let found = self.store().attested(&session.account, kind.as_str(), object).await;
        let text = kind.text();
        match found.map_err(Inner::from)? {
            Some(held) if held.version == text.version && held.text_sha256 == text.sha256() => {
                Ok(held.seq)
            }
            _ => Err(AttestationError::Missing { kind, object: object.to_owned() }),
        }
    }
}

/// A serial, an id or `kind:id`: nothing that could carry a name or a sentence.
fn names_something(object: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
    (1..=ATTESTED_CHARS).contains(&object.len()) && object.bytes().all(plain)
}
