// Sound: decoded samples go to the audio thread with the capture time of their first one.

/** Hands AudioData to the processor of speaker_worklet.js through a port. */
export class Speaker {
  #port;
  #playout;

  constructor(port, playout) {
    this.#port = port;
    this.#playout = playout;
  }

  /** Takes AudioData whose first sample was captured at `captured`, milliseconds since 1970. */
  put(data, captured) {
    const channels = Array.from({ length: data.numberOfChannels }, (_, planeIndex) => {
      const samples = new Float32Array(data.numberOfFrames);
      data.copyTo(samples, { planeIndex, format: 'f32-planar' });
      return samples;
    });
    const { sampleRate: rate } = data;
    data.close();
    const message = { captured, rate, channels, delay: this.#playout.delay };
    this.#port.postMessage(message, channels.map((samples) => samples.buffer));
  }
}
