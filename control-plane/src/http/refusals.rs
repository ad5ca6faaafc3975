//! The problems that each error turns into; `problem.rs` has the turning.

use sightline_operation::{Refusals, Refused, refused};

use super::account_problems::CONSENT_REQUIRED;
use crate::binding::BindError;
use crate::consent::ConsentError;
use crate::credential::PasswordError;
use crate::device::DeviceError;
use crate::device_facts::FactError;
use crate::error::Inner;
use crate::gate::Refusal;
use crate::introduction::IntroductionError;
use crate::key::KeyError;
use crate::mailbox::{GenerationError, ListError, OrderError};
use crate::otp::OtpError;
use crate::session::{RefreshError, SignInError};

pub(super) const NOT_BOUND: Refused =
    refused(404, "device-not-bound", "No such device on this account, or none at all");
const KEY_REQUIRED: Refused = refused(
    403,
    "device-key-required",
    "Ask for a key challenge, sign it with the device key, send the proof",
);
const KEY_MISSING: Refused =
    refused(409, "device-key-missing", "The camera has not stored its key yet; wait for it");
const OPEN: Refused = refused(409, "device-open", "The device does not seal");
pub(super) const LIMITED: Refused =
    refused(429, "rate-limited", "Too many requests or tries; wait as Retry-After says");

/// Errors with their own problems, and other errors inside them.
macro_rules! refusals {
    ($($error:ty: [$($own:expr),* $(,)?] + [$($inner:ty),* $(,)?];)+) => {
        $(impl Refusals for $error {
            fn refusals() -> Vec<Refused> {
                #[allow(unused_mut, reason = "an error may have nothing inside")]
                let mut all = vec![$($own),*];
                $(all.extend(<$inner>::refusals());)*
                all
            }
        })+
    };
}

refusals! {
    Inner: [refused(503, "unavailable", "The service cannot do this now; try again after Retry-After")] + [];
    OtpError: [
        refused(400, "bad-number", "Neither a phone number nor a mail address"),
        refused(422, "country-not-served", "No messages go to numbers of this country"),
        refused(403, "code-invalid", "Wrong, used or outdated code; ask for another one"),
        refused(403, "second-factor-required", "Too many wrong tries by strangers; add the password"),
        refused(403, "identifier-held", "The number or address came to the account too recently"),
        NOT_BOUND,
        LIMITED,
    ] + [Inner];
    ConsentError: [
        refused(404, "purpose-unknown", "No such purpose to decide on"),
        refused(409, "purpose-changed", "The purpose has another version; read its text first"),
        refused(404, "not-granted", "There is no consent to withdraw"),
        CONSENT_REQUIRED,
    ] + [Inner];
    SignInError: [
        refused(400, "bad-terminal", "A terminal has a name and a known kind of client"),
        refused(403, "account-idle", "Long unused; add the password, or use another identifier"),
    ] + [OtpError, ConsentError, PasswordError];
    RefreshError: [
        refused(401, "login-required", "No login, or it has ended; sign in"),
    ] + [Inner];
    BindError: [
        refused(403, "binding-refused", "Serial and code do not match"),
        KEY_REQUIRED,
        refused(409, "device-taken", "The device has an owner, who must unbind it first"),
        CONSENT_REQUIRED,
        LIMITED,
    ] + [Inner];
    KeyError: [
        NOT_BOUND,
        KEY_MISSING,
        refused(403, "device-key-invalid", "The signature is not by the device key, or too late"),
        LIMITED,
    ] + [Inner];
    DeviceError: [
        refused(401, "device-unknown", "No device has this identity key"),
        refused(409, "binding-epoch-stale", "The device was bound anew meanwhile; poll first"),
        refused(400, "bad-verifier", "Not an Ed25519 public key"),
    ] + [Inner];
    Refusal: [
        refused(401, "login-required", "No login, or it has ended; sign in"),
        refused(401, "wrong-terminal", "The login belongs to another terminal's key"),
        NOT_BOUND,
        refused(403, "share-closed", "The device is shared with the account at other hours"),
        refused(403, "scope-required", "The owner has not shared this with the account"),
        KEY_REQUIRED,
        refused(403, "sms-required", "Open the viewing window with a code first"),
        CONSENT_REQUIRED,
    ] + [Inner];
    ListError: [
        NOT_BOUND,
        OPEN,
        KEY_MISSING,
        refused(409, "list-other-binding", "The list is for another binding"),
        refused(409, "list-not-newer", "A list that is as new is in force"),
        refused(422, "list-invalid", "Not a list, or not signed with the device key"),
        LIMITED,
    ] + [DeviceError];
    IntroductionError: [
        refused(404, "introduction-unknown", "No such introduction, or it has ended"),
        refused(409, "introduction-out-of-turn", "It is not this side's turn"),
        refused(422, "introduction-invalid", "The message has a wrong length"),
        refused(409, "introductions-full", "Too many open introductions; end one"),
        LIMITED,
    ] + [Inner];
    GenerationError: [
        NOT_BOUND,
        refused(404, "generation-unknown", "No such generation of this binding"),
        refused(409, "generation-other-binding", "The generation is for another binding"),
        refused(409, "generation-not-newer", "A generation that is as new is stored"),
        refused(409, "wrap-exists", "The camera wrapped it for this terminal"),
        refused(409, "wraps-full", "The generation has as many wraps as it can"),
        refused(422, "generation-invalid", "Not a generation, or not signed by the camera"),
        refused(422, "wrap-invalid", "Not a wrap"),
    ] + [DeviceError];
    OrderError: [
        OPEN,
        refused(409, "order-other-binding", "The order is for another binding"),
        refused(409, "order-not-newer", "An order that is as new is in force"),
        refused(422, "order-invalid", "Not an order, or not signed with the device key"),
        LIMITED,
    ] + [Refusal, ListError, FactError];
}
