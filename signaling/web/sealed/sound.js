// The page's end of the sound of a sealed view: an audio context that the worker feeds.

/** How often the audio clock is compared with the wall clock, milliseconds. */
const COMPARE_MS = 250;
/** The middle one of so many comparisons counts: a busy machine makes single ones wrong. */
const COMPARISONS = 5;
const PROCESSOR = '/assets/sealed/speaker_worklet.js';

export class Sound {
  #context = new AudioContext({ latencyHint: 'interactive' });
  #gain = null;
  #timer = 0;
  #muted;

  constructor(muted) {
    this.#muted = muted;
  }

  /** The port for the worker, once the audio thread is there. */
  async port() {
    const channel = new MessageChannel();
    await this.#context.audioWorklet.addModule(PROCESSOR);
    const node = new AudioWorkletNode(this.#context, 'sightline-speaker', { numberOfInputs: 0, outputChannelCount: [2] });
    this.#gain = new GainNode(this.#context, { gain: this.#muted ? 0 : 1 });
    node.connect(this.#gain).connect(this.#context.destination);
    node.port.postMessage({ source: channel.port1 }, [channel.port1]);
    const zeros = [];
    const compare = () => {
      const { contextTime, performanceTime } = this.#context.getOutputTimestamp();
      if (this.#context.state !== 'running' || !performanceTime) return;
      zeros.push(performance.timeOrigin + performanceTime - contextTime * 1000);
      if (zeros.length > COMPARISONS) zeros.shift();
      const sorted = zeros.toSorted((a, b) => a - b);
      node.port.postMessage({ zero: sorted[sorted.length >> 1] });
    };
    if (!this.#muted) this.#context.resume().catch(() => {});
    compare();
    this.#timer = setInterval(compare, COMPARE_MS);
    return channel.port2;
  }

  /** Browsers let sound out only after a click. */
  async mute(muted) {
    this.#muted = muted;
    if (this.#gain) this.#gain.gain.value = muted ? 0 : 1;
    if (!muted) await this.#context.resume();
  }

  stop() {
    clearInterval(this.#timer);
    this.#context.close().catch(() => {});
  }
}
