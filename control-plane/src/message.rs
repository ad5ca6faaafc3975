//! In-app messages, and the worker that sends what waits in the outbox.

use std::sync::Arc;
use std::time::Duration;

use sightline_grant::Redacted;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::ControlPlane;
use crate::address::Address;
use crate::error::Inner;
use crate::federation::REVOKE_CHANNEL;
use crate::identifier::NOTICE_PLACE;
use crate::ids::ChallengeId;
use crate::limits::{PAGE, SEND_ATTEMPTS};
use crate::mail::{self, Mail};
use crate::otp::TARGET_PLACE;
use crate::sms::{self, NotSent};
use crate::sso::APP_CHANNEL;
use crate::storage::model::{Message, OtpPurpose, OutboxEntry, Session};

/// How often the worker looks without being called, and how often old rows go.
const IDLE_ROUND: Duration = Duration::from_secs(5);
/// Mails that are being sent at a time.
pub(crate) const MAIL_LANES: usize = 8;
/// Grants that are being taken back at identity providers at a time.
const PROVIDER_LANES: usize = 4;
/// Apps that are being told of logouts at a time.
const APP_LANES: usize = 8;
/// Longest time for one mail; below [`crate::limits::SEND_RETRY_SECS`], so that none is sent twice at once.
const MAIL_LIMIT: Duration = Duration::from_secs(8);
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

/// What is being sent to servers of others. Each of these channels has lanes of its own, so that slow
/// servers hold up their own channel only.
struct Aside {
    lanes: [(&'static str, Arc<Semaphore>); 3],
    /// Whether the entry was closed, of each.
    sending: JoinSet<bool>,
}

impl Aside {
    fn new() -> Self {
        let lanes =
            [("mail", MAIL_LANES), (REVOKE_CHANNEL, PROVIDER_LANES), (APP_CHANNEL, APP_LANES)];
        let lanes = lanes.map(|(channel, most)| (channel, Arc::new(Semaphore::new(most))));
        Self { lanes, sending: JoinSet::new() }
    }

    /// The lanes of a channel, if it is one of these.
    fn lanes_of(&self, channel: &str) -> Option<Arc<Semaphore>> {
        let (_, lanes) = self.lanes.iter().find(|(name, _)| *name == channel)?;
        Some(Arc::clone(lanes))
    }

    /// Channels without a free lane.
    fn full(&self) -> Vec<&'static str> {
        let full = self.lanes.iter().filter(|(_, lanes)| lanes.available_permits() == 0);
        full.map(|(channel, _)| *channel).collect()
    }
}

impl ControlPlane {
    /// Sends what waits, whenever something waits, until cancelled.
    pub async fn run_worker(self, stop: CancellationToken) {
        let (mut rounds, mut aside) = (0u32, Aside::new());
        // Beside the other wakes, however many those are: old rows go in time on a busy server, too.
        let mut idle = interval(IDLE_ROUND);
        idle.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.0.outbox.notified() => {}
                // A free lane: what waits for it goes now.
                Some(_) = aside.sending.join_next(), if !aside.sending.is_empty() => {}
                _ = idle.tick() => rounds += 1,
            }
            while aside.sending.try_join_next().is_some() {}
            if let Err(error) = self.deliver(&mut aside).await {
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

    /// Sends everything that is due now, and waits for it. Returns how many entries were closed.
    ///
    /// # Errors
    /// When the database does not answer; what was not closed is tried again.
    pub async fn deliver_outbox(&self) -> Result<u64, Inner> {
        let (mut aside, mut closed) = (Aside::new(), 0);
        loop {
            closed += self.deliver(&mut aside).await?;
            match aside.sending.join_next().await {
                Some(sent) => closed += u64::from(sent.unwrap_or(false)),
                None => return Ok(closed),
            }
        }
    }

    /// Sends everything that is due now but mail and words to identity providers and apps, which go on in tasks
    /// of their own: a server that does not answer must not hold up the codes of others. A channel without a
    /// free lane is not claimed, since the time of a claim must not run while its entry waits for a lane.
    async fn deliver(&self, aside: &mut Aside) -> Result<u64, Inner> {
        let mut closed = 0;
        while let Some(entry) = self.store().outbox_claim(&aside.full(), self.now()).await? {
            let Some(lanes) = aside.lanes_of(&entry.channel) else {
                closed += u64::from(self.send_here(&entry).await?);
                continue;
            };
            // Lanes are taken here only, so that a channel that was claimed still has one.
            let Ok(lane) = lanes.try_acquire_owned() else { continue };
            let this = self.clone();
            aside.sending.spawn(async move {
                let closed = this.send_aside(&entry).await;
                drop(lane);
                closed
            });
        }
        Ok(closed)
    }

    /// Sends what is this server's own or goes by SMS. Whether the entry was closed.
    async fn send_here(&self, entry: &OutboxEntry) -> Result<bool, Inner> {
        if entry.channel == "in_app" {
            return Ok(self.store().outbox_deliver(entry.id, self.now()).await?);
        }
        let over = self.deliver_sms(entry).await?;
        if over {
            self.store().outbox_done(entry.id, self.now()).await?;
        }
        Ok(over)
    }

    /// Sends to a server that only this entry waits for. Whether the entry was closed.
    async fn send_aside(&self, entry: &OutboxEntry) -> bool {
        match &*entry.channel {
            REVOKE_CHANNEL => self.take_grant_back(entry).await,
            APP_CHANNEL => self.send_logout(entry).await,
            _ => self.send_mail(entry).await,
        }
    }

    /// Whether the entry was closed.
    async fn send_mail(&self, entry: &OutboxEntry) -> bool {
        let sending = timeout(MAIL_LIMIT, self.hand_over_mail(entry));
        let sent = sending.await.unwrap_or(Ok(Err(NotSent::Later("no answer in time".into()))));
        let settled = match sent {
            Ok(sent) => self.settle(entry, sent).await,
            Err(error) => Err(error),
        };
        settled.unwrap_or_else(|error| {
            tracing::warn!(entry = entry.id, %error, "a mail waits in the outbox");
            false
        })
    }

    async fn hand_over_mail(&self, entry: &OutboxEntry) -> Result<Result<(), NotSent>, Inner> {
        let Some((Address::Email(email), out)) = self.outgoing(entry).await? else {
            // Used, expired or nobody's in between: there is nothing to send any more.
            return Ok(Ok(()));
        };
        Ok(self.0.mail.send(&email, &out.mail).await)
    }

    /// Closes an entry that was sent or is given up; whether it did.
    async fn settle(&self, entry: &OutboxEntry, sent: Result<(), NotSent>) -> Result<bool, Inner> {
        if let Err(error) = &sent {
            let (channel, attempt) = (&entry.channel, entry.attempts);
            tracing::warn!(entry = entry.id, channel, attempt, %error, "message not sent");
        }
        let over = sent.is_ok() || entry.attempts >= SEND_ATTEMPTS;
        if over {
            self.store().outbox_done(entry.id, self.now()).await?;
        }
        Ok(over)
    }

    /// Newest in-app messages of the account.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn messages(&self, session: &Session) -> Result<Vec<Shown>, Inner> {
        Ok(shown(self.store().messages(&session.account, PAGE).await?))
    }

