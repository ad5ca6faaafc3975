//! Against a real listener that speaks SMTP and writes down what it hears.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::*;
use crate::storage::model::OtpPurpose;

/// What a session ended with.
#[derive(PartialEq, Eq, Debug)]
enum End {
    /// A message was taken.
    Taken,
    /// The client wants TLS.
    StartTls,
    /// The client went.
    Gone,
}

/// Commands and message of a session, each command with whether it came under TLS.
#[derive(Default)]
struct Heard {
    commands: Vec<(bool, String)>,
    message: String,
}

impl Heard {
    fn first(&self, verb: &str) -> Option<&(bool, String)> {
        self.commands.iter().find(|(_, line)| line.starts_with(verb))
    }
}

/// A mail server for one message, and the certificate to trust.
struct Listener {
    port: u16,
    ca: Vec<u8>,
    heard: tokio::task::JoinHandle<Heard>,
}

impl Listener {
    /// `wrapped`: TLS from the first byte. `offers`: what EHLO tells beside its name.
    async fn start(wrapped: bool, offers: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (ca, acceptor) = certificate();
        let heard = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            session(stream, acceptor, wrapped, offers).await
        });
        Self { port, ca, heard }
    }

    fn config(&self, tls: SmtpTls) -> SmtpConfig {
        SmtpConfig {
            host: "localhost".into(),
            port: self.port,
            tls,
            login: Some(("cloud".into(), Redacted::new("mail secret".into()))),
            from: Email::parse("cloud@mail.example").unwrap(),
            ca: Some(self.ca.clone()),
            hello: "cloud.example".into(),
        }
    }

    fn sender(&self, tls: SmtpTls) -> SmtpMail {
        SmtpMail::new(self.config(tls)).unwrap()
    }
}

/// A CA, and a server that it vouches for.
fn certificate() -> (Vec<u8>, TlsAcceptor) {
    let mut ca = CertificateParams::new(Vec::<String>::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().unwrap();
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".into()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], private)
        .unwrap();
    (ca_pem.into_bytes(), TlsAcceptor::from(Arc::new(config)))
}

async fn session(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    wrapped: bool,
    offers: &'static [&'static str],
) -> Heard {
    let mut heard = Heard::default();
    if wrapped {
        let Ok(stream) = acceptor.accept(stream).await else { return heard };
        talk(stream, true, true, offers, &mut heard).await;
        return heard;
    }
    let (end, stream) = talk(stream, true, false, offers, &mut heard).await;
    if end == End::StartTls {
        let Ok(stream) = acceptor.accept(stream).await else { return heard };
        talk(stream, false, true, offers, &mut heard).await;
    }
    heard
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    greet: bool,
    protected: bool,
    offers: &[&str],
    heard: &mut Heard,
) -> (End, S) {
    let mut stream = BufReader::new(stream);
    if greet {
        stream.write_all(b"220 mail.example ESMTP\r\n").await.unwrap();
    }
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return (End::Gone, stream.into_inner());
        }
        let line = line.trim_end().to_owned();
        heard.commands.push((protected, line.clone()));
        let verb = line.split(' ').next().unwrap().to_uppercase();
        let answer = match verb.as_str() {
            "EHLO" => {
                let more: String = offers.iter().map(|offer| format!("250-{offer}\r\n")).collect();
                format!("250-mail.example\r\n{more}250 8BITMIME\r\n")
            }
            "STARTTLS" => "220 go on\r\n".into(),
            "AUTH" => "235 welcome\r\n".into(),
            "DATA" => "354 go on\r\n".into(),
            "QUIT" => "221 bye\r\n".into(),
            _ => "250 fine\r\n".into(),
        };
        stream.write_all(answer.as_bytes()).await.unwrap();
        if verb == "STARTTLS" {
            return (End::StartTls, stream.into_inner());
        }
        if verb == "DATA" {
            while !heard.message.ends_with("\r\n.\r\n") {
                assert!(stream.read_line(&mut heard.message).await.unwrap() > 0, "cut off");
            }
            stream.write_all(b"250 taken\r\n").await.unwrap();
            return (End::Taken, stream.into_inner());
        }
    }
}

fn anna() -> Email {
    Email::parse("Anna@mail.example").unwrap()
}

fn hello() -> Mail {
    Mail { subject: "Your Sightline code", body: Redacted::new("12345678 is it.\r\n".into()) }
}

