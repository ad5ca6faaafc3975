// From streams to pictures and sound: reads, opens, decodes. Whatever does not open is never shown.

import { SealedError, malformed } from './errors.js';
import { soundConfig, videoCodec } from './codec.js';
import { GopReader } from './gop_stream.js';
import { Lane } from './lane.js';

/** A missing generation is waited for this long, milliseconds. */
export const KEY_WAIT_MS = 5000;
/** Pause before it is asked for again, milliseconds. */
export const KEY_RETRY_MS = 500;
/** Frames that wait in a decoder; more, and pictures are left out up to the next keyframe. */
export const MAX_DECODING = 30;
const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
// Frames of sound that a decoder may hold back.
const MAX_HELD_BACK = 8;
// What a stream may do to a viewer without anything being wrong with the camera.
const QUIET = ['replayed', 'too-far-behind'];

/**
 * `opener` opens frames; `keys` is asked for a generation (`missing(number)`) and has `arrived`,
 * a promise of the next blob; `screen` and `speaker` take what was decoded; `tell(event)` is told
 * `{kind: 'refused' | 'delayed' | 'fault'}`; `clock` tells milliseconds since 1970.
 */
export class Viewer {
  #parts;
  #tracks;
  #lanes = new Map();
  #decoders = new Map();
  #closed = false;
  /** Figures since the start. */
  counts = { bytes: 0, opened: 0, refused: 0, skipped: 0, delayed: 0 };

  constructor(tracks, parts) {
    this.#tracks = new Map(tracks.map((track) => [track.track, track]));
    this.#parts = parts;
  }

