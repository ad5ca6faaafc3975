//! Reading an SDP offer (RFC 8866, RFC 8829), leniently in form and strictly in meaning.

use super::NegotiationError;

/// Longest SDP text taken, bytes.
pub const MAX_SDP: usize = 64 * 1024;
/// Media sections of an offer, at most.
pub const MAX_SECTIONS: usize = 32;
/// SHA-256 fingerprints of an offer, at most.
pub const MAX_FINGERPRINTS: usize = 4;

/// An offer, parsed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Offer {
    /// Media sections in order.
    pub sections: Vec<Section>,
    /// Transport of the bundle.
    pub transport: Transport,
}

/// ICE and DTLS parameters of the peer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Transport {
    /// User fragment.
    pub ufrag: String,
    /// SHA-256 digests, one of which the peer's certificate has.
    pub fingerprints: Vec<[u8; 32]>,
    /// Whether the peer insists on being the DTLS server, so that we are the client.
    pub peer_is_server: bool,
}

/// Which way media goes, as the offerer says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Way {
    /// Both ways.
    #[default]
    SendRecv,
    /// From the offerer.
    SendOnly,
    /// To the offerer.
    RecvOnly,
    /// None.
    Inactive,
}

/// One media section.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Section {
    /// `audio`, `video` or another word.
    pub media: String,
    /// Transport protocol word.
    pub protocol: String,
    /// Formats as offered.
    pub formats: String,
    /// The section is disabled already.
    pub disabled: bool,
    /// Identification tag; may be empty.
    pub mid: String,
    /// Way of the media.
    pub way: Way,
    /// Codecs in the offerer's order of preference.
    pub codecs: Vec<OfferedCodec>,
    /// Header extensions: id and URI.
    pub extensions: Vec<(u8, String)>,
    /// RTCP on the RTP port.
    pub rtcp_mux: bool,
    /// Reduced-size RTCP.
    pub reduced_size: bool,
}

/// One payload type of a section.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OfferedCodec {
    /// RTP payload type.
    pub payload_type: u8,
    /// Encoding name.
    pub name: String,
    /// RTP clock, Hz.
    pub clock_rate: u32,
    /// Audio channels; 1 where none is written.
    pub channels: u8,
    /// Format parameters.
    pub fmtp: String,
    /// RTCP feedback, such as `nack pli`.
    pub feedback: Vec<String>,
}

impl OfferedCodec {
    /// Value of a format parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        parameter(&self.fmtp, name)
    }

    /// Whether a kind of feedback is offered.
    pub fn has_feedback(&self, kind: &str) -> bool {
        self.feedback.iter().any(|offered| offered == kind)
    }
}

impl Section {
    /// RTX payload type for `primary` (RFC 4588), if offered.
    pub fn rtx_for(&self, primary: u8) -> Option<u8> {
        let apt = primary.to_string();
        let is_rtx = |codec: &&OfferedCodec| {
            codec.name.eq_ignore_ascii_case("rtx") && codec.parameter("apt") == Some(&apt)
        };
        self.codecs.iter().find(is_rtx).map(|codec| codec.payload_type)
    }

    /// Id of a header extension, if offered with a one-byte id.
    pub fn extension(&self, uri: &str) -> Option<u8> {
        let found = self.extensions.iter().find(|(_, offered)| offered == uri)?;
        (1..=14).contains(&found.0).then_some(found.0)
    }
}

/// Value of a parameter in an `fmtp` text.
pub fn parameter<'a>(fmtp: &'a str, name: &str) -> Option<&'a str> {
    fmtp.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

#[derive(Default)]
struct Parameters {
    ufrag: Option<String>,
    pwd: Option<String>,
    fingerprints: Vec<[u8; 32]>,
    other_hash: bool,
    setup: Option<String>,
}

