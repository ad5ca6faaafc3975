// A field for a password, which can be shown. What is in it goes when the form does.

import { h, say } from '../dom.js';

/** Fewest characters that the server takes, and fewest that sign in on a new terminal. */
export const MIN_CHARS = 8;
export const MIN_ALONE_CHARS = 15;

/** `autocomplete`: `current-password` or `new-password`, for password managers. */
export function passwordField({ id, testid, autocomplete, describedBy }) {
  const input = h('input', {
    id, testid, type: 'password', autocomplete, autocapitalize: 'none', spellcheck: 'false',
    maxlength: '128', required: true, 'aria-describedby': describedBy ?? false,
  });
  const eye = h('button', { type: 'button', class: 'quiet', t: 'secret.show', testid: `${testid}-show` });
  eye.addEventListener('click', () => {
    const hidden = input.type === 'password';
    input.type = hidden ? 'text' : 'password';
    say(eye, hidden ? 'secret.hide' : 'secret.show');
  });
  const leave = () => {
    input.value = '';
  };
  return { input, row: h('div', { class: 'field-row' }, input, eye), leave };
}

/** Number of characters as the server counts them. */
export const characters = (text) => [...text].length;

/** What a new password has to be; its text is in the element. */
export const newPasswordHint = (id) => h('p', { id, class: 'hint', t: 'password.newHint' });
