//! Challenges and their answers on the way of a request.

use std::time::Instant;

use rtsp_types::{Request, headers};

use super::answer::{Answer, Refusal};
use super::connection::{Event, Role, RtspConnection, Step, Waiting};
use super::digest::{Algorithm, Authorization, Secret};
use super::login::Verdict;
use super::requests::{header, url_of};
use super::url;

impl RtspConnection {
    /// Lets a request on, asks whose login it is, or challenges.
    pub(super) fn authorise(
        &mut self,
        now: Instant,
        request: Request<Vec<u8>>,
        cseq: u32,
    ) -> Result<(), Refusal> {
        let role = self.role(&request);
        if role == Role::Viewer && !self.settings.play {
            return Err(Refusal::new(403, "playing without TLS is off; use rtsps"));
        }
        let path = url::stream(url_of(&request));
        let path = path.ok_or(Refusal::new(404, "a stream's path is /serial/channel"))?;
        let given = header(&request, &headers::AUTHORIZATION);
        let Some(auth) = given.and_then(Authorization::parse) else {
            self.challenge(now, &request, cseq, "", false);
            return Ok(());
        };
        match self.login.user() {
            // Another user on the same connection is checked against nothing and fails.
            Some(user) => {
                let same = user == auth.username;
                let secret = self.login.secret().filter(|_| same);
                self.verify(now, request, cseq, &auth, secret);
            }
            None => {
                let user = auth.username;
                self.events.push_back(Event::Login { role, user, path });
                self.wait(request, cseq, Step::Login);
            }
        }
        Ok(())
    }

    fn challenge(
        &mut self,
        now: Instant,
        request: &Request<Vec<u8>>,
        cseq: u32,
        text: &str,
        stale: bool,
    ) {
        let nonce = self.login.nonce(now);
        let realm = self.settings.realm;
        let stale = if stale { ", stale=true" } else { "" };
        let agent = header(request, &headers::USER_AGENT).unwrap_or_default();
        let mut answer = Answer::with_text(401, Some(cseq), text);
        for algorithm in challenges(agent) {
            let name = match algorithm {
                Algorithm::Md5 => "",
                Algorithm::Sha256 => ", algorithm=SHA-256",
            };
            let value = format!("Digest realm=\"{realm}\", nonce=\"{nonce}\"{name}{stale}");
            answer = answer.header("WWW-Authenticate", value);
        }
        self.send(answer.header("Content-Length", 0).empty());
    }

    pub(super) fn finish_login(&mut self, now: Instant, waiting: Waiting, secret: Option<Secret>) {
        let Waiting { request, cseq, .. } = waiting;
        let given = header(&request, &headers::AUTHORIZATION);
        if let Some(auth) = given.and_then(Authorization::parse) {
            self.verify(now, request, cseq, &auth, secret);
        }
    }

    fn verify(
        &mut self,
        now: Instant,
        request: Request<Vec<u8>>,
        cseq: u32,
        auth: &Authorization,
        secret: Option<Secret>,
    ) {
        let method: &str = request.method().into();
        let about = (self.settings.realm, method, url_of(&request));
        match self.login.check(now, auth, secret.as_ref(), about) {
            Verdict::Right => {
                if let (None, Some(secret)) = (self.login.user(), secret) {
                    self.login.enter(&auth.username, secret);
                    let role = self.role(&request);
                    let user = auth.username.clone();
                    self.events.push_back(Event::LoggedIn { role, user });
                }
                if let Err(refusal) = self.perform(request, cseq) {
                    self.answer_refusal(cseq, &refusal);
                }
            }
            Verdict::Stale => self.challenge(now, &request, cseq, "", true),
            Verdict::Wrong => {
                let text = "the login is unknown, wrong, used or expired";
                self.challenge(now, &request, cseq, text, false);
            }
            Verdict::Exhausted => {
                self.answer_refusal(cseq, &Refusal::new(401, "too many failed logins"));
                self.close();
            }
        }
    }
}

/// Challenges for a client. Older libavformat reads the last one only and knows MD5 only.
fn challenges(agent: &str) -> &'static [Algorithm] {
    let one_only = agent.starts_with("Lavf");
    if one_only { &[Algorithm::Md5] } else { &[Algorithm::Md5, Algorithm::Sha256] }
}
