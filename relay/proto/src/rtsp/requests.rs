//! The methods of RTSP (RFC 2326, 10) and their places in the state machine.

use std::time::Instant;

use rtsp_types::{HeaderName, Method, Request, headers};

use crate::codec::TrackInfo;
use crate::sdp;

use super::answer::{Answer, Refusal};
use super::connection::{Event, Role, RtspConnection, State, Step, Waiting};
use super::url::{self, StreamPath};
use super::{MAX_REQUESTS_BEFORE_LOGIN, SESSION_TIMEOUT};

const PUBLIC: &str = "OPTIONS, DESCRIBE, ANNOUNCE, SETUP, PLAY, PAUSE, RECORD, GET_PARAMETER, \
    SET_PARAMETER, TEARDOWN";

pub(super) fn header<'r>(request: &'r Request<Vec<u8>>, name: &HeaderName) -> Option<&'r str> {
    request.header(name).map(|value| value.as_str())
}

pub(super) fn url_of(request: &Request<Vec<u8>>) -> &str {
    request.request_uri().map_or("*", |url| url.as_str())
}

impl RtspConnection {
    pub(super) fn handle_request(&mut self, now: Instant, request: Request<Vec<u8>>) {
        let cseq = header(&request, &headers::CSEQ).and_then(|text| text.trim().parse().ok());
        let Some(cseq) = cseq else {
            return self.send(Answer::with_text(400, None, "CSeq is missing").empty());
        };
        if self.login.user().is_none() {
            self.login.requests += 1;
            if self.login.requests > MAX_REQUESTS_BEFORE_LOGIN {
                self.answer_refusal(cseq, &Refusal::new(401, "too many requests without a login"));
                return self.close();
            }
        }
        if let Some(option) = header(&request, &headers::REQUIRE) {
            let known = |c: char| c.is_ascii_graphic() || c == ' ';
            let option: String = option.chars().filter(|c| known(*c)).take(200).collect();
            return self.send(Answer::new(551, Some(cseq)).header("Unsupported", option).empty());
        }
        if let Err(refusal) = self.check_session(&request) {
            return self.answer_refusal(cseq, &refusal);
        }
        if let Err(refusal) = self.dispatch(now, request, cseq) {
            self.answer_refusal(cseq, &refusal);
        }
    }

    /// A session id counts only on its own connection.
    fn check_session(&self, request: &Request<Vec<u8>>) -> Result<(), Refusal> {
        let named = header(request, &headers::SESSION);
        let named = named.map(|text| text.split(';').next().unwrap_or_default().trim());
        let needed = self.state != State::Init
            && matches!(
                request.method(),
                Method::Play | Method::Pause | Method::Record | Method::Teardown
            );
        let fits = match named {
            Some(id) => self.state != State::Init && id == self.login.session_id(),
            None => !needed,
        };
        if fits { Ok(()) } else { Err(Refusal::new(454, "no such session on this connection")) }
    }

    fn dispatch(
        &mut self,
        now: Instant,
        request: Request<Vec<u8>>,
        cseq: u32,
    ) -> Result<(), Refusal> {
        match request.method() {
            Method::Options => {
                self.send(Answer::new(200, Some(cseq)).header("Public", PUBLIC).empty());
                Ok(())
            }
            Method::GetParameter => self.answer_keepalive(cseq),
            Method::SetParameter if request.body().trim_ascii().is_empty() => {
                self.answer_keepalive(cseq)
            }
            Method::SetParameter => Err(Refusal::new(451, "there are no parameters to set")),
            Method::Describe | Method::Announce | Method::Setup | Method::Play | Method::Record => {
                self.check_state(&request)?;
                self.authorise(now, request, cseq)
            }
            Method::Pause => self.pause(cseq),
            Method::Teardown => {
                if self.state == State::Init {
                    return Err(Refusal::new(455, "there is no session to end"));
                }
                self.answer_with_session(cseq);
                self.close();
                Ok(())
            }
            _ => {
                let answer = Answer::with_text(405, Some(cseq), "this method is not served");
                self.send(answer.header("Allow", PUBLIC).empty());
                Ok(())
            }
        }
    }

    fn answer_keepalive(&mut self, cseq: u32) -> Result<(), Refusal> {
        if self.state == State::Init {
            self.send(Answer::new(200, Some(cseq)).empty());
        } else {
            self.answer_with_session(cseq);
        }
        Ok(())
    }

    fn answer_with_session(&mut self, cseq: u32) {
        let session = self.session_header();
        self.send(Answer::new(200, Some(cseq)).header("Session", session).empty());
    }

    pub(super) fn session_header(&self) -> String {
        format!("{};timeout={}", self.login.session_id(), SESSION_TIMEOUT.as_secs())
    }

    fn check_state(&self, request: &Request<Vec<u8>>) -> Result<(), Refusal> {
        let legal = match (request.method(), self.state) {
            (Method::Describe, State::Init | State::Ready | State::Playing) => !self.announced,
            (Method::Announce, State::Init) => !self.announced && self.media.is_empty(),
            (Method::Setup, State::Init | State::Ready) => true,
            (Method::Play, State::Ready | State::Playing) => !self.announced,
            (Method::Record, State::Ready) => self.announced,
            _ => false,
        };
        if legal { Ok(()) } else { Err(Refusal::new(455, "not now")) }
    }

