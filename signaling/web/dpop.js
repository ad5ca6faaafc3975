// DPoP proofs (RFC 9449): every request shows that this terminal made it.

const encoder = new TextEncoder();

export function base64url(bytes) {
  let text = '';
  for (const byte of new Uint8Array(bytes)) text += String.fromCharCode(byte);
  return btoa(text).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

export function fromBase64url(text) {
  const plain = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(plain, (c) => c.charCodeAt(0));
}

/** The public members of a P-256 JWK, in the order of RFC 7638. */
function publicJwk({ crv, kty, x, y }) {
  return { crv, kty, x, y };
}

/** RFC 7638 thumbprint of a P-256 JWK. */
export async function thumbprint(jwk) {
  const text = JSON.stringify(publicJwk(jwk));
  return base64url(await crypto.subtle.digest('SHA-256', encoder.encode(text)));
}

/**
 * A proof for one request.
 * @param {{privateKey: CryptoKey, jwk: JsonWebKey}} key terminal key
 * @param {{method: string, url: string, token?: string, now: number, id?: string}} request
 *   `now` in Unix seconds, `token` the access token or grant presented beside the proof
 */
export async function proof(key, { method, url, token, now, id = crypto.randomUUID() }) {
  const header = { typ: 'dpop+jwt', alg: 'ES256', jwk: publicJwk(key.jwk) };
  const claims = { jti: id, htm: method, htu: url.split(/[?#]/)[0], iat: Math.floor(now) };
  if (token !== undefined) {
    claims.ath = base64url(await crypto.subtle.digest('SHA-256', encoder.encode(token)));
  }
  const part = (value) => base64url(encoder.encode(JSON.stringify(value)));
  const signed = `${part(header)}.${part(claims)}`;
  const algorithm = { name: 'ECDSA', hash: 'SHA-256' };
  const signature = await crypto.subtle.sign(algorithm, key.privateKey, encoder.encode(signed));
  return `${signed}.${base64url(signature)}`;
}
