use super::*;

const OIDC: &str = "id = 'work'\nkind = 'oidc'\nname = 'Work'\nclient_id = 'c'\n\
                    redirect_uris = ['https://cam.example/']\nissuer = 'https://id.example'\n\
                    secret_file = 's'\n";
const APPLE: &str = "id = 'apple'\nkind = 'apple'\nname = 'Apple'\nclient_id = 'c'\n\
                     redirect_uris = ['https://cam.example/']\nteam_id = 't'\nkey_id = 'k'\n\
                     key_file = 'key.p8'\n";
const WECHAT: &str = "id = 'wechat'\nkind = 'wechat'\nname = 'WeChat'\nclient_id = 'c'\n\
                      redirect_uris = ['https://cam.example/']\nsecret_file = 's'\n";

fn provider(text: &str) -> Provider {
    toml::from_str(text).unwrap()
}

fn fault(text: &str) -> Option<String> {
    validate(&[provider(text)]).err().map(|error| error.to_string())
}

#[test]
fn a_provider_names_the_key_that_is_at_fault() {
    for whole in [OIDC, APPLE, WECHAT] {
        assert_eq!(fault(whole), None);
    }
    let long = "x".repeat(MAX_ID_CHARS + 1);
    for (text, key) in [
        (OIDC.replace("id = 'work'\n", "id = 'Work'\n"), "id"),
        (OIDC.replace("id = 'work'\n", "id = ''\n"), "id"),
        (OIDC.replace("'work'", &format!("'{long}'")), "id"),
        (OIDC.replace("'work'", "'development'"), "id"),
        (OIDC.replace("'Work'", "''"), "name"),
        (OIDC.replace("'c'", "''"), "client_id"),
        (OIDC.replace("issuer = 'https://id.example'", ""), "issuer"),
        (OIDC.replace("https://id.example", "http://id.example"), "issuer"),
        (OIDC.replace("https://id.example", "https://id.example/?a=b"), "issuer"),
        (OIDC.replace("secret_file = 's'", ""), "secret_file"),
        (OIDC.replace("secret_file = 's'", "secret_file = 's'\nteam_id = 't'"), "team_id"),
        (OIDC.replace("['https://cam.example/']", "[]"), "redirect_uris"),
        (OIDC.replace("https://cam.example/", "http://cam.example/"), "redirect_uris"),
        (OIDC.replace("https://cam.example/", "https://cam.example/#x"), "redirect_uris"),
        (APPLE.replace("key_id = 'k'", ""), "key_id"),
        (APPLE.replace("key_file = 'key.p8'", ""), "key_file"),
        (APPLE.replace("team_id", "secret_file"), "secret_file"),
        (WECHAT.replace("secret_file = 's'", ""), "secret_file"),
        (format!("{WECHAT}issuer = 'https://x.example'"), "issuer"),
    ] {
        let said = fault(&text).unwrap_or_else(|| panic!("taken: {text}"));
        assert!(said.contains(&format!("identity_providers.{key}")), "{key}: {said}");
    }
    assert!(toml::from_str::<Provider>(&format!("{OIDC}secret = 'x'")).is_err(), "unknown");
}

#[test]
fn providers_are_bounded_and_have_ids_of_their_own() {
    let many = |count: usize| -> Vec<Provider> {
        (0..count).map(|n| provider(&OIDC.replace("work", &format!("w-{n}")))).collect()
    };
    assert!(validate(&many(MAX_PROVIDERS)).is_ok());
    assert!(validate(&many(MAX_PROVIDERS + 1)).is_err());
    let twice = [provider(OIDC), provider(OIDC)];
    assert!(validate(&twice).unwrap_err().to_string().contains("identity_providers.id"));
    let redirects = |count: usize| {
        let list = vec!["'https://cam.example/'"; count].join(",");
        fault(&OIDC.replace("'https://cam.example/'", &list))
    };
    assert!(redirects(MAX_REDIRECTS).is_none() && redirects(MAX_REDIRECTS + 1).is_some());
}

#[test]
fn a_secret_or_key_that_is_none_is_named_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.p8");
    std::fs::write(&path, "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n")
        .unwrap();
    let text = APPLE.replace("key.p8", &path.display().to_string());
    let error = provider(&text).open().map(drop).unwrap_err();
    assert!(error.contains("apple") && error.contains("key_file"), "{error}");
    assert!(!error.contains("c2VjcmV0"));
    let missing = provider(OIDC).open().map(drop).unwrap_err();
    assert!(missing.contains("work") && missing.contains("secret"), "{missing}");
}
