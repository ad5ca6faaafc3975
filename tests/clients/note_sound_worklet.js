// Goes before the page's processor of sound. Each sample that comes from the worker is replaced by
// its own capture time; so what the processor gives out tells which capture time it plays.

/** Quanta from one word to the next. */
const EVERY = 8;
/** Added to all that is played, so that silence is none of it. */
const LIFT = 1000;

const register = globalThis.registerProcessor;
globalThis.registerProcessor = (name, Processor) => register(name, class extends Processor {
  #base = null;
  #quanta = 0;

  constructor(...given) {
    super(...given);
    const own = this.port.onmessage;
    this.port.onmessage = ({ data }) => {
      const { source } = data;
      if (!source) return own({ data });
      const between = { set onmessage(take) { source.onmessage = ({ data: chunk }) => take({ data: stamp(chunk) }); } };
      return own({ data: { source: between } });
    };
    const stamp = (chunk) => {
      this.#base ??= chunk.captured;
      const start = chunk.captured - this.#base + LIFT;
      const [{ length }] = chunk.channels;
      return { ...chunk, channels: [Float32Array.from({ length }, (_, at) => start + (at / chunk.rate) * 1000)] };
    };
  }

  process(inputs, outputs, parameters) {
    const goesOn = super.process(inputs, outputs, parameters);
    const [[[first]]] = outputs;
    this.#quanta += 1;
    if (first >= LIFT && this.#quanta % EVERY === 0) {
      this.port.postMessage({ at: currentTime, captured: this.#base + first - LIFT });
    }
    return goesOn;
  }
});