#[tokio::test]
async fn mail_goes_out_after_starttls_and_the_login_is_told_there_only() {
    let server = Listener::start(false, &["STARTTLS", "AUTH PLAIN"]).await;
    server.sender(SmtpTls::StartTls).send(&anna(), &hello()).await.unwrap();
    let heard = server.heard.await.unwrap();
    let login = STANDARD.encode("\0cloud\0mail secret");
    assert_eq!(heard.first("AUTH"), Some(&(true, format!("AUTH PLAIN {login}"))));
    for (verb, line) in
        [("MAIL", "MAIL FROM:<cloud@mail.example>"), ("RCPT", "RCPT TO:<Anna@mail.example>")]
    {
        let (protected, said) = heard.first(verb).unwrap();
        assert!(*protected && said.starts_with(line), "{said}");
    }
    assert!(heard.first("EHLO").unwrap().1.ends_with("cloud.example"));
    let clear: Vec<_> = heard.commands.iter().filter(|(protected, _)| !protected).collect();
    assert_eq!(clear.len(), 2, "EHLO and STARTTLS: {clear:?}");
}

#[tokio::test]
async fn mail_goes_out_over_tls_from_the_first_byte() {
    let server = Listener::start(true, &["AUTH PLAIN"]).await;
    server.sender(SmtpTls::Tls).send(&anna(), &hello()).await.unwrap();
    let heard = server.heard.await.unwrap();
    let (head, body) = heard.message.split_once("\r\n\r\n").unwrap();
    let headers: Vec<_> = head.lines().map(|line| line.split(':').next().unwrap()).collect();
    for (name, value) in [
        ("Subject", "Subject: Your Sightline code"),
        ("To", "To: Anna@mail.example"),
        ("From", "From: Sightline <cloud@mail.example>"),
    ] {
        assert_eq!(headers.iter().filter(|header| **header == name).count(), 1, "{head}");
        assert!(head.lines().any(|line| line == value), "{value} in {head}");
    }
    assert!(headers.contains(&"Message-ID") && headers.contains(&"Date"), "{head}");
    assert!(body.starts_with("12345678 is it.\r\n"), "{body}");
    assert!(heard.commands.iter().all(|(protected, _)| *protected));
}

#[tokio::test]
async fn a_mail_in_two_languages_arrives_whole() {
    let server = Listener::start(true, &[]).await;
    let sender = SmtpMail::new(SmtpConfig { login: None, ..server.config(SmtpTls::Tls) });
    let mail = crate::mail::text::one_time_code(OtpPurpose::Login, "123456", "");
    sender.unwrap().send(&anna(), &mail).await.unwrap();
    let heard = server.heard.await.unwrap();
    let (head, body) = heard.message.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("Content-Transfer-Encoding: base64"), "{head}");
    let encoded: String = body.trim_end_matches(".\r\n").split_whitespace().collect();
    let text = String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap();
    assert_eq!(text, *mail.body.expose());
    assert!(text.contains("123456 is your Sightline sign-in code") && text.contains("登录验证码"));
}

#[tokio::test]
async fn a_server_that_does_not_offer_starttls_hears_neither_login_nor_mail() {
    let server = Listener::start(false, &["AUTH PLAIN"]).await;
    let error = server.sender(SmtpTls::StartTls).send(&anna(), &hello()).await.unwrap_err();
    assert!(!error.to_string().to_lowercase().contains("anna"), "{error}");
    let heard = server.heard.await.unwrap();
    assert!(heard.first("AUTH").is_none() && heard.first("MAIL").is_none());
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_hears_nothing() {
    let server = Listener::start(true, &["AUTH PLAIN"]).await;
    let config = SmtpConfig { ca: Some(certificate().0), ..server.config(SmtpTls::Tls) };
    let error = SmtpMail::new(config).unwrap().send(&anna(), &hello()).await.unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
    assert!(server.heard.await.unwrap().commands.is_empty());
}

#[tokio::test]
async fn mail_to_a_server_on_this_machine_may_go_in_clear() {
    let server = Listener::start(false, &["AUTH PLAIN"]).await;
    server.sender(SmtpTls::Plain).send(&anna(), &hello()).await.unwrap();
    assert!(server.heard.await.unwrap().message.contains("12345678 is it."));
}
