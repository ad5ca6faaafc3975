//! In-app messages, and the worker that sends what waits in the outbox.

use std::time::Duration;

use sightline_grant::Redacted;
use tokio_util::sync::CancellationToken;

use crate::ControlPlane;
use crate::error::Inner;
use crate::ids::ChallengeId;
use crate::limits::{PAGE, SEND_ATTEMPTS};
use crate::otp::TARGET_PLACE;
use crate::phone::Phone;
use crate::sms::{self, NotSent};
use crate::storage::model::{Message, OutboxEntry, Session};

/// How often the worker looks without being called, and how often old rows go.
const IDLE_ROUND: Duration = Duration::from_secs(5);
/// Rounds between two purges.
const ROUNDS_PER_PURGE: u32 = 12;

/// An in-app message as people read it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The row.
    pub message: Message,
    /// Text, English.
    pub en: &'static str,
    /// Text, Chinese.
    pub zh: &'static str,
}

impl ControlPlane {
    /// Sends what waits, whenever something waits, until cancelled.
    pub async fn run_worker(self, stop: CancellationToken) {
        let mut rounds = 0u32;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.0.outbox.notified() => {}
                () = tokio::time::sleep(IDLE_ROUND) => rounds += 1,
            }
            if let Err(error) = self.deliver_outbox().await {
                tracing::warn!(%error, "messages wait in the outbox");
            }
            if rounds >= ROUNDS_PER_PURGE {
                rounds = 0;
                if let Err(error) = self.store().purge(self.now()).await {
                    tracing::warn!(%error, "old rows were not deleted");
                }
            }
        }
    }

    /// Sends everything that is due now. Returns how many entries were closed.
    ///
    /// # Errors
    /// When the database does not answer; what was not closed is tried again.
    pub async fn deliver_outbox(&self) -> Result<u64, Inner> {
        let mut closed = 0;
        while let Some(entry) = self.store().outbox_claim(self.now()).await? {
            if entry.channel == "in_app" {
                closed += u64::from(self.store().outbox_deliver(entry.id, self.now()).await?);
                continue;
            }
            let sent = self.send_sms(&entry).await?;
            if let Err(error) = &sent {
                tracing::warn!(entry = entry.id, attempt = entry.attempts, %error, "SMS not sent");
            }
            if sent.is_ok() || entry.attempts >= SEND_ATTEMPTS {
                self.store().outbox_done(entry.id, self.now()).await?;
                closed += 1;
            }
        }
        Ok(closed)
    }

    /// Newest in-app messages of the account.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn messages(&self, session: &Session) -> Result<Vec<Shown>, Inner> {
        let messages = self.store().messages(&session.account, PAGE).await?;
        Ok(messages
            .into_iter()
            .map(|message| {
                let (en, zh) = text(&message.kind);
                Shown { message, en, zh }
            })
            .collect())
    }

    async fn send_sms(&self, entry: &OutboxEntry) -> Result<Result<(), NotSent>, Inner> {
        let id = ChallengeId(entry.reference.clone());
        let Some(challenge) = self.store().otp_challenge(&id, self.now()).await? else {
            // Used or expired in between: there is nothing to send any more.
            return Ok(Ok(()));
        };
        let number = self.vault().open_server(TARGET_PLACE, id.as_str(), &challenge.target_enc)?;
        let number = Redacted::new(String::from_utf8_lossy(&number).into_owned());
        let Some(phone) = Phone::parse(number.expose()) else { return Ok(Ok(())) };
        let code = self.code_of(&challenge);
        let host = &self.config().page_host;
        let text = sms::text::one_time_code(challenge.purpose, &code, &challenge.serial, host);
        Ok(self.0.sms.send(&phone, &text).await)
    }
}

fn text(kind: &str) -> (&'static str, &'static str) {
    match kind {
        "login" => ("Your account was signed in on a terminal.", "您的账号已在一台终端上登录。"),
        "token_reused" => (
            "A login was ended because its token was used twice. If this was not you, sign out \
             your other terminals.",
            "登录凭证被重复使用，该登录已终止。如非本人操作，请退出其他终端。",
        ),
        "device_bound" => ("A camera was bound to your account.", "一台摄像机已绑定到您的账号。"),
        "device_unbound" => (
            "A camera was unbound from your account. If it publishes with a password, change that \
             password.",
            "一台摄像机已从您的账号解绑。如其使用密码推流，请更换该密码。",
        ),
        "device_given" => (
            "A camera was taken over by the account that you gave its transfer code to.",
            "一台摄像机已由使用您转移码的账号接管。",
        ),
        "device_reset" => (
            "A camera was reset on the spot and is no longer yours. If this was not you, somebody \
             has had it in his hands.",
            "一台摄像机已在现场被重置，不再归您所有。如非本人操作，说明有人接触过该设备。",
        ),
        "key_ready" => ("A camera has made its device key.", "一台摄像机已生成设备密钥。"),
        "key_rotated" => (
            "The key of a camera was changed; every viewer must prove the new one.",
            "一台摄像机的设备密钥已更换，所有观看者须重新验证。",
        ),
        "sealing_off" => (
            "End-to-end encryption of a camera was switched off: the server can see its video now.",
            "一台摄像机的端到端加密已关闭，服务器现可查看其视频。",
        ),
        "sealing_on" => (
            "End-to-end encryption of a camera was switched on again.",
            "一台摄像机的端到端加密已重新开启。",
        ),
        "share_invited" => (
            "You made an invitation to share a camera. If this was not you, withdraw it and sign out \
             your other terminals.",
            "您已生成摄像机分享邀请。如非本人操作，请撤回邀请并退出其他终端。",
        ),
        "share_accepted" => (
            "Your invitation was accepted: compare the digits with your guest to let the guest watch.",
            "您的分享邀请已被接受，请与访客核对数字后允许其观看。",
        ),
        "share_changed" => (
            "The owner of a camera that is shared with you changed what you may do with it.",
            "分享给您的摄像机，其主人已更改您的权限。",
        ),
        "share_revoked" => (
            "The owner of a camera does not share it with you any more.",
            "摄像机的主人已停止与您分享。",
        ),
        "share_left" => {
            ("A guest of your camera gave the share up.", "您的一位访客已退出摄像机分享。")
        }
        "share_ended" => ("The time of a share is over.", "一项摄像机分享已到期结束。"),
        "share_expiring" => ("A share ends within a day.", "一项摄像机分享将在一天内到期。"),
        "key_locked" => (
            "A wrong device key was entered several times; the camera's key entry is locked for a \
             while.",
            "设备密钥多次输入错误，已暂时锁定。",
        ),
        _ => ("Your account has news.", "您的账号有新消息。"),
    }
}
