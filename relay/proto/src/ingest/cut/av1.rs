//! Temporal units of AV1.

use bytes::Bytes;
use smallvec::smallvec;

use super::{Broken, Cut};
use crate::ingest::MAX_FRAME_PACKETS;
use crate::limits::MAX_CANONICAL_PAYLOAD;
use crate::wire::av1::{self, Obu};

pub(super) fn cut(packets: &[Bytes]) -> Result<Option<Cut>, Broken> {
    let mut obus: Vec<Obu> = Vec::new();
    let mut open = false;
    let mut keyframe = false;
    for (index, packet) in packets.iter().enumerate() {
        let (header, elements) = av1::parse(packet).ok_or(Broken)?;
        if header.continues != open || obus.len() > MAX_FRAME_PACKETS {
            return Err(Broken);
        }
        keyframe |= index == 0 && header.new_sequence;
        for (at, element) in elements.into_iter().enumerate() {
            match obus.last_mut() {
                Some(obu) if at == 0 && open => obu.push(element),
                _ => obus.push(smallvec![element]),
            }
        }
        open = header.unfinished;
    }
    if open {
        return Err(Broken);
    }
    let kind = |obu: &Obu| av1::obu_type(obu[0][0]);
    keyframe |= obus.iter().any(|obu| kind(obu) == av1::SEQUENCE_HEADER);
    if !obus.iter().any(|obu| is_picture(kind(obu))) {
        return Ok(None);
    }
    let fits = packets.iter().all(|packet| packet.len() <= MAX_CANONICAL_PAYLOAD);
    let payloads = if fits && !obus.iter().any(|obu| av1::is_dropped(kind(obu))) {
        packets.to_vec()
    } else {
        obus.retain(|obu| !av1::is_dropped(kind(obu)));
        let mut out = Vec::new();
        av1::push_obus(&obus, keyframe, &mut out);
        out
    };
    if payloads.len() > MAX_FRAME_PACKETS {
        return Err(Broken);
    }
    Ok(Some(Cut { payloads, keyframe, discardable: false }))
}

fn is_picture(kind: u8) -> bool {
    matches!(kind, av1::FRAME_HEADER | av1::TILE_GROUP | av1::FRAME | av1::REDUNDANT_FRAME_HEADER)
}
