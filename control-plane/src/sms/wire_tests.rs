//! The carriers' shapes against a server that checks what it gets, on this machine.

use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sightline_grant::Redacted;
use url::{Url, form_urlencoded};

use super::aliyun::{self, Aliyun};
use super::twilio::{self, Twilio};
use super::{NotSent, SmsMessage, SmsSender};
use crate::clock::ManualClock;
use crate::outbound;
use crate::phone::Phone;
use crate::random::SeededRandom;

/// A request as it came.
struct Seen {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

/// What the server does with the next requests, and what it got.
#[derive(Default)]
struct Desk {
    seen: Vec<Seen>,
    answers: Vec<(u16, &'static str)>,
}

type Shared = Arc<Mutex<Desk>>;

async fn take(
    State(desk): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let mut desk = desk.lock().unwrap();
    desk.seen.push(Seen { method, uri, headers, body });
    let (status, text) = desk.answers.pop().unwrap_or((500, ""));
    (StatusCode::from_u16(status).unwrap(), text)
}

async fn server(answers: &[(u16, &'static str)]) -> (Shared, Url) {
    let answers = answers.iter().rev().copied().collect();
    let desk = Arc::new(Mutex::new(Desk { seen: Vec::new(), answers }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = outbound::address(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let app = Router::new().fallback(take).with_state(desk.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (desk, at)
}

async fn send(sender: &dyn SmsSender, number: &str) -> Result<(), NotSent> {
    let to = Phone::parse(number).unwrap();
    let text = Redacted::new("123456 is your code.\n\n@cam.example #123456".to_owned());
    let code = Redacted::new("123456".to_owned());
    sender.send(&SmsMessage { to: &to, text: &text, code: Some(&code), reference: "2a" }).await
}

fn aliyun(at: &Url) -> Aliyun {
    let account = aliyun::Account {
        key_id: "testId".into(),
        secret: Redacted::new("testSecret".into()),
        sign_name: "视线 云".into(),
        template: "SMS_71390007".into(),
    };
    let http = outbound::client(None, at).unwrap();
    let clock = Arc::new(ManualClock::new(1_698_315_752));
    Aliyun::new(account, at.clone(), http, clock, Arc::new(SeededRandom::new(1)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The signature that the carrier would compute from what it got, by the list of signed headers.
fn signature_of(seen: &Seen, secret: &str) -> String {
    let authorization = seen.headers[header::AUTHORIZATION].to_str().unwrap();
    let (_, rest) = authorization.split_once("SignedHeaders=").unwrap();
    let (names, _) = rest.split_once(',').unwrap();
    let mut lines = String::new();
    for name in names.split(';') {
        lines += &format!("{name}:{}\n", seen.headers[name].to_str().unwrap().trim());
    }
    let hash = |bytes: &[u8]| hex(digest(&SHA256, bytes).as_ref());
    let mut query: Vec<&str> = seen.uri.query().unwrap().split('&').collect();
    query.sort_unstable();
    let canonical =
        [seen.method.as_str(), seen.uri.path(), &query.join("&"), &lines, names, &hash(&seen.body)]
            .join("\n");
    let text = format!("ACS3-HMAC-SHA256\n{}", hash(canonical.as_bytes()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hex(hmac::sign(&key, text.as_bytes()).as_ref())
}

#[tokio::test]
async fn aliyun_gets_a_signed_call_with_template_and_number() {
    let ok = r#"{"Code":"OK","Message":"OK","BizId":"9","RequestId":"r"}"#;
    let (desk, at) = server(&[(200, ok), (200, ok)]).await;
    send(&aliyun(&at), "+8613800138000").await.unwrap();
    send(&aliyun(&at), "+85261234567").await.unwrap();
    let desk = desk.lock().unwrap();
    let [mainland, abroad] = &desk.seen[..] else { panic!("{} calls", desk.seen.len()) };
    for seen in [mainland, abroad] {
        let authorization = seen.headers[header::AUTHORIZATION].to_str().unwrap();
        assert!(authorization.starts_with("ACS3-HMAC-SHA256 Credential=testId,SignedHeaders="));
        assert!(
            authorization.ends_with(&format!("Signature={}", signature_of(seen, "testSecret")))
        );
        assert!(!authorization.ends_with(&signature_of(seen, "another")));
        assert_eq!(seen.headers["x-acs-action"], "SendSms");
        assert_eq!(seen.headers["x-acs-date"], "2023-10-26T10:22:32Z");
    }
    let said = |seen: &Seen, name: &str| {
        let query = seen.uri.query().unwrap().to_owned();
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find(|(key, _)| key == name).unwrap().1.into_owned()
    };
    assert_eq!(said(mainland, "PhoneNumbers"), "13800138000");
    assert_eq!(said(abroad, "PhoneNumbers"), "85261234567");
    assert_eq!(said(mainland, "SignName"), "视线 云");
    assert_eq!(said(mainland, "TemplateParam"), r#"{"code":"123456"}"#);
    assert_eq!(said(mainland, "OutId"), "2a");
}

#[tokio::test]
async fn twilio_gets_a_form_with_the_whole_message() {
    let (desk, at) = server(&[(201, r#"{"sid":"SM1","status":"queued"}"#)]).await;
    let account = twilio::Account {
        sid: "AC1".into(),
        key_id: "SK1".into(),
        secret: Redacted::new("s:ecret".into()),
        from: "+12025550123".into(),
    };
    let sender = Twilio::new(account, at.clone(), outbound::client(None, &at).unwrap());
    send(&sender, "+4915112345678").await.unwrap();
    let desk = desk.lock().unwrap();
    let seen = &desk.seen[0];
    assert_eq!(seen.uri.path(), "/2010-04-01/Accounts/AC1/Messages.json");
    let expected = format!("Basic {}", BASE64.encode("SK1:s:ecret"));
    assert_eq!(seen.headers[header::AUTHORIZATION], expected);
    let form: Vec<_> = form_urlencoded::parse(&seen.body).into_owned().collect();
    let pairs = [("To", "+4915112345678"), ("From", "+12025550123")];
    for (form, pair) in form.iter().zip(pairs) {
        assert_eq!((form.0.as_str(), form.1.as_str()), pair);
    }
    assert_eq!(form[2].1.lines().last(), Some("@cam.example #123456"));
}

#[tokio::test]
async fn what_did_not_get_out_is_tried_again_and_what_may_have_is_not() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = outbound::address(&format!("http://{}/", closed.local_addr().unwrap())).unwrap();
    drop(closed);
    assert!(matches!(send(&aliyun(&nobody), "+8613800138000").await, Err(NotSent::Later(_))));
    // Takes the request and hangs up.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = outbound::address(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut some = [0; 512];
        let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut some).await;
    });
    let lost = send(&aliyun(&at), "+8613800138000").await;
    assert!(matches!(lost, Err(NotSent::Unknown(_))), "{lost:?}");
    let (_, at) = server(&[(200, r#"{"Code":"isv.MOBILE_NUMBER_ILLEGAL"}"#)]).await;
    assert!(matches!(send(&aliyun(&at), "+8613800138000").await, Err(NotSent::Refused(_))));
}