    fn pause(&mut self, cseq: u32) -> Result<(), Refusal> {
        if self.state != State::Playing && (self.state != State::Ready || self.announced) {
            return Err(Refusal::new(455, "nothing plays"));
        }
        if self.state == State::Playing {
            self.state = State::Ready;
            self.events.push_back(Event::Paused);
        }
        self.answer_with_session(cseq);
        Ok(())
    }

    /// What the request makes of its sender.
    pub(super) fn role(&self, request: &Request<Vec<u8>>) -> Role {
        match request.method() {
            Method::Announce | Method::Record => Role::Publisher,
            _ if self.announced => Role::Publisher,
            _ => Role::Viewer,
        }
    }

    pub(super) fn wait(&mut self, request: Request<Vec<u8>>, cseq: u32, step: Step) {
        self.waiting = Some(Box::new(Waiting { request, cseq, step }));
    }

    /// An authorised request in a legal state.
    pub(super) fn perform(&mut self, request: Request<Vec<u8>>, cseq: u32) -> Result<(), Refusal> {
        match request.method() {
            Method::Describe => {
                let accept = header(&request, &headers::ACCEPT).unwrap_or("application/sdp");
                if !(accept.contains("application/sdp") || accept.contains("*/*")) {
                    return Err(Refusal::new(415, "only application/sdp is served"));
                }
                self.look_up(request, cseq)
            }
            Method::Announce => self.announce(request, cseq),
            // A second DESCRIBE asks anew; a SETUP without any asks once.
            Method::Setup if self.media.is_empty() => self.look_up(request, cseq),
            Method::Setup => self.set_up(request, cseq),
            Method::Play if self.state == State::Playing => {
                self.answer_with_session(cseq);
                Ok(())
            }
            Method::Play => {
                self.events.push_back(Event::Play);
                self.wait(request, cseq, Step::Play);
                Ok(())
            }
            _ => {
                self.events.push_back(Event::Record);
                self.wait(request, cseq, Step::Record);
                Ok(())
            }
        }
    }

    fn look_up(&mut self, request: Request<Vec<u8>>, cseq: u32) -> Result<(), Refusal> {
        let path = stream_of(&request)?;
        self.events.push_back(Event::Lookup { path });
        self.wait(request, cseq, Step::Tracks);
        Ok(())
    }

    pub(super) fn finish_tracks(&mut self, waiting: Waiting, tracks: &[TrackInfo]) {
        let Waiting { request, cseq, .. } = waiting;
        // Tracks that are being set up must not change under the client.
        if self.setups.is_empty() {
            self.media = described(tracks);
            self.path = url::stream(url_of(&request));
        }
        if *request.method() == Method::Setup {
            if self.media.is_empty() {
                return self.answer_refusal(cseq, &Refusal::new(404, "the stream has no tracks"));
            }
            if let Err(refusal) = self.set_up(request, cseq) {
                self.answer_refusal(cseq, &refusal);
            }
            return;
        }
        let base = url_of(&request).split('?').next().unwrap_or_default().trim_end_matches('/');
        let text = sdp::write(tracks, 1);
        let answer = Answer::new(200, Some(cseq))
            .header("Content-Base", format_args!("{base}/"))
            .header("Content-Type", "application/sdp");
        self.send(answer.body(&text));
    }

    fn announce(&mut self, request: Request<Vec<u8>>, cseq: u32) -> Result<(), Refusal> {
        let path = stream_of(&request)?;
        let kind = header(&request, &headers::CONTENT_TYPE).unwrap_or("application/sdp");
        if !kind.trim().to_ascii_lowercase().starts_with("application/sdp") {
            return Err(Refusal::new(415, "ANNOUNCE needs application/sdp"));
        }
        let found = sdp::parse(request.body());
        let found = found.map_err(|error| Refusal::new(400, error.to_string()))?;
        if found.media.is_empty() {
            let why = found.ignored.join("; ");
            return Err(Refusal::new(415, format!("no track that can be carried: {why}")));
        }
        let (media, ignored) = (found.media.clone(), found.ignored);
        self.events.push_back(Event::Announce { path, media, ignored });
        self.wait(request, cseq, Step::Announce(found.media));
        Ok(())
    }

    pub(super) fn finish_accepted(&mut self, waiting: Waiting) {
        let Waiting { request, cseq, step } = waiting;
        match step {
            Step::Announce(media) => {
                self.media = media;
                self.announced = true;
                self.path = url::stream(url_of(&request));
                self.send(Answer::new(200, Some(cseq)).empty());
            }
            Step::Setup(setup) => self.finish_setup(cseq, setup),
            Step::Play => {
                self.state = State::Playing;
                let session = self.session_header();
                let answer = Answer::new(200, Some(cseq)).header("Session", session);
                // A live stream has no beginning to name, and no RTP-Info is better than a wrong one.
                self.send(answer.header("Range", "npt=now-").empty());
            }
            Step::Record => {
                self.state = State::Recording;
                self.answer_with_session(cseq);
            }
            Step::Login | Step::Tracks => {}
        }
    }
}

fn stream_of(request: &Request<Vec<u8>>) -> Result<StreamPath, Refusal> {
    url::stream(url_of(request)).ok_or(Refusal::new(404, "a stream's path is /serial/channel"))
}

fn described(tracks: &[TrackInfo]) -> Vec<sdp::Media> {
    let media = |(index, info): (usize, &TrackInfo)| sdp::Media {
        payload_type: sdp::payload_type(index, info),
        control: format!("trackID={index}"),
        info: info.clone(),
    };
    tracks.iter().enumerate().map(media).collect()
}