    /// Newest in-app messages of the account that are older than one of them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn messages_before(
        &self,
        session: &Session,
        before: Option<u64>,
        most: u64,
    ) -> Result<Vec<Shown>, Inner> {
        let account = &session.account;
        let messages = match before {
            None => self.store().messages(account, most).await?,
            Some(before) => self.store().messages_before(account, before, most).await?,
        };
        Ok(shown(messages))
    }

    /// What an entry says, and to whom; `None` when it is over.
    pub(crate) async fn outgoing(
        &self,
        entry: &OutboxEntry,
    ) -> Result<Option<(Address, Outgoing)>, Inner> {
        let reference = entry.reference.as_str();
        if entry.kind == "notice" {
            let Some(notice) = self.store().notice(reference).await? else { return Ok(None) };
            let address = self.vault().open_server(NOTICE_PLACE, reference, &notice.address_enc)?;
            let sms = sms::text::of_notice(&notice.kind);
            let mail = mail::text::of_notice(&notice.kind);
            return Ok(parsed(address).map(|address| (address, Outgoing { sms, code: None, mail })));
        }
        let id = ChallengeId(reference.to_owned());
        let Some(challenge) = self.store().otp_challenge(&id, self.now()).await? else {
            return Ok(None);
        };
        // Only here is it looked up whether there is a password to set: asking takes the same time
        // for everybody.
        if challenge.purpose == OtpPurpose::Reset
            && self.store().account_by_lookup(&challenge.target).await?.is_none()
        {
            return Ok(None);
        }
        let address = self.vault().open_server(TARGET_PLACE, id.as_str(), &challenge.target_enc)?;
        let code = self.code_of(&challenge);
        let (purpose, serial) = (challenge.purpose, &challenge.serial);
        let sms = sms::text::one_time_code(purpose, &code, serial, &self.config().page_host);
        let mail = mail::text::one_time_code(purpose, &code, serial);
        let code = Some(Redacted::new(code.to_string()));
        Ok(parsed(address).map(|address| (address, Outgoing { sms, code, mail })))
    }
}

