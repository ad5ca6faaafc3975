//! Video frames: what stays, what is cut, where parameter sets go.

use super::*;

const H264: NalFormat = NalFormat::H264;
const H265: NalFormat = NalFormat::H265;

fn one(codec: Codec, payloads: &[Bytes]) -> Frame {
    let mut ingest = ingest(codec, true);
    let mut frames = feed(&mut ingest, start(), &Sender::new().packets(payloads));
    assert_eq!(frames.len(), 1);
    let frame = frames.remove(0);
    check_canonical(&frame);
    frame
}

fn h265_sets() -> [Vec<u8>; 3] {
    let mut sps = vec![0x42, 0x01, 0x01];
    sps.extend([0x11; 12]);
    sps.extend([0xa0, 0x80]);
    [vec![0x40, 0x01, 0x0c, 0x01], sps, vec![0x44, 0x01, 0xc1, 0x72]]
}

fn bytes(nals: &[Vec<u8>]) -> Vec<Bytes> {
    nals.iter().map(|nal| Bytes::from(nal.clone())).collect()
}

#[test]
fn packets_that_fit_keep_their_bytes_without_a_copy() {
    let unit = annexb(&[h264_sps(30), h264_pps(), h264_idr(5000)]);
    let packets = Sender::new().packets(&packetize(Codec::H264, &unit));
    let mut ingest = ingest(Codec::H264, true);
    let frames = feed(&mut ingest, start(), &packets);
    for (payload, packet) in frames[0].payloads.iter().zip(&packets) {
        assert_eq!(payload.as_ptr(), packet[12..].as_ptr());
    }
    assert_eq!(frames[0].payloads.len(), packets.len());
}

#[test]
fn an_h264_access_unit_survives_packetizing_and_ingest() {
    for len in [2, 1187, 1188, 1189, 1190, 2373, 2374, 60_000] {
        let units = [h264_sps(30), h264_pps(), vec![6, 5, 1, 0x80], h264_idr(len), h264_idr(len)];
        let frame = one(Codec::H264, &packetize(Codec::H264, &annexb(&units)));
        assert_eq!(nals(H264, &frame.payloads), units);
        assert!(frame.descriptor.keyframe && !frame.descriptor.discardable);
    }
}

#[test]
fn an_h265_access_unit_survives_packetizing_and_ingest() {
    let [vps, sps, pps] = h265_sets();
    for len in [3, 1188, 1189, 1190, 60_000] {
        for (header, keyframe) in [([0x26, 1], true), ([0x2a, 1], true), ([0x02, 1], false)] {
            let units = [vps.clone(), sps.clone(), pps.clone(), slice(&header, len, 9)];
            let frame = one(Codec::H265, &packetize(Codec::H265, &annexb(&units)));
            assert_eq!(nals(H265, &frame.payloads), units);
            assert_eq!(frame.descriptor.keyframe, keyframe);
        }
    }
}

#[test]
fn large_packets_are_cut_into_equal_parts() {
    for len in [1189, 3000, 65_000, 1_000_000] {
        for (codec, format, nal) in
            [(Codec::H264, H264, h264_idr(len)), (Codec::H265, H265, slice(&[0x26, 1], len, 3))]
        {
            let frame = one(codec, &bytes(std::slice::from_ref(&nal)));
            assert_eq!(nals(format, &frame.payloads), [nal]);
            let (last, full) = frame.payloads.split_last().expect("payloads");
            assert!(full.iter().all(|part| part.len() == full[0].len()));
            assert!(last.len() <= full[0].len());
            let header = format.header_len();
            let room = MAX_CANONICAL_PAYLOAD - header - 1;
            assert_eq!(frame.payloads.len(), (len - header).div_ceil(room));
        }
    }
}

