//! The code that an owner and a guest compare.

use super::*;

fn reply(rig: &Rig, owner: u8) -> OwnerReply {
    let binding = rig.camera.lists().binding().clone();
    OwnerReply::new(binding, rig.pin(), terminal(owner).public()).expect("random")
}

fn offer(guest: u8) -> GuestOffer {
    GuestOffer::new(terminal(guest).public()).expect("random")
}

#[test]
fn owner_and_guest_read_the_same_code_of_eight_digits() {
    let rig = Rig::new("CAM-1", 1);
    let guest = offer(2);
    let commitment = guest.commitment();
    let reply = reply(&rig, 1);
    let received = OwnerReply::parse(&reply.to_bytes()).expect("a reply");
    assert_eq!(received, reply);
    let (reveal, at_guest) = guest.answer(&received);
    let received = Reveal::parse(&reveal.to_bytes()).expect("a reveal");
    let at_owner = reply.check(&commitment, &received).expect("as announced");
    assert_eq!(at_guest, at_owner);
    let digits: Vec<char> = at_owner.code.chars().collect();
    assert_eq!((digits.len(), digits[CODE_DIGITS / 2]), (CODE_DIGITS + 1, ' '));
    assert_eq!(digits.iter().filter(|c| c.is_ascii_digit()).count(), CODE_DIGITS);
    assert_eq!(received.guest, terminal(2).public());
}

/// A server between the two, with keys of its own towards each.
#[test]
fn a_server_in_the_middle_shows_two_codes() {
    let rig = Rig::new("CAM-1", 1);
    let (guest, server) = (offer(2), offer(66));
    let owner = reply(&rig, 1);
    let (server_reveal, _) = offer(66).answer(&owner);
    // It must have announced what it shows.
    let refused = owner.clone().check(&server.commitment(), &server_reveal);
    assert_eq!(refused, Err(ConfirmError::OtherKeys));
    let commitment = server.commitment();
    let (server_reveal, _) = server.answer(&owner);
    let at_owner = owner.check(&commitment, &server_reveal).expect("as announced");
    let (_, at_guest) = guest.answer(&reply(&rig, 66));
    assert_ne!(at_owner, at_guest);
}

/// Both sides also compare which camera and binding they speak of.
#[test]
fn another_camera_or_binding_shows_another_code() {
    let rig = Rig::new("CAM-1", 1);
    let owner = reply(&rig, 1);
    let guest = offer(2);
    let commitment = guest.commitment();
    let mut other = owner.clone();
    other.camera = [9; 32];
    let (reveal, at_guest) = guest.answer(&other);
    assert_ne!(owner.clone().check(&commitment, &reveal), Ok(at_guest));
    let mut rebound = owner.clone();
    rebound.binding = binding("CAM-1", 4);
    let code = |reply: OwnerReply| reply.check(&commitment, &reveal).expect("as announced");
    assert_ne!(code(rebound), code(owner));
}