impl Offer {
    /// Parses and checks an offer: one bundle, rtcp-mux, ICE credentials, a SHA-256 fingerprint.
    pub fn parse(text: &str) -> Result<Self, NegotiationError> {
        if text.len() > MAX_SDP {
            return Err(bad("the offer is longer than 64 KiB"));
        }
        if !text.trim_start().starts_with("v=0") {
            return Err(bad("the offer is no SDP: it does not begin with v=0"));
        }
        let mut bundle: Option<Vec<String>> = None;
        let mut session = Parameters::default();
        let mut sections: Vec<(Section, Parameters)> = Vec::new();
        for line in text.lines().map(str::trim_end) {
            if let Some(media) = line.strip_prefix("m=") {
                if sections.len() == MAX_SECTIONS {
                    return Err(bad("the offer has more than 32 media sections"));
                }
                sections.push((media_line(media)?, Parameters::default()));
            } else if let Some(attribute) = line.strip_prefix("a=") {
                let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
                let value = value.trim();
                match sections.last_mut() {
                    Some((section, parameters)) => {
                        parameters.take(name, value)?;
                        section.take(name, value);
                    }
                    None if name == "group" => {
                        if let Some(mids) = value.strip_prefix("BUNDLE") {
                            bundle = Some(mids.split_whitespace().map(str::to_owned).collect());
                        }
                    }
                    None => session.take(name, value)?,
                }
            }
        }
        check_bundle(&sections, bundle.as_deref())?;
        let head = sections.iter().position(|(section, _)| !section.disabled);
        let head = head.and_then(|at| sections.get(at)).map(|(_, parameters)| parameters);
        let transport = transport(&session, head)?;
        let sections = sections.into_iter().map(|(section, _)| section).collect();
        Ok(Self { sections, transport })
    }
}

fn check_bundle(
    sections: &[(Section, Parameters)],
    bundle: Option<&[String]>,
) -> Result<(), NegotiationError> {
    let active = || sections.iter().map(|(section, _)| section).filter(|s| !s.disabled);
    if active().next().is_none() {
        return Err(bad("the offer has no media section"));
    }
    let bundled = |section: &Section| match bundle {
        Some(mids) => mids.contains(&section.mid),
        None => sections.len() == 1,
    };
    if !active().all(bundled) {
        return Err(bad("every media section must be in one BUNDLE group"));
    }
    if active().any(|section| section.is_rtp() && !section.rtcp_mux) {
        return Err(bad("every media section needs a=rtcp-mux"));
    }
    Ok(())
}

fn transport(
    session: &Parameters,
    head: Option<&Parameters>,
) -> Result<Transport, NegotiationError> {
    let pick = |get: fn(&Parameters) -> &Option<String>| {
        head.and_then(|head| get(head).clone()).or_else(|| get(session).clone())
    };
    let ufrag = pick(|p| &p.ufrag).ok_or_else(|| bad("the offer has no a=ice-ufrag"))?;
    let pwd = pick(|p| &p.pwd).ok_or_else(|| bad("the offer has no a=ice-pwd"))?;
    if !is_ice_text(&ufrag, 4) || !is_ice_text(&pwd, 22) {
        return Err(bad("ice-ufrag needs 4 and ice-pwd 22 to 256 ice-chars (RFC 8839)"));
    }
    let fingerprints = match head {
        Some(head) if !head.fingerprints.is_empty() => head.fingerprints.clone(),
        _ => session.fingerprints.clone(),
    };
    if fingerprints.is_empty() {
        let other = session.other_hash || head.is_some_and(|head| head.other_hash);
        return Err(match other {
            true => NegotiationError::UnsupportedPeer(
                "the certificate fingerprint must be given as sha-256".into(),
            ),
            false => bad("the offer has no a=fingerprint"),
        });
    }
    let peer_is_server = match pick(|p| &p.setup).as_deref() {
        Some("actpass" | "active") | None => false,
        Some("passive") => true,
        Some(_) => return Err(bad("a=setup must be actpass, active or passive")),
    };
    Ok(Transport { ufrag, fingerprints, peer_is_server })
}

/// Whether `text` is `ice-char`s of a legal length (RFC 8839, 5.4).
pub(super) fn is_ice_text(text: &str, min: usize) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    // Some cameras write '-' and '_' too; both are harmless.
    let lenient = |byte: u8| legal(byte) || byte == b'-' || byte == b'_';
    (min..=256).contains(&text.len()) && text.bytes().all(lenient)
}

