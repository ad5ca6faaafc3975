//! Purposes, and what people decided about them.

pub mod chain;
mod devices;

use crate::ControlPlane;
use crate::error::Inner;
use crate::storage::model::{ConsentAct, ConsentState, Session};
use sightline_grant::Revocation;

pub use devices::{
    DEVICE_BIND, DEVICE_HARDWARE, DEVICE_LOCATION, DEVICE_PROVISION, DEVICE_PROVISION_BLE,
};

/// A purpose for which personal data is processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purpose {
    /// Stable id.
    pub id: &'static str,
    /// Version of the text.
    pub version: u32,
    /// Whether a person may refuse it and keep the account in full. Who withdraws the other kind
    /// keeps it in basic mode.
    pub optional: bool,
    /// Data that it covers.
    pub fields: &'static [&'static str],
    /// How long the data is kept.
    pub retention: &'static str,
    /// Text, English.
    pub en: &'static str,
    /// Text, Chinese.
    pub zh: &'static str,
}

/// Watching live and recorded video.
pub const MEDIA_VIEW: Purpose = Purpose {
    id: "media.view",
    version: 1,
    optional: true,
    fields: &["serial", "channel", "network", "client", "screen"],
    retention: "network, client and screen: 7 days",
    en: "To show you the video of your cameras, we process the camera's serial and channel, and \
         facts about your network, client and screen. If you refuse, only viewing is off.",
    zh: "为向您展示摄像机视频，我们会处理摄像机序列号、通道以及您的网络、客户端和屏幕信息。\
         如您拒绝，仅视频查看功能不可用。",
};

/// Being the guest of somebody's camera.
pub const DEVICE_SHARED: Purpose = Purpose {
    id: "device.shared",
    version: 1,
    optional: true,
    fields: &["phone", "serial", "terminal"],
    retention: "until the share ends",
    en: "To let you use a camera that somebody shares with you, we tell its owner that you accepted, \
         the first and last digits of your phone number, your account's id, and which of your terminals \
         you have it opened on. If you withdraw, all that is shared with you ends.",
    zh: "为使您能够使用他人分享的摄像机，我们会告知其主人您已接受分享，以及您手机号码的首尾数字、账号标识和\
         您用于观看的终端。如您撤回同意，他人分享给您的全部设备将停止分享。",
};

/// Having an account at all. Part of the contract; ends with the account.
pub const ACCOUNT: Purpose = Purpose {
    id: "account",
    version: 1,
    optional: false,
    fields: &["phone", "terminal"],
    retention: "until the account is deleted",
    en: "To give you an account, we process your phone number and the terminals you sign in on.",
    zh: "为向您提供账号，我们会处理您的手机号码以及您登录的终端信息。",
};

/// What a person may add to the account.
pub const PROFILE: Purpose = Purpose {
    id: "profile",
    version: 1,
    optional: true,
    fields: &["nickname", "avatar", "region", "scenario"],
    retention: "until you delete it, withdraw this consent or delete the account",
    en: "To call you by a name, show your picture, and suggest settings and help that fit your \
         region and what you use cameras for, we keep what you enter in your profile. If you \
         refuse, there is no profile; everything else works.",
    zh: "为显示您的昵称和头像，并根据您所在地区和使用场景推荐设置与帮助，我们会保存您填写的资料。\
         如您拒绝，仅无个人资料，其他功能不受影响。",
};

/// Recognising a terminal, and offering it new versions of its client.
pub const TERMINAL_SECURITY: Purpose = Purpose {
    id: "terminal.security",
    version: 1,
    optional: true,
    fields: &[
        "client_type",
        "client_version",
        "model",
        "os",
        "os_language",
        "access_mode",
        "operator",
    ],
    retention: "90 days after the terminal last gave them",
    en: "So that you can recognise your terminals and they can be kept up to date, we keep the \
         version of the app, the terminal's model and system, its language, kind of network and \
         operator. We never ask for installed packages, running programs, the SIM card or a \
         hardware id. If you refuse, only hints about this terminal and its updates are missing.",
    zh: "为便于您识别登录终端并保持应用更新，我们会保存应用版本、终端型号与系统、语言、网络类型和\
         运营商。我们不收集应用列表、进程列表、SIM 卡状态或硬件标识。如您拒绝，仅无终端信息和更新提示。",
};

/// The catalogue.
pub const PURPOSES: &[Purpose] = &[
    ACCOUNT,
    MEDIA_VIEW,
    DEVICE_SHARED,
    DEVICE_BIND,
    DEVICE_PROVISION,
    DEVICE_PROVISION_BLE,
    DEVICE_LOCATION,
    DEVICE_HARDWARE,
    PROFILE,
    TERMINAL_SECURITY,
];

