//! What owner and guest say about the persons whom a camera films. The policy wants it before
//! pictures of others are shared; that it was said, by whom and to which text is kept for good.

use aws_lc_rs::digest::{Context, SHA256};

use crate::storage::model::{Attested, Session};

/// A text that is agreed to.
#[derive(Clone, Copy, Debug)]
pub struct AttestationText {
    /// Rises with each change of the text.
    pub version: u32,
    /// English.
    pub en: &'static str,
    /// Chinese.
    pub zh: &'static str,
}

/// What an owner says when inviting.
pub const OWNER: AttestationText = AttestationText {
    version: 1,
    en: "The persons whom this camera films know that I share its pictures and sound, and agree, or \
         those who have the care of them do.",
    zh: "本摄像机所拍摄的人员知悉并同意我分享其画面和声音；未成年人等由其监护人同意。",
};

/// What a guest says when accepting.
pub const GUEST: AttestationText = AttestationText {
    version: 1,
    en: "I watch for the purpose that the owner shares it for, and pass no pictures or sound of the \
         persons filmed on without their consent.",
    zh: "我仅为分享者的目的观看，未经被拍摄人员同意，不会转发其画面或声音。",
};

impl AttestationText {
    /// SHA-256 of version and text in both languages.
    pub fn hash(&self) -> Vec<u8> {
        let mut hash = Context::new(&SHA256);
        for part in [&self.version.to_string(), self.en, self.zh] {
            hash.update(part.as_bytes());
            hash.update(&[0]);
        }
        hash.finish().as_ref().to_vec()
    }

    /// That a login agreed to it.
    pub(crate) fn by(&self, session: &Session) -> Attested {
        Attested {
            subject: session.subject.clone(),
            terminal: session.terminal.clone(),
            version: self.version,
            text_hash: self.hash(),
        }
    }
}
