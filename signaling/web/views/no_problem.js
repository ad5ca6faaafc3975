// Taking a problem off its line.

/** Empties a line; a change of the language does not bring its text back. */
export function noProblem(line) {
  delete line.dataset.t;
  delete line.dataset.tp;
  delete line.dataset.problem;
  line.textContent = '';
}
