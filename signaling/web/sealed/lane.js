// One track's groups of pictures, in turn: items of a group one after the other, and a group that
// hangs is left behind when the next one is there.

/** The next group waits this long for the end of the one before it, milliseconds. */
export const LATE_MS = 300;
/** Groups that wait at most; the oldest is left behind. */
export const MAX_GROUPS = 4;
/** Bytes that wait in a group until its stream is read on. */
export const MAX_WAITING = 8 * 1024 * 1024;

export class Lane {
  #groups = [];
  #wake = () => {};
  #work;
  #skipped;
  #open = true;

  /** `work(item, group)` is awaited for each; `skipped()` is called when a group is left behind. */
  constructor(work, skipped) {
    this.#work = work;
    this.#skipped = skipped;
    this.#run();
  }

  /** A stream of this track has begun. `cancel` ends its reading. */
  group(cancel) {
    const group = { items: [], bytes: 0, ended: false, cancel, room: null, since: performance.now() };
    this.#groups.push(group);
    if (this.#groups.length > MAX_GROUPS) this.#leave();
    this.#wake();
    return group;
  }

  /** An item of a group; resolves when there is room for more. */
  async add(group, item) {
    if (group.ended) return;
    group.items.push(item);
    group.bytes += item.payload.length;
    this.#wake();
    while (group.bytes > MAX_WAITING && !group.ended) {
      await new Promise((resolve) => {
        group.room = resolve;
      });
    }
  }

  /** The stream of a group has ended, or was reset. */
  end(group) {
    group.ended = true;
    this.#wake();
  }

  /** Ends the lane. */
  close() {
    this.#open = false;
    while (this.#groups.length) this.#leave();
    this.#wake();
  }

  async #run() {
    while (this.#open) {
      const [group, next] = this.#groups;
      const item = group?.items.shift();
      if (item) {
        group.bytes -= item.payload.length;
        group.room?.();
        await this.#work(item, group);
      } else if (group?.ended) {
        if (this.#groups[0] === group) this.#groups.shift();
      } else if (next && performance.now() - next.since >= LATE_MS) {
        this.#leave();
      } else {
        await this.#pause(next ? LATE_MS - (performance.now() - next.since) : null);
      }
    }
  }

  #pause(limit) {
    return new Promise((resolve) => {
      const timer = limit === null ? 0 : setTimeout(resolve, Math.max(1, limit));
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Leaves the oldest group behind. */
  #leave() {
    const group = this.#groups.shift();
    group.items.length = 0;
    group.bytes = 0;
    group.ended = true;
    group.room?.();
    group.cancel();
    this.#skipped();
  }
}