#[test]
fn a_run_of_large_fragments_is_cut_anew() {
    let nal = h264_idr(50_000);
    let mut run = Vec::new();
    crate::wire::cut::cut(
        &[Bytes::from(nal.clone()).slice(1..)],
        9000,
        |first, last| [0x7c, 5 | u8::from(first) << 7 | u8::from(last) << 6],
        &mut run,
    );
    let frame = one(Codec::H264, &run);
    assert_eq!(nals(H264, &frame.payloads), [nal]);
    assert!(frame.payloads.len() < 45);
}

#[test]
fn a_large_aggregate_is_taken_apart() {
    let mut aggregate = vec![0x78];
    let units = [h264_sps(30), h264_pps(), h264_idr(1500), h264_idr(800)];
    for nal in &units {
        aggregate.extend((nal.len() as u16).to_be_bytes());
        aggregate.extend(nal);
    }
    let frame = one(Codec::H264, &[aggregate.into()]);
    assert_eq!(nals(H264, &frame.payloads), units);
}

#[test]
fn parameter_sets_go_before_every_keyframe_in_one_packet() {
    let mut info = TrackInfo::video(Codec::H264);
    info.parameter_sets = vec![annexb(&[h264_sps(30)]), h264_pps().into()];
    let mut ingest = TrackIngest::new(TrackIndex(0), info, true, 0, 0);
    let mut sender = Sender::new();
    let now = start();
    for _ in 0..2 {
        let packets = sender.packets(&bytes(&[h264_idr(100)]));
        let frames = feed(&mut ingest, now, &packets);
        assert_eq!(nals(H264, &frames[0].payloads[..1]), [h264_sps(30), h264_pps()]);
        assert_eq!(frames[0].payloads.len(), 2);
        sender.step(3000);
        let frames = feed(&mut ingest, now, &sender.packets(&bytes(&[h264_p(100)])));
        assert_eq!(frames[0].payloads.len(), 1);
        sender.step(3000);
    }
}

#[test]
fn the_latest_parameter_sets_in_band_win_and_are_not_doubled() {
    let mut info = TrackInfo::video(Codec::H264);
    info.parameter_sets = vec![h264_sps(30).into(), h264_pps().into()];
    let mut ingest = TrackIngest::new(TrackIndex(0), info, true, 0, 0);
    let mut sender = Sender::new();
    let now = start();
    let units = [h264_sps(31), h264_pps(), h264_idr(100)];
    let frames = feed(&mut ingest, now, &sender.packets(&bytes(&units)));
    assert_eq!(nals(H264, &frames[0].payloads), units);
    sender.step(3000);
    let frames = feed(&mut ingest, now, &sender.packets(&bytes(&[h264_idr(100)])));
    assert_eq!(nals(H264, &frames[0].payloads), units);
    sender.step(3000);
    assert_eq!(ingest.parameter_sets(), bytes(&[h264_sps(31), h264_pps()]));
    // An SPS alone: the PPS known so far comes with it, once each.
    let half = [h264_sps(32), h264_idr(100)];
    let frames = feed(&mut ingest, now, &sender.packets(&bytes(&half)));
    assert_eq!(nals(H264, &frames[0].payloads), [h264_sps(32), h264_pps(), h264_idr(100)]);
}

#[test]
fn h265_parameter_sets_of_an_earlier_packet_are_kept_for_keyframes() {
    let [vps, sps, pps] = h265_sets();
    let mut ingest = ingest(Codec::H265, true);
    let mut sender = Sender::new();
    let now = start();
    let sets = [vps.clone(), sps.clone(), pps.clone()];
    // With a marker and a timestamp of their own: no frame.
    assert!(feed(&mut ingest, now, &sender.packets(&bytes(&sets))).is_empty());
    sender.step(1);
    let idr = slice(&[0x26, 1], 50, 1);
    let frames = feed(&mut ingest, now, &sender.packets(&bytes(std::slice::from_ref(&idr))));
    assert_eq!(nals(H265, &frames[0].payloads), [vps, sps, pps, idr]);
    assert_eq!(frames[0].payloads.len(), 2);
    assert_eq!((ingest.frames_lost(), frames[0].descriptor.discontinuity), (0, false));
}

