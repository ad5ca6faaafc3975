// The generations of one session: asked for when a frame names one, taken when a blob comes.

import { SealedError } from './errors.js';

export class SessionKeys {
  #keyring;
  #recipients;
  #clock;
  #tell;
  #asked = new Set();
  #came = () => {};
  /** Resolves when the next answer was taken, whatever it held. */
  arrived;

  /**
   * `recipients` are X25519 keys that may be named in a blob, tried in turn. `tell` is told
   * `{kind: 'missing', generation}` and `{kind: 'refused', reason}`.
   */
  constructor(keyring, recipients, clock, tell) {
    this.#keyring = keyring;
    this.#recipients = recipients;
    this.#clock = clock;
    this.#tell = tell;
    this.#renew();
  }

  /** A frame names a generation that is not held. It is asked for once at a time. */
  missing(generation) {
    if (this.#asked.has(generation)) return;
    this.#asked.add(generation);
    this.#tell({ kind: 'missing', generation });
  }

  /** Takes an answer: blobs, and the generation that was asked for, if one was. */
  async take(blobs, asked) {
    for (const blob of blobs) {
      try {
        await this.#accept(blob);
      } catch (error) {
        if (!(error instanceof SealedError)) throw error;
        // The server may well hand out what is not live any more.
        if (error.reason !== 'older') this.#tell({ kind: 'refused', reason: error.reason });
      }
    }
    this.#asked.delete(asked);
    this.#came();
    this.#renew();
  }

  async #accept(blob) {
    let refusal = null;
    for (const recipient of this.#recipients) {
      try {
        return await this.#keyring.accept(blob, recipient, this.#clock() / 1000);
      } catch (error) {
        refusal = error;
        if (error.reason !== 'not-a-recipient') break;
      }
    }
    throw refusal;
  }

  #renew() {
    this.arrived = new Promise((resolve) => {
      this.#came = resolve;
    });
  }
}
