// Shows decoded pictures when they are due, on a canvas. A picture that is overtaken is not shown.

/** Pictures that wait at most: decoders have few buffers. */
export const MAX_WAITING = 8;
/** From drawing to light, milliseconds: a drawn picture waits for the next refresh of the screen. */
export const LEAD_MS = 16;

export class Screen {
  #canvas;
  #context;
  #playout;
  #clock;
  #waiting = [];
  #timer = 0;
  #shown;
  #last = -Infinity;

  /** `shown(captured)` is called after each picture; `clock` tells milliseconds since 1970. */
  constructor(canvas, playout, clock, shown) {
    this.#canvas = canvas;
    this.#context = canvas.getContext('2d', { alpha: false, desynchronized: true });
    this.#playout = playout;
    this.#clock = clock;
    this.#shown = shown;
  }

  /** Takes a VideoFrame whose timestamp is its capture time in microseconds. */
  put(frame) {
    this.#waiting.push(frame);
    this.#waiting.sort((a, b) => a.timestamp - b.timestamp);
    this.#turn();
  }

  /** Forgets what waits and clears the picture: nothing stale stays visible. */
  clear() {
    clearTimeout(this.#timer);
    this.#waiting.splice(0).forEach((frame) => frame.close());
    this.#context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    this.#last = -Infinity;
  }

  #turn() {
    clearTimeout(this.#timer);
    const now = this.#clock();
    const due = (frame) => this.#playout.due(frame.timestamp / 1000) - LEAD_MS;
    let ready = this.#waiting.filter((frame) => due(frame) <= now).length;
    ready = Math.max(ready, this.#waiting.length - MAX_WAITING);
    const taken = this.#waiting.splice(0, ready);
    const newest = taken.pop();
    taken.forEach((frame) => frame.close());
    if (newest) this.#paint(newest);
    if (this.#waiting.length) this.#timer = setTimeout(() => this.#turn(), Math.max(1, due(this.#waiting[0]) - now));
  }

  #paint(frame) {
    const { displayWidth: width, displayHeight: height, timestamp } = frame;
    if (timestamp > this.#last) {
      if (this.#canvas.width !== width) this.#canvas.width = width;
      if (this.#canvas.height !== height) this.#canvas.height = height;
      this.#context.drawImage(frame, 0, 0, width, height);
      this.#last = timestamp;
      this.#shown(timestamp / 1000);
    }
    frame.close();
  }
}
