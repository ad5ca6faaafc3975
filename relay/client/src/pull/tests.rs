use super::*;

fn target(url: &str, policy: TargetPolicy) -> PullTarget {
    PullTarget { url: Url::parse(url).expect("a URL"), login: None, policy }
}

#[tokio::test]
async fn every_spelling_of_an_inner_address_is_refused_after_resolution() {
    let hosts = [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0",
        "0.0.0.0",
        "localhost",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "169.254.169.254",
        "10.0.0.1",
        "[fe80::1]",
        "[ff02::1]",
    ];
    for host in hosts {
        let refused = resolved(&target(&format!("rtsp://{host}/x"), TargetPolicy::default())).await;
        // A resolver that does not take a spelling leads nowhere, which is as good.
        assert!(matches!(refused, Err(PullError::Target | PullError::Resolve)), "{host}");
    }
}

#[tokio::test]
async fn a_name_is_replaced_by_the_checked_address() {
    let url = resolved(&target("rtsp://127.0.0.1:8554/x?y", TargetPolicy::LOCAL)).await;
    assert_eq!(url.expect("allowed").as_str(), "rtsp://127.0.0.1:8554/x?y");
}

#[tokio::test]
async fn credentials_in_the_address_and_other_schemes_are_refused() {
    for url in ["rtsp://a:b@192.168.0.1/", "rtsp://a@192.168.0.1/", "http://192.168.0.1/"] {
        let refused = resolved(&target(url, TargetPolicy::LOCAL)).await;
        assert!(matches!(refused, Err(PullError::Url)), "{url}");
    }
}

#[test]
fn no_password_is_in_an_error_or_a_debug_text() {
    let password = Redacted::new("hunter2".to_owned());
    assert_eq!(safe("bad hunter2\nmore", Some(&password)), "bad [redacted]");
    let login = Some(("user".to_owned(), password));
    let target = PullTarget { login, ..target("rtsp://192.168.0.1/", TargetPolicy::LOCAL) };
    assert!(!format!("{target:?}").contains("hunter2"));
}
