// When a frame is due: capture time of the camera's clock, moved to this machine's by the quickest
// frame of late, and a little later so that those that took longer are in time. Pictures and sound
// share it, and so are together.

/** How much later than the quickest frame everything is shown, milliseconds. */
export const BUFFER_MS = 60;
/** The quickest frame of this long counts, milliseconds. */
export const MEMORY_MS = 10_000;
/** A camera's clock that jumps this far starts the count anew, milliseconds. */
export const JUMP_MS = 2_000;

const SLOTS = 10;
const SLOT_MS = MEMORY_MS / SLOTS;

export class Playout {
  // The least difference between arrival and capture, by slot of time.
  #slots = new Map();

  /** A frame that was captured at `captured` came at `now`; milliseconds since 1970. */
  observe(captured, now) {
    const transit = now - captured;
    const slot = Math.floor(now / SLOT_MS);
    const latest = this.#slots.get(slot) ?? this.#slots.get(slot - 1);
    if (latest !== undefined && transit < latest - JUMP_MS) this.#slots.clear();
    this.#slots.set(slot, Math.min(this.#slots.get(slot) ?? Infinity, transit));
    for (const old of this.#slots.keys()) if (old <= slot - SLOTS) this.#slots.delete(old);
  }

  /** From capture to showing, milliseconds; null before the first frame. */
  get delay() {
    if (this.#slots.size === 0) return null;
    return Math.min(...this.#slots.values()) + BUFFER_MS;
  }

  /** When a frame is due. */
  due(captured) {
    return captured + (this.delay ?? 0);
  }
}