/// Why a decision is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ConsentError {
    /// Not in the catalogue, or not to be decided on.
    #[error("there is no such purpose to decide on")]
    UnknownPurpose,
    /// The text has changed since.
    #[error("the purpose has another version now; read its present text first")]
    OtherVersion,
    /// There is no consent to withdraw.
    #[error("there is no consent to this purpose")]
    NotGranted,
    /// The policy as a whole was withdrawn.
    #[error("agree to having an account first; then decide on the rest")]
    PolicyRequired,
    /// See [`Inner`].
    #[error(transparent)]
    Inner(#[from] Inner),
}

impl ControlPlane {
    /// A purpose of the catalogue.
    pub(crate) fn purpose(id: &str) -> Result<&'static Purpose, ConsentError> {
        PURPOSES.iter().find(|purpose| purpose.id == id).ok_or(ConsentError::UnknownPurpose)
    }

    /// Records a consent to what is in force for the product that the person uses. Returns the number
    /// of the event.
    ///
    /// # Errors
    /// See [`ConsentError`].
    pub async fn grant_consent(
        &self,
        session: &Session,
        id: &str,
        version: u32,
    ) -> Result<u64, ConsentError> {
        let purpose = Self::purpose(id)?;
        let in_force = self.in_force_for(session, purpose).await?;
        if version != in_force.version() {
            return Err(ConsentError::OtherVersion);
        }
        if purpose.id != ACCOUNT.id && self.in_basic_mode(session).await? {
            return Err(ConsentError::PolicyRequired);
        }
        let states = self.consents(session).await?;
        if let Some(state) = states.iter().find(|state| in_force.agreed(state)) {
            return Ok(state.seq);
        }
        let act = ConsentAct { policy: in_force.mark(), ..act(session, purpose.id, version, true) };
        let appended = self.store().consent_append(&act, self.now()).await.map_err(Inner::from)?;
        if purpose.id == DEVICE_HARDWARE.id {
            self.ask_for_inventories(&session.account).await?;
        }
        Ok(appended.seq)
    }

    /// Withdraws a consent and ends what stands on it: with [`DEVICE_SHARED`] every share that the
    /// account has as a guest.
    ///
    /// # Errors
    /// See [`ConsentError`].
    pub async fn withdraw_consent(&self, session: &Session, id: &str) -> Result<(), ConsentError> {
        let purpose = Self::purpose(id)?;
        if purpose.id == ACCOUNT.id {
            return self.withdraw_policy(session).await;
        }
        let states = self.consents(session).await?;
        let given = states.into_iter().filter(|state| state.purpose == purpose.id && state.granted);
        let state = given.max_by_key(|state| state.seq).ok_or(ConsentError::NotGranted)?;
        if purpose.id == DEVICE_SHARED.id {
            self.leave_all_shares(session).await?;
        }
        let act = act(session, purpose.id, state.version, false);
        let appended = self.store().consent_append(&act, self.now()).await.map_err(Inner::from)?;
        self.announce(Revocation::Consent {
            subject: session.subject.0.clone(),
            epoch: appended.epoch,
        });
        Ok(())
    }

    /// Gives up all that is shared with the account.
    pub(crate) async fn leave_all_shares(&self, session: &Session) -> Result<(), Inner> {
        for shared in self.shares_as_guest(session).await? {
            self.leave_share(session, &shared.share.id).await?;
        }
        Ok(())
    }

    /// Every decision of the account.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn consents(&self, session: &Session) -> Result<Vec<ConsentState>, Inner> {
        Ok(self.store().consents(&session.account).await?)
    }

    /// Walks the whole chain. Returns the number of events.
    ///
    /// # Errors
    /// `Ok(Err(_))` names the first event that does not hold.
    pub async fn verify_consents(&self) -> Result<Result<u64, chain::Broken>, Inner> {
        let mut at = (0, chain::START.to_vec());
        loop {
            let events = self.store().consent_events(at.0, 1000).await?;
            if events.is_empty() {
                return Ok(Ok(at.0));
            }
            at = match chain::verify(at, &events) {
                Ok(at) => at,
                Err(broken) => return Ok(Err(broken)),
            };
        }
    }
}

/// A decision of whoever is signed in.
pub(crate) fn act(session: &Session, purpose: &str, version: u32, granted: bool) -> ConsentAct {
    ConsentAct {
        account: session.account.clone(),
        subject: session.subject.clone(),
        terminal: session.terminal.clone(),
        purpose: purpose.to_owned(),
        version,
        policy: None,
        granted,
    }
}
