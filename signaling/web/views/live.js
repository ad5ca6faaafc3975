// The live picture: through the gate, to the relay, and back again when the connection drops.

import { Problem, call } from '../api.js';
import { announceWords, h, hush, relabel, say } from '../dom.js';
import { has } from '../i18n.js';
import * as icons from '../icons.js';
import { pause, stepFor, through } from '../flow.js';
import * as keys from '../keys.js';
import { allowClear, noteOrder } from '../sealed/owners_word.js';
import { SealedPlayer, remembered } from '../sealed/player.js';
import { padlock } from '../sealed/padlock.js';
import { sealedTerminal } from '../sealed/terminal.js';
import { admitThis } from '../sealed/viewers.js';
import { figures } from '../stats.js';
import { Player } from '../whep.js';
import { consentDialog, smsDialog } from './dialogs.js';
import { prove, proveTyped } from './key_proof.js';
import { openedNote } from './sealing.js';

/** Pause between readings, milliseconds. */
const STATS_MS = 1000;
/** No picture for this long means the connection is lost, milliseconds. */
const STALL_MS = 8000;
const FIGURES = ['firstFrame', 'size', 'fps', 'bitrate', 'codec', 'rtt', 'jitter', 'lost', 'buffer', 'freezes'];

export function liveView(context, serial, channel) {
  const live = new Live(context, serial, channel);
  return {
    element: live.element,
    title: 'live.video',
    entered: () => live.watch(),
    leave: () => live.leave(),
  };
}

class Live {
  #run = null;
  #left = false;
  #figures = {};

  constructor(context, serial, channel) {
    Object.assign(this, { context, serial, channel });
    this.#build();
    this.#state('idle');
  }

  #build() {
    const { serial, channel } = this;
    this.video = h('video', { label: 'live.video', playsinline: true, autoplay: true, testid: 'video' });
    this.muted = true;
    this.video.muted = true;
    this.stateText = h('p', { class: 'state-text', testid: 'live-state' });
    this.detail = h('p', { class: 'state-detail', testid: 'live-detail' });
    this.start = this.#button('start', 'live.start', icons.play, () => this.watch(), 'primary');
    this.overlay = h('div', { class: 'overlay' }, h('div', { class: 'spinner', 'aria-hidden': 'true' }), this.stateText, this.detail, this.start);
    this.badge = h('span', { class: 'live-badge' }, h('i', { class: 'dot' }), h('span', { t: 'live.state.playing' }));
    this.sound = this.#button('sound', 'live.sound', icons.soundOff, () => this.#turnSound());
    this.halt = this.#button('stop', 'live.stop', icons.stop, () => this.stop());
    this.full = this.#button('fullscreen', 'live.fullscreen', icons.expand, () => this.#fullscreen());
    const controls = h('div', { class: 'controls', role: 'group', label: 'live.controls' }, this.halt, this.sound, h('span', { class: 'grow' }), this.full);
    this.stage = h('div', { class: 'stage', testid: 'stage' }, this.video, this.badge, this.overlay, controls);
    this.mode = h('div', { class: 'mode-line', testid: 'live-mode' });
    this.opened = h('div');
    this.leftOut = h('p', { class: 'hint', testid: 'left-out', hidden: true });
    this.name = h('h1', {}, serial);
    const rows = FIGURES.map((name) => {
      this.#figures[name] = h('dd', { testid: `stat-${name}` }, '–');
      return h('div', {}, h('dt', { t: `live.${name}` }), this.#figures[name]);
    });
    this.element = h('section', { class: 'page live' },
      h('div', { class: 'row heading' }, h('a', { class: 'button quiet icon-button', href: '#/devices', label: 'common.back', testid: 'back' }, icons.back()),
        h('div', { class: 'grow' }, this.name, h('p', { class: 'muted mono small' }, `${serial} · ${channel}`)), this.mode),
      this.opened, h('div', { class: 'live-grid' }, this.stage,
        h('aside', { class: 'card figures' }, h('h2', { t: 'live.figures' }), h('dl', {}, ...rows), this.leftOut)));
  }

