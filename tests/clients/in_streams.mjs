// A function that runs inside the page; it is self-contained, since it is sent as text.

/** A whole WebTransport session: streams of items, decoders, pictures, sound, end. */
export async function watchStreams({ url, hashes, tracks, seconds }) {
  const CELL = 16;
  const BITS = 128;
  const [KEYFRAME, CAPTURED] = [1, 32];
  const sound = { audio_samples: 0, hertz: 0, rms: 0 };
  const heard = { crossings: 0, energy: 0, rate: 48000, last: 0 };

  function bytesOf(base64url) {
    const text = atob(base64url.replaceAll('-', '+').replaceAll('_', '/'));
    return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  }

  function crc16(bytes) {
    let crc = 0xffff;
    for (const byte of bytes) {
      crc ^= byte << 8;
      for (let i = 0; i < 8; i += 1) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
    }
    return crc;
  }

  function readStrip(luma, width, height, stride) {
    const columns = Math.floor(width / CELL);
    if (columns === 0 || Math.ceil(BITS / columns) * CELL > height) return null;
    const bytes = new Uint8Array(16);
    for (let bit = 0; bit < BITS; bit += 1) {
      const x = (bit % columns) * CELL + 4;
      const y = Math.floor(bit / columns) * CELL + 4;
      let sum = 0;
      for (let row = 0; row < 8; row += 1) {
        for (let column = 0; column < 8; column += 1) sum += luma[(y + row) * stride + x + column];
      }
      bytes[bit >> 3] = (bytes[bit >> 3] << 1) | (sum >= 128 * 64 ? 1 : 0);
    }
    const view = new DataView(bytes.buffer);
    if (bytes[0] !== 0xb2 || view.getUint16(14) !== crc16(bytes.subarray(0, 14))) return null;
    const clock = view.getUint8(9) * 2 ** 32 + view.getUint32(10);
    return { n: view.getUint32(5), clock, serial_crc: view.getUint32(1) };
  }

  /** Bytes of a stream, as many as are asked for at a time. */
  class Source {
    constructor(stream) {
      this.reader = stream.getReader();
      this.held = new Uint8Array(0);
    }

    async take(count) {
      while (this.held.length < count) {
        const { done, value } = await this.reader.read();
        if (done) return null;
        const joined = new Uint8Array(this.held.length + value.length);
        joined.set(this.held);
        joined.set(value, this.held.length);
        this.held = joined;
      }
      const taken = this.held.slice(0, count);
      this.held = this.held.slice(count);
      return taken;
    }

    async integer() {
      const first = await this.take(1);
      if (first === null) return null;
      const rest = await this.take((1 << (first[0] >> 6)) - 1);
      return rest.reduce((value, byte) => value * 256 + byte, first[0] & 0x3f);
    }
  }

  /** Splits an item: flags, integers, payload. */
  function itemOf(bytes) {
    let at = 1;
    const integer = () => {
      const end = at + (1 << (bytes[at] >> 6));
      let value = bytes[at] & 0x3f;
      for (at += 1; at < end; at += 1) value = value * 256 + bytes[at];
      return value;
    };
    const [flags, sequence, mediaTime] = [bytes[0], integer(), integer()];
    if (flags & CAPTURED) integer();
    return { key: (flags & KEYFRAME) !== 0, sequence, mediaTime, data: bytes.subarray(at) };
  }

  function videoCodec(name, data) {
    if (name === 'av1') return 'av01.0.08M.08';
    for (let i = 0; i + 6 < data.length; i += 1) {
      const start = data[i] === 0 && data[i + 1] === 0 && data[i + 2] === 1;
      if (start && (data[i + 3] & 0x1f) === 7) {
        const hex = [4, 5, 6].map((at) => data[i + at].toString(16).padStart(2, '0'));
        return `avc1.${hex.join('')}`;
      }
    }
    throw new Error('a keyframe without its parameter sets');
  }

  async function picture(frame) {
    const buffer = new Uint8Array(frame.allocationSize());
    const [{ offset, stride }] = await frame.copyTo(buffer);
    const { width, height } = frame.visibleRect;
    const seen = readStrip(buffer.subarray(offset), width, height, stride);
    frame.close();
    window.show(seen ? { ...seen, t: Date.now() } : { bad: 1 });
  }

  function hear(data) {
    const samples = new Float32Array(data.numberOfFrames);
    data.copyTo(samples, { planeIndex: 0, format: 'f32-planar' });
    heard.rate = data.sampleRate;
    for (const sample of samples) {
      if (heard.last < 0 && sample >= 0) heard.crossings += 1;
      heard.last = sample;
      heard.energy += sample ** 2;
    }
    sound.audio_samples += samples.length;
    data.close();
  }

  const fail = (error) => window.show({ error: `decoder: ${error}` });

  function soundDecoder(track) {
    const names = { opus: 'opus', pcmu: 'ulaw', pcma: 'alaw', aac: 'mp4a.40.2' };
    const decoder = new AudioDecoder({ output: hear, error: fail });
    const config = /config=([0-9a-f]+)/i.exec(track.fmtp);
    const description = config ? Uint8Array.from(config[1].match(/../g), (hex) => parseInt(hex, 16)) : undefined;
    decoder.configure({
      codec: names[track.codec], sampleRate: track.clock_rate,
      numberOfChannels: track.channels, ...(track.codec === 'aac' ? { description } : {}),
    });
    return decoder;
  }

  const decoders = new Map();
  const chunkOf = (track, item) => ({
    type: item.key ? 'key' : 'delta',
    timestamp: Math.round((item.mediaTime * 1e6) / track.clock_rate),
    data: item.data,
  });

  function decode(track, item) {
    let decoder = decoders.get(track.track);
    if (track.channels > 0) {
      if (!decoder) decoders.set(track.track, (decoder = soundDecoder(track)));
      decoder.decode(new EncodedAudioChunk({ ...chunkOf(track, item), type: 'key' }));
      return;
    }
    if (!decoder) {
      decoder = new VideoDecoder({ output: picture, error: fail });
      decoder.configure({ codec: videoCodec(track.codec, item.data), optimizeForLatency: true });
      decoders.set(track.track, decoder);
    }
    decoder.decode(new EncodedVideoChunk(chunkOf(track, item)));
  }

  /** Reads a stream; its items are decoded after those of the track's stream before it. */
  async function readStream(stream, turns) {
    const source = new Source(stream);
    const version = await source.integer();
    if (version !== 1) throw new Error(`version ${version}`);
    const number = await source.integer();
    const track = tracks.find((one) => one.track === number);
    const before = turns.get(number);
    let done;
    turns.set(number, new Promise((resolve) => { done = resolve; }));
    await before;
    try {
      for (;;) {
        const length = await source.integer();
        if (length === null) break;
        const bytes = await source.take(length);
        if (bytes === null) break;
        decode(track, itemOf(bytes));
      }
    } finally {
      done();
    }
  }

  const serverCertificateHashes = hashes.map((hash) => ({ algorithm: 'sha-256', value: bytesOf(hash) }));
  const transport = new WebTransport(url, { serverCertificateHashes });
  await transport.ready;
  const turns = new Map();
  const streams = transport.incomingUnidirectionalStreams.getReader();
  let over = false;
  (async () => {
    for (;;) {
      const { done, value } = await streams.read();
      if (done) return;
      readStream(value, turns).catch((error) => over || window.show({ error: `stream: ${error}` }));
    }
  })().catch((error) => over || window.show({ error: `streams: ${error}` }));
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  over = true;
  transport.close();
  sound.hertz = sound.audio_samples ? (heard.crossings * heard.rate) / sound.audio_samples : 0;
  sound.rms = sound.audio_samples ? Math.sqrt(heard.energy / sound.audio_samples) : 0;
  await window.show(sound);
}