#[test]
fn start_codes_in_packets_are_tolerated() {
    let units = [h264_sps(30), h264_pps(), h264_idr(400)];
    let whole = annexb(&units);
    assert_eq!(nals(H264, &one(Codec::H264, std::slice::from_ref(&whole)).payloads), units);
    // The first unit bare, the others behind start codes.
    assert_eq!(nals(H264, &one(Codec::H264, &[whole.slice(4..)]).payloads), units);
    // The same in fragments under the parameter set's header.
    let mut run = Vec::new();
    H264.push_fragments([0x67, 0], &[whole.slice(5..)], &mut run);
    assert_eq!(nals(H264, &one(Codec::H264, &run).payloads), units);
}

#[test]
fn delimiters_and_filler_are_left_out() {
    let payloads = bytes(&[vec![9, 0xf0], h264_p(10), vec![12, 0xff, 0x80]]);
    assert_eq!(nals(H264, &one(Codec::H264, &payloads).payloads), [h264_p(10)]);
}

#[test]
fn only_a_frame_without_reference_slices_is_discardable() {
    let loose = slice(&[0x01], 50, 4);
    assert!(one(Codec::H264, &bytes(std::slice::from_ref(&loose))).descriptor.discardable);
    assert!(!one(Codec::H264, &bytes(&[loose, h264_p(50)])).descriptor.discardable);
}

#[test]
fn of_h265_only_a_frame_of_the_highest_sub_layer_without_references_is_discardable() {
    let [vps, sps, pps] = h265_sets();
    let (trail_n, trail_r, tsa_n, rasl_n, bla) = (0, 1, 2, 8, 16);
    for (top, kind, layer, discardable) in [
        (None, trail_n, 0, false),
        (Some(0), trail_n, 0, true),
        (Some(0), trail_r, 0, false),
        (Some(0), rasl_n, 0, true),
        (Some(0), bla, 0, false),
        (Some(1), trail_n, 0, false),
        (Some(1), tsa_n, 1, true),
        (Some(1), trail_r, 1, false),
    ] {
        let mut ingest = ingest(Codec::H265, true);
        let mut sender = Sender::new();
        if let Some(top) = top {
            let sps = [&sps[..2], &[top << 1 | 1], &sps[3..]].concat();
            let first = [vps.clone(), sps, pps.clone(), slice(&[0x26, 1], 50, 3)];
            feed(&mut ingest, start(), &sender.packets(&bytes(&first)));
            sender.step(3000);
        }
        // Long enough for fragments as well.
        for len in [50, 3000] {
            let unit = annexb(&[slice(&[kind << 1, layer + 1], len, 4)]);
            let packets = sender.packets(&packetize(Codec::H265, &unit));
            let frames = feed(&mut ingest, start(), &packets);
            assert_eq!(frames[0].descriptor.discardable, discardable, "{top:?} {kind} {layer}");
            sender.step(3000);
        }
    }
}

#[test]
fn a_frame_ends_without_marker_when_the_timestamp_changes() {
    let mut ingest = ingest(Codec::H264, true);
    let mut sender = Sender::new();
    let now = start();
    let first = sender.packet(&h264_idr(50), false);
    sender.step(3000);
    let second = sender.packet(&h264_p(50), false);
    assert!(feed(&mut ingest, now, &[first]).is_empty());
    let frames = feed(&mut ingest, now, &[second]);
    assert_eq!((frames.len(), frames[0].descriptor.keyframe), (1, true));
}

