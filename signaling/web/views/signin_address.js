// Phone numbers and mail addresses as people type them.

const PHONE = /^\+[1-9]\d{6,14}$/;
/** Not all that mail allows, but all that the server takes. */
const EMAIL = /^[^\s@"(),:;<>[\\\]]+@[^\s@.]+(\.[^\s@.]+)+$/;

/** A number in the international form, or a trimmed address; empty when it is neither. */
export function normalised(kind, text) {
  if (kind === 'email') {
    const address = text.trim();
    return EMAIL.test(address) ? address : '';
  }
  const number = text.replace(/[\s\-()./]/g, '').replace(/^00/, '+');
  return PHONE.test(number) ? number : '';
}

/** The same of a field that takes either. */
export const normalisedEither = (text) => normalised(text.includes('@') ? 'email' : 'phone', text);