  /** Reads all streams of a session; resolves when there are no more. */
  async run(streams) {
    const reader = streams.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || this.#closed) return;
      this.#read(value).catch((error) => this.#fault(error));
    }
  }

  close() {
    this.#closed = true;
    for (const lane of this.#lanes.values()) lane.close();
    for (const { decoder } of this.#decoders.values()) if (decoder.state !== 'closed') decoder.close();
  }

  async #read(stream) {
    const reader = stream.getReader();
    const gop = new GopReader();
    let lane = null;
    let group = null;
    try {
      for (;;) {
        // A stream that is reset rejects here: the rest of its group is skipped.
        const { done, value } = await reader.read().catch(() => ({ done: true }));
        if (done || this.#closed) break;
        this.counts.bytes += value.length;
        gop.push(value);
        for (let item = gop.next(); item; item = gop.next()) {
          lane ??= this.#lane(item.track);
          group ??= lane.group(() => reader.cancel().catch(() => {}));
          await lane.add(group, item);
        }
      }
    } finally {
      if (group) lane.end(group);
    }
  }

  #lane(number) {
    if (!this.#tracks.has(number)) throw malformed(`track ${number} is not in the session`);
    if (!this.#lanes.has(number)) {
      const state = { number, track: this.#tracks.get(number), needsKey: true, latest: new Map(), source: null, group: null, broken: null };
      const skipped = () => {
        state.needsKey = true;
        this.counts.skipped += 1;
      };
      this.#lanes.set(number, new Lane((item, group) => this.#item(state, item, group), skipped));
    }
    return this.#lanes.get(number);
  }

  async #item(state, item, group) {
    if (state.broken === group) return;
    // Each group stands on its own: without its keyframe, nothing of it can be shown.
    if (state.group !== group) Object.assign(state, { group, needsKey: true });
    try {
      const frame = await this.#open(item);
      // A relay may send the lower tier, another track of the camera, in a track's place.
      if (frame.track !== state.number && !frame.sub) throw malformed('a frame on another track than its own');
      this.#take(state, frame);
    } catch (error) {
      if (!(error instanceof SealedError)) return this.#fault(error);
      this.counts.refused += 1;
      // What follows in the group refers to what is missing now. Sound stands alone.
      if (state.track.channels === 0) Object.assign(state, { broken: group, needsKey: true });
      if (!QUIET.includes(error.reason)) this.#parts.tell({ kind: 'refused', reason: error.reason });
    }
  }

  async #open(item) {
    const { opener, clock } = this.#parts;
    // A sealed device never falls back to open.
    if (!item.sealed) throw new SealedError('clear-media');
    const until = performance.now() + KEY_WAIT_MS;
    for (let asked = 0; ; asked += 1) {
      try {
        return await opener.open(item.payload, clock());
      } catch (error) {
        const left = until - performance.now();
        if (error.reason !== 'missing-generation' || left <= 0 || this.#closed) throw error;
        await this.#key(error.generation, left, asked > 0);
      }
    }
  }

  /** Asks for a generation and waits until some answer came, or the time is over. */
  async #key(generation, left, again) {
    const { keys } = this.#parts;
    if (again) await pause(Math.min(left, KEY_RETRY_MS));
    const { arrived } = keys;
    keys.missing(generation);
    await Promise.race([arrived, pause(left)]);
  }

  #take(state, frame) {
    const { playout, clock, tell } = this.#parts;
    const latest = state.latest.get(frame.track) ?? { generation: 0, ctr: 0 };
    const later = frame.generation > latest.generation || (frame.generation === latest.generation && frame.ctr > latest.ctr);
    if (!later) throw new SealedError('replayed', 'behind what was shown');
    state.latest.set(frame.track, { generation: frame.generation, ctr: frame.ctr });
    this.counts.opened += 1;
    if (frame.delayed) this.counts.delayed += 1;
    tell({ kind: 'delayed', by: frame.delayed });
    playout.observe(frame.captured, clock());
    if (state.track.channels > 0) this.#hear(state, frame);
    else this.#see(state, frame);
  }

  #see(state, frame) {
    let entry = this.#decoders.get(state.number);
    if (entry && entry.decoder.decodeQueueSize > MAX_DECODING) state.needsKey = true;
    if (state.needsKey && !frame.keyframe) {
      this.counts.skipped += 1;
      return;
    }
    if (frame.keyframe) {
      const codec = videoCodec(frame.codec, frame.unit);
      if (!codec) throw malformed('a keyframe without parameter sets');
      if (!entry || entry.codec !== codec || entry.decoder.state === 'closed') entry = this.#videoDecoder(state, codec);
      Object.assign(state, { needsKey: false, source: frame.track });
    } else if (frame.track !== state.source) {
      throw malformed('a picture of another tier than its keyframe');
    }
    entry.decoder.decode(new EncodedVideoChunk({
      type: frame.keyframe ? 'key' : 'delta', timestamp: Math.round(frame.captured * 1000), data: frame.unit,
    }));
  }

  #videoDecoder(state, codec) {
    const old = this.#decoders.get(state.number)?.decoder;
    if (old && old.state !== 'closed') old.close();
    const decoder = new VideoDecoder({
      output: (picture) => (this.#closed ? picture.close() : this.#parts.screen.put(picture)),
      error: (error) => {
        state.needsKey = true;
        this.#fault(error);
      },
    });
    decoder.configure({ codec, optimizeForLatency: true });
    const entry = { decoder, codec };
    this.#decoders.set(state.number, entry);
    return entry;
  }

  #hear(state, frame) {
    const { speaker } = this.#parts;
    if (!speaker) return;
    let entry = this.#decoders.get(state.number);
    if (!entry || entry.decoder.state === 'closed') {
      const config = soundConfig(state.track);
      if (!config || state.track.codec !== frame.codec) throw malformed('sound of another codec');
      // Decoders count samples for their timestamps, so that a frame that is missing would shift
      // all that follow: each output takes the capture time of its own frame.
      const captures = [];
      const output = (data) => speaker.put(data, captures.shift() ?? data.timestamp / 1000);
      const decoder = new AudioDecoder({ output, error: (error) => this.#fault(error) });
      decoder.configure(config);
      entry = { decoder, codec: config.codec, captures };
      this.#decoders.set(state.number, entry);
    }
    entry.captures.push(frame.captured);
    if (entry.captures.length > entry.decoder.decodeQueueSize + MAX_HELD_BACK) entry.captures.shift();
    entry.decoder.decode(new EncodedAudioChunk({ type: 'key', timestamp: Math.round(frame.captured * 1000), data: frame.unit }));
  }

  #fault(error) {
    if (this.#closed) return;
    const reason = error instanceof SealedError ? error.reason : 'decoder';
    this.#parts.tell({ kind: error instanceof SealedError ? 'refused' : 'fault', reason });
  }
}
