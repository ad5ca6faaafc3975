// A WebSocket that looks like WebTransport to a viewer: messages become the streams they are
// pieces of. Each begins with the stream's number and whether it is given up; nothing more ends it.

import { malformed } from './errors.js';

/** Ends that the server tells: of the stream, of the server, of the permission to watch. */
const TOLD = [1000, 1001, 4001];
/** Bytes of a stream that wait to be read; beyond it the rest of its group is skipped. */
export const MAX_HELD = 16 * 1024 * 1024;

/** A message's stream, whether it is given up, and what it adds to the stream. */
export function piece(message) {
  const length = message.length > 0 ? 1 << (message[0] >> 6) : 1;
  if (message.length < length) throw malformed('a message without its mark');
  let mark = message[0] & 0x3f;
  for (let at = 1; at < length; at += 1) mark = mark * 256 + message[at];
  return { number: Math.floor(mark / 2), givenUp: mark % 2 === 1, bytes: message.subarray(length) };
}

/** `ready`, `closed`, `incomingUnidirectionalStreams` and `close` are those of WebTransport. */
export class SocketTransport {
  #socket;
  #arrive = null;
  // Streams in progress by their numbers; null: nobody reads on.
  #streams = new Map();

  constructor(url) {
    this.#socket = new WebSocket(url);
    this.#socket.binaryType = 'arraybuffer';
    this.incomingUnidirectionalStreams = new ReadableStream({
      start: (controller) => { this.#arrive = controller; },
    });
    this.closed = new Promise((resolve, reject) => {
      this.#socket.onclose = ({ code, reason }) => {
        this.#end();
        if (TOLD.includes(code)) resolve({ closeCode: code, reason });
        else reject(new Error(`the WebSocket was lost (${code})`));
      };
    });
    const opened = new Promise((resolve) => { this.#socket.onopen = resolve; });
    this.ready = Promise.race([opened, this.closed.then(() => { throw new Error('closed at once'); })]);
    this.ready.catch(() => {});
    this.#socket.onmessage = ({ data }) => {
      try {
        this.#take(piece(new Uint8Array(data)));
      } catch {
        this.close();
      }
    };
  }

  close() {
    this.#socket.close();
  }

  #take({ number, givenUp, bytes }) {
    if (givenUp || bytes.length === 0) {
      const stream = this.#streams.get(number);
      this.#streams.delete(number);
      if (givenUp) stream?.error(new Error('the rest of the group is skipped'));
      else stream?.close();
      return;
    }
    if (!this.#streams.has(number)) this.#open(number);
    const stream = this.#streams.get(number);
    if (!stream) return;
    stream.enqueue(bytes);
    if (-stream.desiredSize <= MAX_HELD) return;
    this.#streams.set(number, null);
    stream.error(new Error('too much waits'));
  }

  #open(number) {
    let stream;
    const cancel = () => {
      if (this.#streams.get(number) === stream) this.#streams.set(number, null);
    };
    const start = (controller) => { stream = controller; };
    const readable = new ReadableStream({ start, cancel }, new ByteLengthQueuingStrategy({ highWaterMark: 0 }));
    this.#streams.set(number, stream);
    this.#arrive.enqueue(readable);
  }

  #end() {
    for (const stream of this.#streams.values()) stream?.error(new Error('the connection is over'));
    this.#streams.clear();
    this.#arrive.close();
  }
}
