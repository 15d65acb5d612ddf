/** What the page cannot do, in a sentence for its user. */
export class Refusal extends Error {}

/** Most values of one file: 1 GiB as float32. */
const MOST_VALUES = 2 ** 28;

/** Refuse what would take too much memory, before any is taken. */
export function checkSize(frames, rows, columns) {
  if (!(frames >= 1 && rows >= 1 && columns >= 1) || frames * rows * columns > MOST_VALUES) {
    throw new Refusal(`${frames} frame(s) of ${rows} × ${columns} cannot be opened here.`);
  }
}