  #button(testid, label, icon, click, kind = 'glass icon-button') {
    const content = kind === 'primary' ? [icon(), h('span', { t: label })] : [icon()];
    return h('button', { class: kind, type: 'button', testid, on: { click }, ...(kind === 'primary' ? {} : { label }) }, ...content);
  }

  /** Watches until stopped: admission, connection, and again after each loss. */
  async watch() {
    if (this.#run) return;
    const run = { ended: false, wake: () => {}, player: null };
    this.#run = run;
    for (let attempt = 0; !run.ended; ) {
      try {
        const started = performance.now();
        // Asked for anew: the camera may have got another owner, or a key, since the last try.
        const device = await this.#facts();
        if (run.ended) return;
        this.device = device;
        const connected = await this.#connect(run, started);
        if (run.ended) return;
        if (!connected) return this.#finish(run, 'stopped', 'live.cancelled');
        this.#state('connecting');
        const why = await this.#play(run, started, () => {
          attempt = 0;
        });
        if (run.ended) return;
        run.player.stop();
        this.#state('reconnecting', why);
      } catch (problem) {
        // A player that fails after it was stopped may have got a session meanwhile.
        run.player?.stop();
        if (run.ended) return;
        if (!problem.wait) return this.#failed(run, problem);
        this.#state('waiting', `problem.${problem.name}`);
      }
      // Its owner may have sealed or opened it, which ends the picture.
      this.device = null;
      await this.#sleep(run, Math.max(pause(attempt), run.retryAfter ?? 0));
      run.retryAfter = 0;
      attempt += 1;
    }
  }

  /** Gate and offer; null when the user gave up. */
  #connect(run, started) {
    let quietly = true;
    const wait = (problem) => {
      run.retryAfter = problem.retryAfter;
      throw Object.assign(problem, { wait: true });
    };
    this.#state(run.player ? 'reconnecting' : 'asking');
    run.started = started;
    const still = () => !run.ended;
    const step = (work) => async (problem) => {
      if (run.ended) return false;
      this.#state('asking', `problem.${problem.name}`);
      const asked = performance.now();
      const done = await work(problem);
      // Time that people take to answer is not the connection's.
      run.started += performance.now() - asked;
      return done && !run.ended;
    };
    return through(async () => {
      if (run.ended) return null;
      const { grant } = await call('POST', '/v1/media-grants', { serial: this.serial, channel: this.channel, action: 'live' });
      return run.ended ? null : this.#start(run, grant);
    }, {
      'prove-key': step(async () => {
        const done = await this.#proveKey(quietly, still);
        quietly = false;
        return done;
      }),
      'confirm-sms': step(() => smsDialog(this.serial, still)),
      consent: step(() => consentDialog('media.view', 'consent', still)),
      again: async () => !run.ended,
      wait,
    });
  }

  /**
   * A sealed device is opened here; an open one plays by WHEP. Neither takes the other's way. Null when the
   * run has ended meanwhile: no player outlives it.
   */
  async #start(run, grant) {
    const { serial, channel, device } = this;
    const sealed = device?.sealed;
    if (sealed) noteOrder(device);
    else await allowClear(device);
    if (run.ended) return null;
    run.player?.stop();
    run.player = sealed ? new SealedPlayer() : new Player();
    this.#picture(sealed);
    if (sealed) await run.player.start({ device, channel, grant, canvas: this.canvas, server: this.context.server, muted: this.muted });
    else await run.player.start({ serial, channel, grant, video: this.video });
    if (!run.ended) return run.player;
    run.player.stop();
    return null;
  }

  /** Shows a new canvas, or the video element: a canvas belongs to one worker for ever. */
  #picture(sealed) {
    this.canvas?.remove();
    this.canvas = sealed ? h('canvas', { label: 'live.video', role: 'img', testid: 'canvas' }) : null;
    this.video.hidden = sealed;
    if (sealed) this.video.after(this.canvas);
  }

  /** Resolves with a reason when the picture is lost. */
  #play(run, started, playing) {
    const { player } = run;
    return new Promise((resolve) => {
      let before = null;
      let seen = performance.now();
      const over = (why) => {
        clearInterval(timer);
        resolve(why);
      };
      run.wake = over;
      player.addEventListener('lost', () => over('problem.offline'));
      player.addEventListener('ended', () => over('live.ended'));
      player.addEventListener('refused', ({ detail }) => this.#refused(detail.reason));
      player.addEventListener('delayed', ({ detail }) => this.#delayed(detail.delayed));
      this.#firstFrame(player, () => {
        if (run.ended) return;
        playing();
        seen = performance.now();
        this.#set('firstFrame', `${Math.round(performance.now() - run.started)} ms`);
        this.#state('playing');
        this.#leftOutText(player.leftOut);
      });
      // What was refused stands until there is a picture.
      if (!this.canvas) this.#leftOutText(player.leftOut);
      this.#delayed(false);
      if (!this.canvas) this.video.play().catch(() => {});
      const timer = setInterval(async () => {
        const now = await player.reading().catch(() => null);
        if (run.ended) return;
        if (now) {
          const shown = figures(before, now);
          if (shown.moving) seen = performance.now();
          before = now;
          this.#show(shown);
        }
        if (performance.now() - seen > STALL_MS) over();
      }, STATS_MS);
    });
  }

  #firstFrame(player, then) {
    if (this.canvas) player.addEventListener('picture', then, { once: true });
    else if (this.video.requestVideoFrameCallback) this.video.requestVideoFrameCallback(then);
    else this.video.addEventListener('playing', then, { once: true });
  }

  /** Proves the device key: as a terminal that was let in, with the kept key, or by the secret. */
  async #proveKey(quietly, still) {
    const guest = this.device?.role === 'guest';
    if (quietly && (guest || this.device?.sealed) && (await this.#proveTerminal())) return true;
    // The device secret is no guest's to type.
    if (guest) throw new Problem('terminal-not-listed');
    // A sealed device needs the other key of its secret too.
    const enough = !this.device?.sealed || (await keys.archiveKey(this.serial));
    const known = quietly && enough ? await keys.deviceKey(this.serial) : null;
    if (known) {
      try {
        await this.#prove(known);
        return true;
      } catch (problem) {
        if (problem.status === 0 || problem.status >= 500 || problem.status === 429) throw problem;
        await keys.forgetDeviceKey(this.serial);
      }
    }
    const keep = this.device?.sealed ? keys.keepOwnerKeys : keys.keepOpenKeys;
    const made = await proveTyped(this.context.server, this, keep, still);
    // Without a place on the list the secret's keys go on doing what they do now.
    if (made && this.device?.sealed) await admitThis(this.device, made.auth).catch(() => {});
    return Boolean(made);
  }

  /** Proves the device key by this terminal's place on the viewer list; false without one. */
  async #proveTerminal() {
    if (!(await keys.hasPlace(this.device))) return false;
    const { signing } = await sealedTerminal();
    try {
      await this.#prove(signing.privateKey, signing.publicKey);
      return true;
    } catch (problem) {
      if (problem.name !== 'device-key-invalid') throw problem;
      await keys.losePlace(this.serial);
      return false;
    }
  }

  #prove(key, listed) {
    return prove(this.context.server, this, key, listed);
  }

  /** What the server says of the device; its name and protection go to the heading. */
  async #facts() {
    let items = [];
    try {
      ({ items } = await call('GET', '/v1/devices'));
    } catch (problem) {
      // Whether it is sealed decides how it is watched, so nothing goes on without it.
      throw stepFor(problem) === 'wait' ? Object.assign(problem, { wait: true }) : problem;
    }
    const device = items.find((item) => item.serial === this.serial);
    if (!device) throw new Problem('device-not-bound');
    this.name.textContent = device.name || device.serial;
    // One that somebody has opened stays open.
    const mode = device.sealed ? 'sealed' : 'open';
    if (this.mode.firstElementChild?.dataset.mode !== mode) this.mode.replaceChildren(padlock(device.sealed));
    this.opened.replaceChildren(...[openedNote(device)].filter(Boolean));
    // Before anybody types a secret for a camera that is not the one it was.
    if (device.sealed) await remembered(device);
    return device;
  }

  /** Something sealed did not open: it is not shown, and the page says why. */
  #refused(reason) {
    const key = `sealed.${reason}`;
    this.leftOut.hidden = false;
    this.leftOut.dataset.refused = reason;
    say(this.leftOut, has(key) ? key : 'sealed.malformed');
  }

  /** Old pictures are never called live. */
  #delayed(delayed) {
    this.stage.dataset.delayed = String(delayed);
    say(this.badge.querySelector('span'), delayed ? 'live.state.delayed' : 'live.state.playing');
  }

  stop() {
    const run = this.#run;
    if (run) this.#finish(run, 'stopped');
  }

  leave() {
    this.#left = true;
    this.stop();
    if (document.fullscreenElement) document.exitFullscreen();
  }

  #failed(run, problem) {
    const key = `problem.${problem.name}`;
    this.#finish(run, 'failed', has(key) ? key : { words: problem.title || problem.message }, problem.name ?? 'internal');
  }

  #finish(run, state, detail, problem) {
    run.ended = true;
    run.player?.stop();
    run.wake();
    // Watch may have been pressed again since: what shows now is the new run's.
    if (this.#run !== run) return;
    this.#run = null;
    this.#state(state, detail, problem);
  }

  #sleep(run, seconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, seconds * 1000);
      run.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** `detail`: a text key, or `{words}` of the server. */
  #state(state, detail, problem) {
    const idle = ['idle', 'stopped', 'failed'].includes(state);
    this.stage.dataset.state = state;
    this.stateText.dataset.state = state;
    this.stateText.dataset.problem = problem ?? (detail?.startsWith?.('problem.') ? detail.slice(8) : '');
    say(this.stateText, `live.state.${state}`);
    hush(this.detail);
    if (detail?.words) this.detail.textContent = detail.words;
    else if (detail) say(this.detail, detail);
    // The lines themselves are hidden while it plays, and readers miss what changes as it comes back.
    if (state !== 'idle' && !this.#left) announceWords(`${this.stateText.textContent} ${this.detail.textContent}`.trim());
    this.start.hidden = !idle;
    this.halt.disabled = idle;
  }

  #show(shown) {
    const whole = (value, unit) => (value === undefined || Number.isNaN(value) ? '–' : `${Math.round(value)} ${unit}`);
    this.#set('size', shown.size ?? '–');
    this.#set('fps', shown.fps === undefined ? '–' : String(Math.round(shown.fps)));
    this.#set('bitrate', shown.kbps > 1000 ? `${(shown.kbps / 1000).toFixed(1)} Mbit/s` : whole(shown.kbps, 'kbit/s'));
    this.#set('codec', shown.codec || '–');
    this.#set('rtt', whole(shown.rttMs, 'ms'));
    this.#set('jitter', whole(shown.jitterMs, 'ms'));
    this.#set('lost', `${shown.lost} (${(shown.lossShare * 100).toFixed(1)} %)`);
    this.#set('buffer', whole(shown.bufferMs, 'ms'));
    this.#set('freezes', shown.freezes === undefined ? '–' : String(shown.freezes));
  }

  #set(name, text) {
    this.#figures[name].textContent = text;
  }

  #leftOutText(what) {
    this.leftOut.hidden = !what;
    if (what) say(this.leftOut, 'live.leftOut', { what: what.replaceAll('"', '') });
  }

  #turnSound() {
    const muted = !this.muted;
    this.muted = muted;
    this.video.muted = muted;
    if (this.canvas) this.#run?.player?.mute(muted);
    this.sound.replaceChildren(muted ? icons.soundOff() : icons.soundOn());
    relabel(this.sound, muted ? 'live.sound' : 'live.mute');
    this.sound.dataset.muted = String(muted);
    if (!muted && !this.canvas) this.video.play().catch(() => {});
  }

  async #fullscreen() {
    if (document.fullscreenElement) return document.exitFullscreen();
    if (this.stage.requestFullscreen) return this.stage.requestFullscreen().catch(() => {});
    return this.video.webkitEnterFullscreen?.();
  }
}
