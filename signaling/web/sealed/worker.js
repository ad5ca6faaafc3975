// The worker of a sealed live view: connection, keys, decoders. Nothing that it opens leaves it but
// pictures and sound.
//
// Takes {kind: 'start', ...} once, {kind: 'blobs', blobs, asked}, {kind: 'socket', url} and
// {kind: 'stop'}. Tells {kind: 'ready'}, then 'unreachable' if it needs a WebSocket, 'connected', 'picture', 'missing', 'refused', 'delayed', 'fault',
// 'figures', and at last 'ended'.

import { Connection } from './connection.js';
import { Keyring } from './keyring.js';
import { FrameOpener } from './opener.js';
import { Playout } from './playout.js';
import { Screen } from './screen.js';
import { SessionKeys } from './session_keys.js';
import { Speaker } from './speaker.js';
import { pin } from './terminal.js';
import { Viewer } from './viewer.js';

/** Figures are told this often, milliseconds. */
const FIGURES_MS = 1000;
/** A view stays delayed for this long after a delayed frame, milliseconds. */
const DELAYED_HOLD_MS = 1000;

const clock = () => performance.timeOrigin + performance.now();
const tell = (event) => postMessage(event);
let keys = null;
let socketAddress = { resolve() {}, reject() {} };
let stop = (reason) => tell({ kind: 'ended', reason });

/** Tells changes only: each frame says whether it is delayed. */
function delays() {
  let until = -Infinity;
  let told = false;
  return (by) => {
    if (by) until = performance.now() + DELAYED_HOLD_MS;
    const delayed = performance.now() < until;
    if (delayed !== told) tell({ kind: 'delayed', delayed, by });
    told = delayed;
  };
}

async function start({ url, hashes, tracks, binding, camera, newest, channel, recipients, canvas, sound, blobs }) {
  const remember = (generation) => pin(binding.serial, { epoch: binding.epoch, camera, newest: generation });
  const keyring = Keyring.live({ binding, camera, newest, remember });
  keys = new SessionKeys(keyring, recipients, clock, tell);
  await keys.take(blobs);
  const playout = new Playout();
  let shown = 0;
  const screen = new Screen(canvas, playout, clock, () => {
    if (shown === 0) tell({ kind: 'picture' });
    shown += 1;
  });
  const delayed = delays();
  const viewer = new Viewer(tracks, {
    opener: await FrameOpener.of(keyring, channel),
    speaker: sound ? new Speaker(sound, playout) : null,
    tell: (event) => (event.kind === 'delayed' ? delayed(event.by) : tell(event)),
    keys, screen, playout, clock,
  });
  let transport = null;
  const figures = setInterval(() => {
    const { width, height } = canvas;
    tell({ kind: 'figures', ...viewer.counts, shown, width, height, at: performance.now() });
  }, FIGURES_MS);
  stop = (reason) => {
    stop = () => {};
    clearInterval(figures);
    viewer.close();
    screen.clear();
    transport?.close();
    tell({ kind: 'ended', reason });
  };
  transport = new Connection(url, hashes, () => new Promise((resolve, reject) => {
    socketAddress = { resolve, reject };
    tell({ kind: 'unreachable' });
  }));
  transport.closed.then(() => stop('ended'), () => stop('lost'));
  await transport.ready;
  tell({ kind: 'connected' });
  await viewer.run(transport.incomingUnidirectionalStreams);
}

onmessage = ({ data }) => {
  if (data.kind === 'blobs') keys?.take(data.blobs, data.asked);
  else if (data.kind === 'socket') data.url ? socketAddress.resolve(data.url) : socketAddress.reject(new Error('no WebSocket'));
  else if (data.kind === 'stop') stop('stopped');
  else if (data.kind === 'start') {
    start(data).catch((error) => {
      tell({ kind: 'fault', reason: String(error) });
      stop('lost');
    });
  }
};
tell({ kind: 'ready' });
