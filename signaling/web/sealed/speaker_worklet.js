// The audio thread: plays each sample when it is due, as pictures are.

/** Sound that is off by more than this is moved, milliseconds: pictures and sound stay together. */
const TOLERANCE_MS = 30;
/** Sound that is off by less is brought back in about this long, milliseconds. */
const RETURN_MS = 2000;
/** Most that the speed of sound is changed for it: what no ear tells from the true pitch. */
const MAX_BEND = 0.005;
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
  // Speed at which sound is played: 1, or a little off while it is brought back.
  #speed = 1;

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
      output.forEach((plane, channel) => {
        plane[frame] = this.#sample(channel);
      });
      this.#advance((chunk.rate / sampleRate) * this.#speed);
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
      if (this.#playing && Math.abs(ahead) <= TOLERANCE_MS) {
        this.#speed = 1 - Math.max(-MAX_BEND, Math.min(MAX_BEND, ahead / RETURN_MS));
        return true;
      }
      this.#speed = 1;
      this.#playing = Math.abs(ahead) <= STEP_MS;
      if (this.#playing) return true;
      if (ahead > 0) return false;
      this.#advance((-ahead / 1000) * chunk.rate);
    }
    this.#playing = false;
    return false;
  }

  /** What a channel sounds like at the position, between two samples where it lies between them. */
  #sample(channel) {
    const [chunk, next] = this.#waiting;
    const samples = chunk.channels[channel] ?? chunk.channels[0];
    const index = Math.floor(this.#at);
    const before = samples[index];
    const after = samples[index + 1] ?? (next?.channels[channel] ?? next?.channels[0])?.[0] ?? before;
    return before + (after - before) * (this.#at - index);
  }

  #advance(samples) {
    this.#at += samples;
    while (this.#waiting.length && this.#at >= this.#waiting[0].channels[0].length) {
      this.#at -= this.#waiting.shift().channels[0].length;
    }
  }
}

registerProcessor('sightline-speaker', SpeakerProcessor);
