//! A writer of H.264 constrained baseline whose pictures are mosaics, exact to the sample.
//!
//! With the deblocking filter off and QP 28, a lone luma DC level L adds exactly L to each of the
//! 256 samples: the level scale is 16 * 16, so dcY = (256 L + 2) >> 2 = 64 L (clause 8.5.10), and
//! the residual is (64 L + 32) >> 6 = L (8.5.12.2). Chroma runs at QP 22 (offset -6), where
//! dcC = ((256 C) << 3) >> 5 = 64 C (8.5.11.2), so a lone chroma DC level C adds exactly C.
//! Prediction is horizontal inside a row and vertical in the first column, so that the predicted
//! value is the edge colour of one neighbour. Unchanged blocks are skipped.

use super::bits::{BitWriter, push_nal};
use super::mosaic::{Block, Colour, Mosaic, noise_samples};

/// NAL headers: `nal_ref_idc` 3 with the type.
const NAL_SPS: u8 = 0x67;
const NAL_PPS: u8 = 0x68;
const NAL_IDR: u8 = 0x65;
/// `nal_ref_idc` 2, slice of a non-IDR picture.
const NAL_SLICE: u8 = 0x41;

/// `log2_max_frame_num`.
const FRAME_NUM_BITS: u32 = 16;
/// Luma QP of all blocks; the exactness above depends on it.
const QP: i32 = 28;
/// Makes chroma QP 22.
const CHROMA_QP_OFFSET: i32 = -6;

/// `mb_type` of I_PCM in an I slice.
const MB_PCM: u32 = 25;
/// Added to `mb_type` of an intra macroblock in a P slice (table 7-13).
const MB_INTRA_IN_P: u32 = 5;
/// Intra16x16 prediction modes (table 8-4) with their chroma counterparts (table 8-5).
const PREDICT_VERTICAL: (u32, u32) = (0, 2);
const PREDICT_HORIZONTAL: (u32, u32) = (1, 1);
const PREDICT_DC: (u32, u32) = (2, 0);

/// Size and rate of a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Format {
    /// Visible width, even.
    pub(super) width: u32,
    /// Visible height, even.
    pub(super) height: u32,
    /// Frames per second.
    pub(super) fps: u32,
}

/// Levels of table A-1: `level_idc`, macroblocks per second, macroblocks per frame.
const LEVELS: [(u8, u32, u32); 8] = [
    (20, 11_880, 396),
    (30, 40_500, 1_620),
    (31, 108_000, 3_600),
    (32, 216_000, 5_120),
    (40, 245_760, 8_192),
    (42, 522_240, 8_704),
    (51, 983_040, 36_864),
    (52, 2_073_600, 36_864),
];

impl Format {
    fn columns(self) -> u32 {
        self.width.div_ceil(16)
    }

    fn rows(self) -> u32 {
        self.height.div_ceil(16)
    }

    /// Smallest level that holds this format, as `level_idc`.
    pub(super) fn level(self) -> u8 {
        let frame = self.columns() * self.rows();
        let fits = |&&(_, rate, size): &&(u8, u32, u32)| {
            frame <= size && u64::from(frame) * u64::from(self.fps) <= u64::from(rate)
        };
        LEVELS.iter().find(fits).map_or(52, |&(level, ..)| level)
    }

    /// Sequence parameter set as a payload without NAL header (7.3.2.1.1).
    pub(super) fn sps(self) -> Vec<u8> {
        let mut w = BitWriter::new();
        w.bits(66, 8); // profile_idc: baseline
        w.bits(0b1100_0000, 8); // constraint_set0 and 1: constrained baseline
        w.bits(u32::from(self.level()), 8);
        w.unsigned(0); // seq_parameter_set_id
        w.unsigned(FRAME_NUM_BITS - 4);
        w.unsigned(2); // pic_order_cnt_type: output order is decoding order
        w.unsigned(1); // max_num_ref_frames
        w.bit(false); // gaps_in_frame_num_value_allowed_flag
        w.unsigned(self.columns() - 1);
        w.unsigned(self.rows() - 1);
        w.bit(true); // frame_mbs_only_flag
        w.bit(true); // direct_8x8_inference_flag
        let (right, bottom) = (self.columns() * 16 - self.width, self.rows() * 16 - self.height);
        w.bit(right + bottom > 0);
        if right + bottom > 0 {
            // Crop units of 4:2:0 frames are two samples.
            for crop in [0, right / 2, 0, bottom / 2] {
                w.unsigned(crop);
            }
        }
        w.bit(true);
        self.vui(&mut w);
        w.into_rbsp()
    }

