use super::super::testing::{Authenticator, Pair, Shown, VERIFIED, party, rsa_cose};
use super::*;
use crate::random::{self, SeededRandom};

const CHALLENGE: [u8; CHALLENGE_BYTES] = [9; CHALLENGE_BYTES];
const ID: &[u8] = b"a credential's id";

fn authenticator() -> Authenticator {
    Authenticator::new(Pair::p256(), ID)
}

fn login(shown: &Shown, key: &[u8]) -> Result<u32, Flaw> {
    answered(&shown.client_data, Ceremony::Login, &party())?;
    let Shown { client_data, authenticator_data, signature } = shown;
    asserted(&Assertion { client_data, authenticator_data, signature }, key, &party())
}

fn made(authenticator: &Authenticator) -> Result<(), Flaw> {
    registered(&authenticator.create(&CHALLENGE).authenticator_data, &party()).map(drop)
}

#[test]
fn each_kind_of_key_is_taken_and_signs() {
    for pair in Pair::each() {
        let mut authenticator = Authenticator::new(pair, ID);
        let shown = authenticator.create(&CHALLENGE);
        let challenge = answered(&shown.client_data, Ceremony::Registration, &party());
        assert_eq!(challenge, Ok(CHALLENGE));
        let new = registered(&shown.authenticator_data, &party()).unwrap();
        let key = authenticator.pair.cose();
        assert_eq!((new.id, new.key, new.counter), (ID, &key[..], 0));
        authenticator.counter = 7;
        assert_eq!(login(&authenticator.get(&CHALLENGE), &key), Ok(7));
        let other = authenticator.get(&[8; CHALLENGE_BYTES]);
        let mixed = Shown { signature: other.signature, ..authenticator.get(&CHALLENGE) };
        assert_eq!(login(&mixed, &key), Err(Flaw::BadSignature));
    }
}

#[test]
fn each_check_refuses_alone() {
    let key_of = |authenticator: &Authenticator| authenticator.pair.cose();
    for (change, flaw) in [
        ((|it| it.origin = "https://test.example") as fn(&mut Authenticator), Flaw::OtherOrigin),
        (|it| it.origin = "https://evil.example:8443", Flaw::OtherOrigin),
        (|it| it.name = "evil.example", Flaw::OtherParty),
        (|it| it.flags = 0b0000_0001, Flaw::NotVerified),
        (|it| it.flags = 0b0000_0100, Flaw::NotVerified),
        (|it| it.flags = 0, Flaw::NotVerified),
        (|it| it.flags = VERIFIED | 0b0001_0000, Flaw::Malformed),
        (|it| it.extensions = vec![0x81, 0x01], Flaw::Malformed),
        (|it| it.extensions = vec![0xa0, 0x00], Flaw::Malformed),
    ] {
        let mut authenticator = authenticator();
        change(&mut authenticator);
        let key = key_of(&authenticator);
        assert_eq!(login(&authenticator.get(&CHALLENGE), &key), Err(flaw));
        let shown = authenticator.create(&CHALLENGE);
        let client = answered(&shown.client_data, Ceremony::Registration, &party());
        let data = registered(&shown.authenticator_data, &party()).map(drop);
        assert_eq!(client.map(drop).and(data), Err(flaw));
    }
    let mut good = authenticator();
    good.flags = VERIFIED | 0b0001_1000;
    good.extensions = vec![0xa1, 0x61, b'x', 0x02];
    assert_eq!(login(&good.get(&CHALLENGE), &key_of(&good)), Ok(0), "a backup, an extension");
    assert_eq!(made(&good), Ok(()));
    let shown = good.create(&CHALLENGE);
    let as_login = answered(&shown.client_data, Ceremony::Login, &party());
    assert_eq!(as_login, Err(Flaw::OtherCeremony));
    let with_credential = Shown {
        client_data: good.get(&CHALLENGE).client_data,
        signature: Vec::new(),
        authenticator_data: shown.authenticator_data,
    };
    assert_eq!(login(&with_credential, &key_of(&good)), Err(Flaw::Malformed));
    let bare = good.get(&CHALLENGE).authenticator_data;
    assert_eq!(registered(&bare, &party()), Err(Flaw::Malformed));
}

#[test]
fn what_the_browser_says_is_read_strictly() {
    let text = |members: &str| {
        let challenge = B64.encode(CHALLENGE);
        format!(
            "{{\"type\":\"webauthn.get\",\"challenge\":\"{challenge}\",\
             \"origin\":\"https://test.example:8443\"{members}}}"
        )
    };
    let read = |text: &str| answered(text.as_bytes(), Ceremony::Login, &party());
    assert_eq!(read(&text("")), Ok(CHALLENGE));
    assert_eq!(read(&text(",\"crossOrigin\":true")), Err(Flaw::OtherOrigin));
    assert_eq!(read(&text(",\"origin\":\"https://evil.example\"")), Err(Flaw::Malformed));
    for wrong in ["", "{}", "[]", "null", &text("")[1..], &format!("{}x", text(""))] {
        assert_eq!(read(wrong), Err(Flaw::Malformed), "{wrong}");
    }
    for challenge in [B64.encode([9; 31]), B64.encode([9; 33]), "!".into(), String::new()] {
        let other = text("").replace(&B64.encode(CHALLENGE), &challenge);
        assert_eq!(read(&other), Err(Flaw::Malformed), "{challenge}");
    }
    let padded = |length: usize| format!("{:length$}", text(""));
    assert_eq!(read(&padded(CLIENT_DATA_BYTES)), Ok(CHALLENGE));
    assert_eq!(read(&padded(CLIENT_DATA_BYTES + 1)), Err(Flaw::Malformed));
}

