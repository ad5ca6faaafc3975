// The audio thread: plays each sample when it is due, as pictures are.

/** Sound that is off by more than this is moved, milliseconds: pictures and sound stay together. */
const TOLERANCE_MS = 30;
/** Sound starts this close to its time, milliseconds: what is rendered at once. */
const STEP_MS = (128 / sampleRate) * 1000;
/** Sound that waits at most, milliseconds; the oldest goes. */
const MAX_WAITING_MS = 2000;

class SpeakerProcessor extends AudioWorkletProcessor {
  #waiting = [];
  // Position in the first chunk, samples of its rate.
  #at = 0;
  // Milliseconds since 1970 at which the first sample of this context is heard.
  #zero = null;
  #delay = 0;
  #playing = false;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => {
      if (data.zero !== undefined) this.#zero = data.zero;
      if (data.source) data.source.onmessage = ({ data: chunk }) => this.#put(chunk);
    };
  }

  process(_, [output]) {
    const frames = output[0].length;
    if (this.#zero === null || !this.#align()) return true;
    for (let frame = 0; frame < frames; frame += 1) {
      const chunk = this.#waiting[0];
      if (!chunk) break;
      const index = Math.floor(this.#at);
      output.forEach((plane, channel) => {
        plane[frame] = (chunk.channels[channel] ?? chunk.channels[0])[index];
      });
      this.#advance(chunk.rate / sampleRate);
    }
    return true;
  }

  #put(chunk) {
    this.#delay = chunk.delay;
    this.#waiting.push(chunk);
    const first = this.#waiting[0];
    if (chunk.captured - first.captured > MAX_WAITING_MS || chunk.captured < first.captured) {
      this.#waiting = [chunk];
      this.#at = 0;
    }
  }

  /** Whether the next sample is due now. Sound that runs may be off a little; what starts is not. */
  #align() {
    const wanted = this.#zero + currentTime * 1000 - this.#delay;
    while (this.#waiting.length) {
      const [chunk] = this.#waiting;
      const ahead = chunk.captured + (this.#at / chunk.rate) * 1000 - wanted;
      if (this.#playing && Math.abs(ahead) <= TOLERANCE_MS) return true;
      this.#playing = Math.abs(ahead) <= STEP_MS;
      if (this.#playing) return true;
      if (ahead > 0) return false;
      this.#advance((-ahead / 1000) * chunk.rate);
    }
    this.#playing = false;
    return false;
  }

  #advance(samples) {
    this.#at += samples;
    while (this.#waiting.length && this.#at >= this.#waiting[0].channels[0].length) {
      this.#at -= this.#waiting.shift().channels[0].length;
    }
  }
}

registerProcessor('sightline-speaker', SpeakerProcessor);
