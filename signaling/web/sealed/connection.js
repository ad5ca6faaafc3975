// The worker's way to the relay: WebTransport, and a WebSocket where that does not come through.

import { fromBase64url } from '../dpop.js';
import { SocketTransport } from './socket.js';

/** WebTransport gets this long, milliseconds: a network that drops UDP says nothing. */
export const READY_MS = 3000;

/** A WebTransport that is connected, or null. */
async function reached(url, hashes) {
  let transport;
  let timer;
  try {
    const serverCertificateHashes = hashes.map((hash) => ({ algorithm: 'sha-256', value: fromBase64url(hash) }));
    transport = new WebTransport(url, { serverCertificateHashes });
    // Whoever uses it asks again.
    transport.closed.catch(() => {});
    const late = new Promise((_, reject) => { timer = setTimeout(reject, READY_MS); });
    await Promise.race([transport.ready, late]);
    return transport;
  } catch {
    transport?.close();
    return null;
  } finally {
    clearTimeout(timer);
  }
}

/** `ready`, `closed`, `incomingUnidirectionalStreams` and `close` are those of WebTransport. */
export class Connection {
  #transport = null;
  #over = false;
  #settle = null;

  /**
   * `url`: of WebTransport with `hashes` of its certificates, or of a WebSocket. `instead()` promises
   * the address of a WebSocket and is called when WebTransport does not come through.
   */
  constructor(url, hashes, instead) {
    this.closed = new Promise((resolve, reject) => { this.#settle = { resolve, reject }; });
    this.ready = this.#open(url, hashes, instead);
  }

  get incomingUnidirectionalStreams() {
    return this.#transport.incomingUnidirectionalStreams;
  }

  close() {
    this.#over = true;
    this.#transport?.close();
  }

  async #open(url, hashes, instead) {
    let transport = /^wss?:/.test(url) ? null : await reached(url, hashes);
    if (!transport && !this.#over) transport = new SocketTransport(/^wss?:/.test(url) ? url : await instead());
    this.#transport = transport;
    transport?.closed.then(this.#settle.resolve, this.#settle.reject);
    if (this.#over) {
      transport?.close();
      throw new Error('stopped');
    }
    await transport.ready;
  }
}
