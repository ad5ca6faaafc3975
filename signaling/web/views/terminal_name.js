// What a browser calls itself in the account's lists.

/** Browser and system of this terminal; empty where they are unknown. */
export function terminalParts() {
  const agent = navigator.userAgent;
  const find = (pairs) => pairs.find(([pattern]) => pattern.test(agent))?.[1] ?? '';
  const browser = find([[/Edg\//, 'Edge'], [/Firefox\//, 'Firefox'], [/Chrome\//, 'Chrome'], [/Safari\//, 'Safari']]);
  const system = find([[/Android/, 'Android'], [/iPhone|iPad/, 'iOS'], [/Windows/, 'Windows'], [/Mac OS/, 'macOS'], [/Linux/, 'Linux']]);
  return { browser, system };
}

/** A name by which people know this terminal in the list of terminals. */
export function terminalName() {
  const { browser, system } = terminalParts();
  return [browser || 'Browser', system].filter(Boolean).join(' · ');
}