    /// Timing, and the promise that nothing is reordered, so that decoders do not hold frames back.
    fn vui(self, w: &mut BitWriter) {
        w.bit(true); // aspect_ratio_info_present_flag
        w.bits(1, 8); // square samples
        w.bit(false); // overscan_info_present_flag
        w.bit(true); // video_signal_type_present_flag
        w.bits(5, 3); // unspecified video format
        w.bit(false); // limited range
        w.bit(true); // colour_description_present_flag
        for _ in 0..3 {
            w.bits(1, 8); // BT.709 primaries, transfer and matrix
        }
        w.bit(false); // chroma_loc_info_present_flag
        w.bit(true); // timing_info_present_flag
        w.bits(1, 32);
        w.bits(self.fps * 2, 32); // in fields
        w.bit(true); // fixed_frame_rate_flag
        w.bits(0, 3); // no HRD parameters, no pic_struct
        w.bit(true); // bitstream_restriction_flag
        w.bit(true); // motion_vectors_over_pic_boundaries_flag
        w.unsigned(0); // max_bytes_per_pic_denom: no limit
        w.unsigned(0); // max_bits_per_mb_denom: no limit
        w.unsigned(10);
        w.unsigned(10);
        w.unsigned(0); // max_num_reorder_frames
        w.unsigned(1); // max_dec_frame_buffering
    }
}

/// Picture parameter set as a payload without NAL header (7.3.2.2).
pub(super) fn pps() -> Vec<u8> {
    let mut w = BitWriter::new();
    w.unsigned(0); // pic_parameter_set_id
    w.unsigned(0); // seq_parameter_set_id
    w.bit(false); // CAVLC
    w.bit(false); // bottom_field_pic_order_in_frame_present_flag
    w.unsigned(0); // one slice group
    w.unsigned(0); // num_ref_idx_l0_default_active_minus1
    w.unsigned(0); // num_ref_idx_l1_default_active_minus1
    w.bits(0, 3); // no weighted prediction
    w.signed(QP - 26);
    w.signed(0); // pic_init_qs
    w.signed(CHROMA_QP_OFFSET);
    w.bit(true); // deblocking_filter_control_present_flag
    w.bit(false); // constrained_intra_pred_flag
    w.bit(false); // redundant_pic_cnt_present_flag
    w.into_rbsp()
}

/// Writes pictures one after the other.
pub(super) struct Encoder {
    format: Format,
    /// What a decoder shows after the last picture; `None` before the first.
    shown: Option<Vec<Block>>,
    frame_num: u32,
    idr_pic_id: u32,
}

impl Encoder {
    pub(super) fn new(format: Format) -> Self {
        Self { format, shown: None, frame_num: 0, idr_pic_id: 0 }
    }

    /// One access unit in Annex-B form. The first picture is always a keyframe.
    pub(super) fn encode(&mut self, picture: &Mosaic, keyframe: bool) -> (Vec<u8>, bool) {
        let mut out = Vec::new();
        let shown = self.shown.take();
        let before = if keyframe { None } else { shown };
        let keyframe = before.is_none();
        if keyframe {
            push_nal(&mut out, NAL_SPS, &self.format.sps());
            push_nal(&mut out, NAL_PPS, &pps());
            self.frame_num = 0;
        }
        let mut w = BitWriter::new();
        self.slice_header(&mut w, keyframe);
        Slice { picture, before: before.as_deref() }.write(&mut w);
        push_nal(&mut out, if keyframe { NAL_IDR } else { NAL_SLICE }, &w.into_rbsp());
        if keyframe {
            self.idr_pic_id ^= 1;
        }
        self.frame_num = (self.frame_num + 1) % (1 << FRAME_NUM_BITS);
        self.shown = Some(picture.blocks.clone());
        (out, keyframe)
    }

    fn slice_header(&self, w: &mut BitWriter, keyframe: bool) {
        w.unsigned(0); // first_mb_in_slice
        w.unsigned(if keyframe { 7 } else { 5 }); // all slices I, or all P
        w.unsigned(0); // pic_parameter_set_id
        w.bits(self.frame_num, FRAME_NUM_BITS);
        if keyframe {
            w.unsigned(self.idr_pic_id);
            w.bits(0, 2); // no_output_of_prior_pics_flag, long_term_reference_flag
        } else {
            w.bits(0, 3); // no override, no list modification, sliding window marking
        }
        w.signed(0); // slice_qp_delta
        w.unsigned(1); // disable_deblocking_filter_idc
    }
}

/// The macroblocks of one picture.
struct Slice<'a> {
    picture: &'a Mosaic,
    /// What a decoder shows before; `None` in an I slice.
    before: Option<&'a [Block]>,
}

