// A WHEP player (draft-ietf-wish-whep): one offer, one answer, candidates trickled once.

import { send } from './api.js';
import { read } from './stats.js';

/** A connection that loses its way gets this long to find it again, milliseconds. */
const LOST_MS = 3000;
/** Candidates are collected this long before they are sent in one request, milliseconds. */
const TRICKLE_MS = 250;

/**
 * Plays into `video`. Events: `lost` when the connection is gone, `ended` when the server said goodbye,
 * `track` per track.
 */
export class Player extends EventTarget {
  #peer = null;
  #location = null;
  #etag = '';
  #candidates = [];
  #timer = 0;
  #lost = 0;
  #media = new MediaStream();
  /** Tracks that the server left out, with reasons. */
  leftOut = '';

  /** Connects with a grant; resolves when the answer is taken. */
  async start({ serial, channel, grant, video }) {
    const peer = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
    this.#peer = peer;
    video.srcObject = this.#media;
    peer.addTransceiver('video', { direction: 'recvonly' });
    peer.addTransceiver('audio', { direction: 'recvonly' });
    peer.ontrack = ({ track }) => {
      this.#media.addTrack(track);
      this.dispatchEvent(new CustomEvent('track', { detail: track.kind }));
    };
    peer.onconnectionstatechange = () => this.#watch(peer);
    peer.onicecandidate = ({ candidate }) => this.#collect(candidate);
    await peer.setLocalDescription(await peer.createOffer());
    if (this.#peer !== peer) return;
    const response = await send('POST', `/v1/whep/${encodeURIComponent(serial)}/${channel}`, {
      token: grant,
      scheme: 'Bearer',
      type: 'application/sdp',
      body: peer.localDescription.sdp,
    });
    this.#location = new URL(response.headers.get('location'), response.url).pathname;
    this.#etag = response.headers.get('etag') ?? '';
    this.leftOut = response.headers.get('sightline-left-out') ?? '';
    const sdp = await response.text();
    if (this.#peer !== peer) return this.#end();
    await peer.setRemoteDescription({ type: 'answer', sdp });
    this.#hearGoodbye(peer);
    this.#flushSoon();
  }

  /** A reading for stats.js, or null. */
  async reading() {
    return this.#peer ? read((await this.#peer.getStats()).values()) : null;
  }

  /** Ends the session, here and at the server. */
  stop() {
    clearTimeout(this.#timer);
    clearTimeout(this.#lost);
    const peer = this.#peer;
    this.#peer = null;
    if (peer) {
      peer.onconnectionstatechange = peer.onicecandidate = peer.ontrack = null;
      peer.close();
    }
    for (const track of this.#media.getTracks()) this.#media.removeTrack(track);
    this.#end();
  }

  #end() {
    if (!this.#location) return;
    // `keepalive` lets the request outlive a page that is being closed.
    fetch(this.#location, { method: 'DELETE', keepalive: true }).catch(() => {});
    this.#location = null;
  }

  #watch(peer) {
    clearTimeout(this.#lost);
    const gone = () => this.#peer === peer && this.dispatchEvent(new Event('lost'));
    if (['failed', 'closed'].includes(peer.connectionState)) gone();
    if (peer.connectionState === 'disconnected') this.#lost = setTimeout(gone, LOST_MS);
  }

  /** The relay closes DTLS when it ends a session; connectionState does not tell that. */
  #hearGoodbye(peer) {
    const transport = peer.getReceivers()[0]?.transport;
    if (!transport) return;
    transport.onstatechange = () => {
      if (transport.state === 'closed' && this.#peer === peer) this.dispatchEvent(new Event('ended'));
    };
  }

  #collect(candidate) {
    this.#candidates.push(candidate ? `a=${candidate.candidate}` : 'a=end-of-candidates');
    this.#flushSoon();
  }

  #flushSoon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#flush(), TRICKLE_MS);
  }

  #flush() {
    if (!this.#location || !this.#candidates.length) return;
    const local = this.#peer?.localDescription?.sdp ?? '';
    const line = (name) => local.match(new RegExp(`^a=${name}:.*$`, 'm'))?.[0].trim();
    const head = [line('ice-ufrag'), line('ice-pwd'), 'm=video 9 UDP/TLS/RTP/SAVPF 0', line('mid')];
    const lines = [...head, ...this.#candidates].filter(Boolean);
    this.#candidates = [];
    // The server hears our checks anyway, so a refused fragment costs nothing.
    fetch(this.#location, {
      method: 'PATCH',
      headers: { 'Content-Type': 'application/trickle-ice-sdpfrag', 'If-Match': this.#etag },
      body: `${lines.join('\r\n')}\r\n`,
    }).catch(() => {});
  }
}
