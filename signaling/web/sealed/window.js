// Which frames were opened already: RFC 9605 leaves replays to the layer above it (section 9.3).

/** Counters behind the newest that are still opened, once. */
export const WINDOW = 1024;

/** The last counters of one KID. */
export class Window {
  #newest = -1;
  // The counter that was opened last at each place modulo WINDOW.
  #opened = new Float64Array(WINDOW).fill(-1);

  /** `fresh`, `replayed` or `too-far-behind`. Looks only: what is not authentic must not move it. */
  check(ctr) {
    if (ctr > this.#newest) return 'fresh';
    if (this.#newest - ctr >= WINDOW) return 'too-far-behind';
    return this.#opened[ctr % WINDOW] === ctr ? 'replayed' : 'fresh';
  }

  /** Takes note of a counter whose frame was authentic. */
  record(ctr) {
    this.#opened[ctr % WINDOW] = ctr;
    this.#newest = Math.max(this.#newest, ctr);
  }
}