impl Slice<'_> {
    fn write(&self, w: &mut BitWriter) {
        let mut skipped = 0;
        for (at, &block) in self.picture.blocks.iter().enumerate() {
            if let Some(before) = self.before {
                if before[at] == block {
                    skipped += 1;
                    continue;
                }
                w.unsigned(skipped); // mb_skip_run
                skipped = 0;
            }
            match block {
                Block::Flat(colour) => self.flat(w, at, colour),
                Block::Noise(seed) => self.raw(w, seed),
            }
        }
        if self.before.is_some() && skipped > 0 {
            w.unsigned(skipped);
        }
    }

    fn intra_type(&self, mb_type: u32) -> u32 {
        if self.before.is_some() { mb_type + MB_INTRA_IN_P } else { mb_type }
    }

    fn raw(&self, w: &mut BitWriter, seed: u32) {
        w.unsigned(self.intra_type(MB_PCM));
        w.align_with_zeros();
        w.aligned_bytes(&noise_samples(seed));
    }

    /// Intra16x16 with DC levels only (7.3.5).
    fn flat(&self, w: &mut BitWriter, at: usize, colour: Colour) {
        let ((luma_mode, chroma_mode), predicted) = self.prediction(at);
        let difference = |to: u8, from: u8| i32::from(to) - i32::from(from);
        let cb = difference(colour.cb, predicted.cb);
        let cr = difference(colour.cr, predicted.cr);
        let coded_chroma = u32::from(cb != 0 || cr != 0);
        w.unsigned(self.intra_type(1 + luma_mode + 4 * coded_chroma));
        w.unsigned(chroma_mode);
        w.signed(0); // mb_qp_delta
        lone_level(w, difference(colour.y, predicted.y), self.luma_table(at));
        if coded_chroma == 1 {
            lone_level(w, cb, TokenTable::ChromaDc);
            lone_level(w, cr, TokenTable::ChromaDc);
        }
    }

    fn prediction(&self, at: usize) -> ((u32, u32), Colour) {
        let columns = self.picture.columns;
        if !at.is_multiple_of(columns) {
            (PREDICT_HORIZONTAL, self.picture.blocks[at - 1].edge())
        } else if at >= columns {
            (PREDICT_VERTICAL, self.picture.blocks[at - columns].edge())
        } else {
            (PREDICT_DC, Colour::MID)
        }
    }

    /// The `coeff_token` table by the neighbours' coefficient counts (9.2.1): 16 for a raw block
    /// that this picture carries, else 0, since no block has AC levels.
    fn luma_table(&self, at: usize) -> TokenTable {
        let columns = self.picture.columns;
        let left = !at.is_multiple_of(columns) && self.is_raw(at - 1);
        let above = at >= columns && self.is_raw(at - columns);
        // One raw neighbour of two gives (16 + 0 + 1) >> 1 = 8, alone it gives 16: both fixed length.
        if left || above { TokenTable::FixedLength } else { TokenTable::Short }
    }

    fn is_raw(&self, at: usize) -> bool {
        let block = self.picture.blocks[at];
        matches!(block, Block::Noise(_)) && self.before.is_none_or(|before| before[at] != block)
    }
}

/// Columns of table 9-5 that a lone level can need.
#[derive(Clone, Copy)]
enum TokenTable {
    /// 0 <= nC < 2.
    Short,
    /// 8 <= nC.
    FixedLength,
    /// nC == -1.
    ChromaDc,
}

impl TokenTable {
    /// `coeff_token` as (bits, length) for no level, a lone level of magnitude one, a larger one.
    fn codes(self) -> [(u32, u32); 3] {
        match self {
            Self::Short => [(0b1, 1), (0b01, 2), (0b000101, 6)],
            Self::FixedLength => [(0b000011, 6), (0b000001, 6), (0b000000, 6)],
            Self::ChromaDc => [(0b01, 2), (0b1, 1), (0b000111, 6)],
        }
    }
}

/// A residual block whose only level is the first in scan order, or no level at all (9.2).
fn lone_level(w: &mut BitWriter, level: i32, table: TokenTable) {
    let [none, one, larger] = table.codes();
    match level {
        0 => return w.bits(none.0, none.1),
        1 | -1 => {
            w.bits(one.0, one.1);
            w.bit(level < 0); // trailing_ones_sign_flag
        }
        _ => {
            w.bits(larger.0, larger.1);
            large_level(w, level);
        }
    }
    w.bit(true); // total_zeros 0, in table 9-7 as in 9-9
}

/// `level_prefix` and `level_suffix` of a first level beyond one (9.2.2.1, suffixLength 0).
fn large_level(w: &mut BitWriter, level: i32) {
    let magnitude = level.unsigned_abs() << 1;
    // Two less, since a level of magnitude one would have been a trailing one.
    let code = if level > 0 { magnitude - 4 } else { magnitude - 3 };
    let (prefix, suffix, suffix_len) = match code {
        0..14 => (code, 0, 0),
        14..30 => (14, code - 14, 4),
        _ => (15, code - 30, 12),
    };
    w.bits(1, prefix + 1);
    w.bits(suffix, suffix_len);
}