#[test]
fn lengths_are_bounded_on_both_sides() {
    for (length, taken) in [(15, false), (16, true), (1023, true), (1024, false)] {
        let authenticator = Authenticator::new(Pair::p256(), &vec![1; length]);
        assert_eq!(made(&authenticator).is_ok(), taken, "{length}");
    }
    let with = |padding: usize| {
        let mut padded = authenticator();
        let length = u16::try_from(padding).unwrap().to_be_bytes();
        padded.extensions = [&[0xa1, 0x61, b'x', 0x59], &length[..], &vec![0; padding]].concat();
        padded
    };
    let room = AUTHENTICATOR_DATA_BYTES - with(1000).get(&CHALLENGE).authenticator_data.len();
    let (most, more) = (with(1000 + room), with(1000 + room + 1));
    assert_eq!(login(&most.get(&CHALLENGE), &most.pair.cose()), Ok(0));
    assert_eq!(login(&more.get(&CHALLENGE), &more.pair.cose()), Err(Flaw::Malformed));
    let good = authenticator();
    let signed = |length| Shown { signature: vec![1; length], ..good.get(&CHALLENGE) };
    let key = good.pair.cose();
    assert_eq!(login(&signed(PASSKEY_SIGNATURE_BYTES), &key), Err(Flaw::BadSignature));
    assert_eq!(login(&signed(PASSKEY_SIGNATURE_BYTES + 1), &key), Err(Flaw::Malformed));
}

#[test]
fn what_is_no_key_is_not_taken() {
    let read = |cose: &[u8]| {
        let mut reader = Reader::new(cose);
        CredentialKey::read(&mut reader).is_ok() && reader.rest().is_empty()
    };
    let modulus = |bytes: usize| {
        let mut modulus = vec![0xab; bytes];
        modulus[bytes - 1] = 1;
        modulus
    };
    for (bytes, taken) in [(255, false), (256, true), (512, true), (513, false)] {
        assert_eq!(read(&rsa_cose(&modulus(bytes), &[1, 0, 1])), taken, "{bytes}");
    }
    for exponent in [&[][..], &[1], &[2], &[0, 3], &[1, 0, 0, 0, 1]] {
        assert!(!read(&rsa_cose(&modulus(256), exponent)), "{exponent:?}");
    }
    let mut zero_first = modulus(256);
    zero_first[0] = 0;
    assert!(!read(&rsa_cose(&zero_first, &[1, 0, 1])));
    let good = Pair::p256().cose();
    assert!(read(&good));
    let mut off_the_curve = good.clone();
    let last = off_the_curve.len() - 1;
    off_the_curve[last] ^= 1;
    assert!(!read(&off_the_curve));
    let other_algorithm = good.iter().map(|byte| if *byte == 0x26 { 0x27 } else { *byte });
    assert!(!read(&other_algorithm.collect::<Vec<_>>()));
    let members = [&[0xa6], &good[1..], &[0x23, 0x00]].concat();
    assert!(!read(&members), "one member more");
}

#[test]
fn a_change_of_any_bit_and_any_cut_is_refused() {
    let authenticator = authenticator();
    let (key, good) = (authenticator.pair.cose(), authenticator.get(&CHALLENGE));
    let with = |data: Vec<u8>, client: Vec<u8>| {
        let signature = good.signature.clone();
        login(&Shown { authenticator_data: data, client_data: client, signature }, &key)
    };
    let (data, client) = (&good.authenticator_data, &good.client_data);
    assert_eq!(with(data.clone(), client.clone()), Ok(0));
    for bit in 0..data.len() * 8 {
        let mut changed = data.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(with(changed, client.clone()).is_err(), "bit {bit} of the authenticator's");
    }
    for bit in 0..client.len() * 8 {
        let mut changed = client.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(with(data.clone(), changed).is_err(), "bit {bit} of the browser's");
    }
    for end in 0..data.len() {
        assert!(with(data[..end].to_vec(), client.clone()).is_err());
    }
    let made = authenticator.create(&CHALLENGE).authenticator_data;
    for end in 0..made.len() {
        assert_eq!(registered(&made[..end], &party()).err(), Some(Flaw::Malformed), "{end}");
    }
    assert!(registered(&[&made[..], &[0]].concat(), &party()).is_err());
}

#[test]
fn noise_is_never_taken_and_stops_nothing() {
    let source = SeededRandom::new(42);
    let authenticator = authenticator();
    let key = authenticator.pair.cose();
    let made = authenticator.create(&CHALLENGE).authenticator_data;
    for round in 0..20_000_usize {
        let noise = random::bytes::<96>(&source);
        let length = usize::from(noise[0]) % noise.len();
        assert!(answered(&noise[..length], Ceremony::Login, &party()).is_err());
        let shown = Assertion {
            client_data: &noise[..length],
            authenticator_data: &noise[length..],
            signature: &noise,
        };
        assert!(asserted(&shown, &key, &party()).is_err());
        // Noise behind a head that holds reaches every reader.
        let from = 37 + round % (made.len() - 37);
        let mixed = [&made[..from], &noise[..length]].concat();
        if let Ok(new) = registered(&mixed, &party()) {
            assert!(CREDENTIAL_ID_BYTES.contains(&new.id.len()));
            assert!(CredentialKey::read(&mut Reader::new(new.key)).is_ok());
        }
        let _ = Reader::new(&noise).skip();
        let _ = CredentialKey::read(&mut Reader::new(&noise[1..]));
    }
}
