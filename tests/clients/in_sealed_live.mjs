// Functions that run inside the page and its worker, and measure a sealed view. Times are
// milliseconds since 1970 by the machine's clock.

/** Installed before the page's own scripts: notes when the server let this terminal in. */
export function noteGrants() {
  const ask = window.fetch;
  window.grants = [];
  window.fetch = async function asked(url, ...more) {
    const answer = await ask.call(this, url, ...more);
    const path = new URL(url, location.href).pathname;
    if (path === '/v1/media-grants' && answer.ok) window.grants.push(window.eye.clock());
    return answer;
  };
}

/** Resolves with the time of the first readable picture of a canvas that was not there before. */
export async function firstPicture() {
  const { eye } = window;
  const before = eye.element();
  window.grants.length = 0;
  const end = performance.now() + 60_000;
  while (performance.now() < end) {
    await eye.next(null);
    const element = eye.element();
    const found = element === before || element?.localName !== 'canvas' ? null : eye.read(element);
    if (found) return { granted: window.grants.at(-1), painted: eye.clock(), n: found.n };
  }
  return null;
}

/**
 * Installed before the page's own scripts: the text of a processor of the test's goes before the
 * page's own and says which capture time is played when.
 */
export function noteSound(processor) {
  const add = AudioWorklet.prototype.addModule;
  AudioWorklet.prototype.addModule = async function added(...given) {
    await add.call(this, URL.createObjectURL(new Blob([processor], { type: 'text/javascript' })));
    return add.apply(this, given);
  };
  const Node = window.AudioWorkletNode;
  window.played = [];
  window.AudioWorkletNode = class extends Node {
    constructor(...given) {
      super(...given);
      this.port.onmessage = ({ data }) => window.played.push(data);
    }
  };
}

/** In the worker: notes the capture time of each picture that is drawn, and when. */
export function notePaints() {
  const { prototype } = OffscreenCanvasRenderingContext2D;
  const draw = prototype.drawImage;
  self.paints = [];
  prototype.drawImage = function drawn(image, ...more) {
    if (image instanceof VideoFrame) self.paints.push([image.timestamp, performance.timeOrigin + performance.now()]);
    return draw.call(this, image, ...more);
  };
}

/**
 * Watches for some seconds: `pictures` [number, painted clock, time] as the canvas shows them, `unreadable`
 * looks without a strip, `played` [time, capture time] of samples as they are heard.
 */
export async function measure(seconds) {
  const { eye } = window;
  const pictures = [];
  const zeros = [];
  let unreadable = 0;
  window.played.length = 0;
  const compare = () => {
    const { contextTime, performanceTime } = window.ear.context.getOutputTimestamp();
    if (performanceTime) zeros.push([contextTime, performance.timeOrigin + performanceTime - contextTime * 1000]);
  };
  const timer = setInterval(compare, 200);
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    await eye.next(null);
    // The picture is there now; reading it takes long.
    const at = eye.clock();
    const found = eye.read(eye.element());
    if (!found) unreadable += 1;
    else if (found.n !== pictures.at(-1)?.[0]) pictures.push([found.n, found.clock, at]);
  }
  clearInterval(timer);
  // The audio clock stands still when the machine does: each sample goes by the comparisons about it.
  const zero = (at) => {
    const near = zeros.filter(([when]) => Math.abs(when - at) <= 0.5).map(([, value]) => value);
    return near.sort((a, b) => a - b)[near.length >> 1] ?? NaN;
  };
  const heard = window.played.filter(({ at }) => !Number.isNaN(zero(at)));
  const played = heard.map(({ at, captured }) => [zero(at) + at * 1000, captured]);
  const text = (id) => document.querySelector(`[data-testid="${id}"]`).textContent;
  const { baseLatency, outputLatency, state } = window.ear.context;
  const values = zeros.map(([, value]) => value);
  const spread = Math.max(...values) - Math.min(...values);
  return { pictures, unreadable, played, lost: text('stat-lost'), context: { baseLatency, outputLatency, state, spread } };
}