impl Parameters {
    fn take(&mut self, name: &str, value: &str) -> Result<(), NegotiationError> {
        match name {
            "ice-ufrag" => self.ufrag = Some(value.to_owned()),
            "ice-pwd" => self.pwd = Some(value.to_owned()),
            "setup" => self.setup = Some(value.to_owned()),
            "fingerprint" => {
                let (hash, digest) = value.split_once(' ').unwrap_or((value, ""));
                if !hash.eq_ignore_ascii_case("sha-256") {
                    self.other_hash = true;
                } else if self.fingerprints.len() < MAX_FINGERPRINTS {
                    let digest = read_digest(digest.trim());
                    self.fingerprints
                        .push(digest.ok_or_else(|| bad("a=fingerprint is malformed"))?);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn read_digest(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    let mut pairs = text.split(':');
    for byte in &mut digest {
        let pair = pairs.next().filter(|pair| pair.len() == 2)?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    pairs.next().is_none().then_some(digest)
}

/// A digest as SDP writes it.
pub(super) fn write_digest(digest: &[u8; 32]) -> String {
    let pairs: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

fn media_line(text: &str) -> Result<Section, NegotiationError> {
    let mut words = text.split_whitespace();
    let (Some(media), Some(port), Some(protocol)) = (words.next(), words.next(), words.next())
    else {
        return Err(bad("a media line is malformed"));
    };
    let formats: Vec<&str> = words.collect();
    let mut section = Section {
        media: media.to_owned(),
        protocol: protocol.to_owned(),
        formats: formats.join(" "),
        disabled: port == "0",
        ..Section::default()
    };
    if section.is_rtp() {
        for format in formats {
            let payload_type = format.parse().ok().filter(|pt: &u8| *pt < 128);
            let payload_type = payload_type.ok_or_else(|| bad("a payload type is no number"))?;
            if section.codec_mut(payload_type).is_none() {
                section.codecs.push(well_known(payload_type));
            }
        }
    }
    // A bundle-only section has port 0 and is alive (RFC 9143, 6).
    Ok(section)
}

/// Static assignments that need no `rtpmap` (RFC 3551, 6).
fn well_known(payload_type: u8) -> OfferedCodec {
    let (name, clock_rate) = match payload_type {
        0 => ("PCMU", 8000),
        8 => ("PCMA", 8000),
        _ => ("", 0),
    };
    OfferedCodec {
        payload_type,
        name: name.to_owned(),
        clock_rate,
        channels: 1,
        ..OfferedCodec::default()
    }
}

impl Section {
    /// Audio or video over a secured RTP profile.
    pub fn is_rtp(&self) -> bool {
        matches!(self.media.as_str(), "audio" | "video") && self.protocol.contains("RTP/")
    }

    fn codec_mut(&mut self, payload_type: u8) -> Option<&mut OfferedCodec> {
        self.codecs.iter_mut().find(|codec| codec.payload_type == payload_type)
    }

    fn take(&mut self, name: &str, value: &str) {
        match name {
            "mid" => self.mid = value.to_owned(),
            "sendrecv" => self.way = Way::SendRecv,
            "sendonly" => self.way = Way::SendOnly,
            "recvonly" => self.way = Way::RecvOnly,
            "inactive" => self.way = Way::Inactive,
            "rtcp-mux" | "rtcp-mux-only" => self.rtcp_mux = true,
            "rtcp-rsize" => self.reduced_size = true,
            "bundle-only" => self.disabled = false,
            "extmap" => self.take_extension(value),
            "rtpmap" | "fmtp" | "rtcp-fb" => self.take_codec(name, value),
            _ => {}
        }
    }

    fn take_extension(&mut self, value: &str) {
        let mut words = value.split_whitespace();
        let (Some(id), Some(uri)) = (words.next(), words.next()) else { return };
        let id = id.split('/').next().and_then(|id| id.parse().ok());
        if let Some(id) = id {
            self.extensions.push((id, uri.to_owned()));
        }
    }

    fn take_codec(&mut self, name: &str, value: &str) {
        let Some((format, rest)) = value.split_once(' ') else { return };
        let rest = rest.trim();
        if name == "rtcp-fb" && format == "*" {
            for codec in &mut self.codecs {
                codec.feedback.push(rest.to_owned());
            }
            return;
        }
        let payload_type = format.parse().ok();
        let Some(codec) = payload_type.and_then(|pt| self.codec_mut(pt)) else { return };
        match name {
            "fmtp" => codec.fmtp = rest.to_owned(),
            "rtcp-fb" => codec.feedback.push(rest.to_owned()),
            _ => {
                let mut parts = rest.split('/');
                codec.name = parts.next().unwrap_or_default().to_owned();
                codec.clock_rate = parts.next().and_then(|rate| rate.parse().ok()).unwrap_or(0);
                codec.channels = parts.next().and_then(|count| count.parse().ok()).unwrap_or(1);
            }
        }
    }
}

fn bad(text: &str) -> NegotiationError {
    NegotiationError::BadOffer(text.to_owned())
}