fn shown(messages: Vec<Message>) -> Vec<Shown> {
    let with_text = |message: Message| {
        let (en, zh) = text(&message.kind);
        Shown { message, en, zh }
    };
    messages.into_iter().map(with_text).collect()
}

/// A message in the form of either channel.
pub(crate) struct Outgoing {
    pub(crate) sms: Redacted<String>,
    /// The code in it, if it is one.
    pub(crate) code: Option<Redacted<String>>,
    mail: Mail,
}

fn parsed(address: Vec<u8>) -> Option<Address> {
    let text = Zeroizing::new(String::from_utf8(address).ok()?);
    Address::parse(&text)
}

fn text(kind: &str) -> (&'static str, &'static str) {
    match kind {
        "login_unusual" => (
            "A login to your account was unusual. If it was not you, sign that terminal out.",
            "您的账号有一次异常登录。如非本人操作，请退出该终端。",
        ),
        "login_held" => (
            "An unusual login to your account is held. Agree to it in Account if it was you.",
            "您的账号有一次异常登录已被暂缓。如为本人操作，请在账号页面确认。",
        ),
        "login" => ("Your account was signed in on a terminal.", "您的账号已在一台终端上登录。"),
        "token_reused" => (
            "A login was ended because its token was used twice. If this was not you, sign out \
             your other terminals.",
            "登录凭证被重复使用，该登录已终止。如非本人操作，请退出其他终端。",
        ),
        "app_agreed" => (
            "You agreed that an app signs you in. Account shows your apps and removes them.",
            "您已同意一个应用使用您的账号登录。可在账号页面查看和移除应用。",
        ),
        "app_token_reused" => (
            "A login of an app was ended because its token or code was used twice. If this was not \
             you, remove the app in Account.",
            "一个应用的登录凭证被重复使用，该登录已终止。如非本人操作，请在账号页面移除该应用。",
        ),
        "device_bound" => ("A camera was bound to your account.", "一台摄像机已绑定到您的账号。"),
        "device_unbound" => (
            "A camera was unbound from your account. If it publishes with a password, change that \
             password.",
            "一台摄像机已从您的账号解绑。如其使用密码推流，请更换该密码。",
        ),
        "device_confirmed" => (
            "A camera was confirmed after the server was restored from a backup; it is yours as \
             before.",
            "服务器从备份恢复后，一台摄像机已确认仍归您所有。",
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
        "password_changed" => (
            "The password of your account was changed; its other logins have ended.",
            "您的账号密码已更改，其他登录已终止。",
        ),
        "passkey_added" => (
            "A passkey was added to your account. If this was not you, remove it in Account and sign \
             out your other terminals.",
            "您的账号新增了通行密钥。如非本人操作，请在账号页面移除，并退出其他终端。",
        ),
        "passkey_removed" => (
            "A passkey was removed from your account; it does not sign you in any more.",
            "您的账号已移除一个通行密钥，它不能再用于登录。",
        ),
        "passkey_copied" => (
            "A login by passkey was refused: somebody may have a copy of that passkey. Remove it in \
             Account.",
            "一次通行密钥登录已被拒绝：该密钥可能已被复制。请在账号页面移除。",
        ),
        "identifier_changed" => (
            "The phone number or mail address of your account was changed.",
            "您账号的手机号或邮箱已更改。",
        ),
        "identity_bound" => (
            "A login at an identity provider was bound to your account and signs in to it now.",
            "您的账号已绑定一个第三方登录，可用其登录。",
        ),
        "identity_unbound" => (
            "A login at an identity provider was unbound from your account.",
            "您的账号已解绑一个第三方登录。",
        ),
        "identifier_removed" => (
            "A phone number or mail address was taken off your account.",
            "已从您的账号移除一个手机号或邮箱。",
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
        "key_guessed" => (
            "A guest of your camera entered a wrong device key several times; that guest's key \
             entry is locked for a while. End the share if you do not know why.",
            "您的摄像机的一位访客多次输入错误的设备密钥，其输入已暂时锁定。\
             如有疑问，请停止与其分享。",
        ),
        _ => ("Your account has news.", "您的账号有新消息。"),
    }
}