#[test]
fn slices_that_each_carry_a_marker_share_the_timestamp_and_one_keyframe() {
    let mut ingest = ingest(Codec::H264, true);
    let mut sender = Sender::new();
    let units = [h264_sps(30), h264_pps(), h264_idr(50), vec![0x65, 0x40, 9, 9]];
    let packets: Vec<_> = units.iter().map(|nal| sender.packet(nal, true)).collect();
    let frames = feed(&mut ingest, start(), &packets);
    let found: Vec<_> = frames.iter().map(|f| (f.descriptor.keyframe, f.payloads.len())).collect();
    assert_eq!(found, [(true, 2), (false, 1)]);
    assert_eq!(frames[0].descriptor.media_time, frames[1].descriptor.media_time);
}

#[test]
fn pictures_of_a_camera_whose_timestamps_stand_still_stay_keyframes() {
    let mut ingest = ingest(Codec::H264, true);
    let mut sender = Sender::new();
    let packets = sender.packets(&bytes(&[h264_sps(30), h264_pps(), h264_idr(50)]));
    assert!(feed(&mut ingest, start(), &packets)[0].descriptor.keyframe);
    let frames = feed(&mut ingest, start(), &sender.packets(&bytes(&[h264_idr(50)])));
    assert!(frames[0].descriptor.keyframe);
    assert_eq!(frames[0].payloads.len(), 2);
}

/// OBUs with size fields, as encoders give them.
fn obu_stream(obus: &[(u8, usize)]) -> Bytes {
    let mut out = bytes::BytesMut::new();
    for &(kind, len) in obus {
        out.extend_from_slice(&[kind << 3 | 2]);
        crate::wire::av1::put_leb128(len, &mut out);
        out.extend_from_slice(&Random(len as u64).filler(len));
    }
    out.freeze()
}

fn av1_units(payloads: &[Bytes]) -> Vec<Vec<u8>> {
    let mut out: Vec<Vec<u8>> = Vec::new();
    for payload in payloads {
        let (header, elements) = crate::wire::av1::parse(payload).expect("canonical");
        for (at, element) in elements.iter().enumerate() {
            match out.last_mut() {
                Some(obu) if at == 0 && header.continues => obu.extend_from_slice(element),
                _ => out.push(element.to_vec()),
            }
        }
    }
    out
}

#[test]
fn an_av1_temporal_unit_survives_packetizing_and_ingest() {
    for len in [0, 1, 127, 1170, 1185, 1186, 1187, 1188, 2400, 70_000] {
        for head in [&[(2, 0), (1, 11)][..], &[(2, 0)], &[(1, 9), (5, 20), (5, 30), (5, 40)]] {
            let stream = obu_stream(&[head, &[(6, len)]].concat());
            let wanted: Vec<Vec<u8>> = crate::wire::av1::obus(&stream)
                .expect("well-formed")
                .iter()
                .map(|obu| obu.concat())
                .collect();
            let frame = one(Codec::Av1, &packetize(Codec::Av1, &stream));
            assert_eq!(av1_units(&frame.payloads), wanted);
            assert_eq!(frame.descriptor.keyframe, head.iter().any(|obu| obu.0 == 1));
        }
    }
}

#[test]
fn large_av1_packets_are_cut_and_delimiters_left_out() {
    // W=3: delimiter, sequence header, frame; one packet.
    let sequence = [vec![1 << 3], Random(1).filler(10)].concat();
    let frame = [vec![6 << 3], Random(2).filler(9000)].concat();
    let mut packet = vec![0x38, 1, 2 << 3, sequence.len() as u8];
    packet.extend(&sequence);
    packet.extend(&frame);
    let found = one(Codec::Av1, &[packet.into()]);
    assert_eq!(av1_units(&found.payloads), [sequence, frame]);
    assert_eq!(found.payloads[0][0], 0x18, "N on the first payload, one element");
    let run = &found.payloads[1..];
    assert!(run.windows(2).all(|pair| pair[1].len() <= pair[0].len()));
    assert!(run[..run.len() - 1].iter().all(|part| part.len() == run[0].len()));
}
