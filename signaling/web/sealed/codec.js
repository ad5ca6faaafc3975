// Decoders for what a sealed frame holds: WebCodecs configurations from the frames themselves.

const SOUND = Object.freeze({ opus: 'opus', pcmu: 'ulaw', pcma: 'alaw', aac: 'mp4a.40.2' });
const [H264_SPS, H265_SPS] = [7, 33];

const hex = (byte) => byte.toString(16).padStart(2, '0');

/** Places in Annex B bytes where a NAL unit begins, after its start code. */
function* units(bytes) {
  for (let at = 0; at + 3 < bytes.length; at += 1) {
    if (bytes[at] === 0 && bytes[at + 1] === 0 && bytes[at + 2] === 1) yield at + 3;
  }
}

/** WebCodecs' name of a video codec with the profile of a keyframe; null without parameter sets. */
export function videoCodec(codec, keyframe) {
  if (codec === 'av1') return 'av01.0.08M.08';
  for (const at of units(keyframe)) {
    if (codec === 'h264' && (keyframe[at] & 0x1f) === H264_SPS) {
      return `avc1.${[...keyframe.subarray(at + 1, at + 4)].map(hex).join('')}`;
    }
    if (codec === 'h265' && ((keyframe[at] >> 1) & 0x3f) === H265_SPS) return h265(keyframe.subarray(at));
  }
  return null;
}

/** From profile_tier_level, which follows two bytes of header and one of ids (ISO/IEC 14496-15, E). */
function h265(sps) {
  const [general, ...flags] = sps.subarray(3, 8);
  const reversed = flags.reduce((value, byte) => value * 256 + byte, 0).toString(2).padStart(32, '0');
  const compatibility = Number.parseInt([...reversed].reverse().join(''), 2).toString(16);
  const tier = (general & 0x20) !== 0 ? 'H' : 'L';
  return `hev1.${general & 0x1f}.${compatibility}.${tier}${sps[14]}.b0`;
}

/** Configuration of an AudioDecoder for a track of the session's list; null when it is none. */
export function soundConfig({ codec, clock_rate: sampleRate, channels: numberOfChannels, fmtp }) {
  if (!SOUND[codec]) return null;
  const config = { codec: SOUND[codec], sampleRate, numberOfChannels };
  const described = codec === 'aac' && /config=((?:[0-9a-f]{2})+)/i.exec(fmtp);
  if (described) config.description = Uint8Array.from(described[1].match(/../g), (pair) => Number.parseInt(pair, 16));
  return config;
}
