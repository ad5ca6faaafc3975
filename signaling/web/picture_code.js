// Drawing a picture code whose modules the server has named.

const SVG = 'http://www.w3.org/2000/svg';
/** Light modules around it that readers need (ISO/IEC 18004). */
const QUIET = 4;

/** An image of `{rows}`; `label` is its accessible name. Null where there is none. */
export function pictureCode({ rows = [] } = {}, label) {
  if (!rows.length) return null;
  const size = rows.length + 2 * QUIET;
  const element = document.createElementNS(SVG, 'svg');
  const attributes = { viewBox: `0 0 ${size} ${size}`, role: 'img', class: 'picture-code', 'shape-rendering': 'crispEdges' };
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.dataset.testid = 'picture-code';
  element.dataset.tLabel = label;
  const dark = document.createElementNS(SVG, 'path');
  const modules = rows.flatMap((row, y) =>
    [...row].map((module, x) => (module === '1' ? `M${x + QUIET} ${y + QUIET}h1v1h-1z` : '')));
  dark.setAttribute('d', modules.join(''));
  element.append(dark);
  return element;
}
