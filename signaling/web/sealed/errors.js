// Why something sealed is refused. Each reason has one name, which the language tables know.

/**
 * A refusal. `reason` is one of:
 * `malformed` not the one encoding; `signature` a list that the device secret did not sign;
 * `twice`, `too-many`, `account`, `expiry` a list that cannot be; `held`, `not-newer` a list that changes nothing;
 * `list-lost` a list that was seen and is not there;
 * `other-camera`, `other-binding` of another device or owner; `forged` not signed by the pinned camera;
 * `not-a-recipient`, `wrong-key` a generation that does not open; `older`, `not-yet` one that is not live;
 * `missing-generation`, `tampered`, `replayed`, `too-far-behind` frames; `clear-media` what is not sealed at all.
 */
export class SealedError extends Error {
  constructor(reason, detail = '', facts = {}) {
    super(detail ? `${reason}: ${detail}` : reason);
    this.name = 'SealedError';
    this.reason = reason;
    Object.assign(this, facts);
  }
}

/** The bytes are not the one encoding of what they should be. */
export const malformed = (detail) => new SealedError('malformed', detail);
