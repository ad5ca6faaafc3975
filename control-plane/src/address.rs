//! Where codes go: a phone number or an e-mail address.

use crate::email::Email;
use crate::phone::Phone;
use crate::storage::model::IdentifierKind;
use crate::vault::Vault;

/// A phone number or an e-mail address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Reached by SMS.
    Phone(Phone),
    /// Reached by mail.
    Email(Email),
}

impl Address {
    /// Takes `+` and digits for a number, `name@host` for a mail address.
    pub fn parse(text: &str) -> Option<Self> {
        if text.contains('@') {
            return Email::parse(text).map(Self::Email);
        }
        Phone::parse(text).map(Self::Phone)
    }

    /// Which of the two.
    pub fn kind(&self) -> IdentifierKind {
        match self {
            Self::Phone(_) => IdentifierKind::Phone,
            Self::Email(_) => IdentifierKind::Email,
        }
    }

    /// The text form. Each call is a place to check by eye.
    pub fn expose(&self) -> &str {
        match self {
            Self::Phone(phone) => phone.expose(),
            Self::Email(email) => email.expose(),
        }
    }

    /// What its owner may see of it.
    pub fn masked(&self) -> String {
        match self {
            Self::Phone(phone) => phone.masked(),
            Self::Email(email) => email.masked(),
        }
    }

    /// Keyed hash by which it is found.
    pub(crate) fn lookup(&self, vault: &Vault) -> Vec<u8> {
        match self {
            Self::Phone(phone) => vault.lookup("phone", phone.expose()),
            Self::Email(email) => vault.lookup("email", &email.canonical()),
        }
    }
}
