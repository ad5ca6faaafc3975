// Sees to the page coming up when a part of it did not arrive: a phone that goes from one network to
// another loses what it is fetching. Loads the page anew by itself first, then when it is asked to.
// Not a module, since it runs where one could not be loaded; with its own words for the same reason.

(() => {
  const TRIES = 'sightline-loads';
  /** Loads by itself, each after its pause, milliseconds. */
  const PAUSES = [300, 1500];
  const WORDS = {
    en: ['A part of this page did not arrive. Check the connection.', 'Try again'],
    zh: ['页面的一部分未能加载。请检查网络连接。', '重试'],
  };
  let missing = false;

  /** Loads so far that did not bring everything; without a place to count, as many as there may be. */
  const tried = () => {
    try {
      return Number(sessionStorage.getItem(TRIES) ?? 0);
    } catch {
      return PAUSES.length;
    }
  };
  const keep = (count) => {
    try {
      if (count) sessionStorage.setItem(TRIES, count);
      else sessionStorage.removeItem(TRIES);
    } catch {
      // Nothing is kept here: the person is asked at once.
    }
  };

  function ask() {
    const [text, again] = WORDS[navigator.language.startsWith('zh') ? 'zh' : 'en'];
    const card = document.createElement('section');
    card.className = 'card error missing-part';
    card.setAttribute('role', 'alert');
    card.dataset.testid = 'missing-part';
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'primary';
    button.textContent = again;
    button.addEventListener('click', () => location.reload());
    card.append(text, button);
    document.body.append(card);
  }

  function lost() {
    if (missing) return;
    missing = true;
    const count = tried();
    if (count < PAUSES.length) {
      keep(count + 1);
      setTimeout(() => location.reload(), PAUSES[count]);
    } else if (document.body) ask();
    else addEventListener('DOMContentLoaded', ask);
  }

  // Events of elements that could not load do not bubble; they are seen on their way down.
  addEventListener('error', ({ target }) => {
    if (target instanceof HTMLScriptElement || target?.rel === 'stylesheet') lost();
  }, true);
  addEventListener('load', () => {
    if (!missing) keep(0);
  });
})();
