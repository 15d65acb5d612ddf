// Lossless JPEG with one component (ISO/IEC 10918-1 annex H); the twin of engine/dicom/native/jpeg_lossless.cpp.

const LONGEST_CODE = 16;
const MOST_TABLES = 16;
const SHORTEST_WINDOW = 1 << LONGEST_CODE;

/**
 * Return the samples of a stream.
 * @param {Uint8Array} data
 * @param {number} rows what the image has; another size is refused before memory is taken
 * @param {number} columns
 * @returns {Uint16Array}
 * @throws {Error} if the stream is damaged, cut off, or no lossless JPEG
 */
export function decodeJpegLossless(data, rows, columns) {
  const stream = headersOf(data);
  check(stream.rows === rows && stream.columns === columns, "its size is not that of the image");
  check(stream.interval % columns === 0, "its restart interval is not a number of rows");
  const samples = new Uint16Array(rows * columns);
  const bits = new Bits(data, stream.scan);
  const interval = stream.interval / columns;
  for (let row = 0; row < rows; row += 1) {
    const restarts = interval && row && row % interval === 0;
    if (restarts) bits.restart();
    decodeRow(bits, stream, row === 0 || restarts, samples, row * columns);
  }
  return stream.shift ? samples.map((value) => value << stream.shift) : samples;
}

function check(holds, problem) {
  if (!holds) throw new Error(problem);
}

/** Walk the marker segments up to the first scan (B.1.1.4). */
function headersOf(data) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const stream = { tables: [], defined: 0, interval: 0, precision: 0 };
  check(data.length >= 4 && view.getUint16(0) === 0xffd8, "it is no JPEG stream");
  for (let at = 2; at + 4 <= data.length; ) {
    check(data[at] === 0xff, "a marker is missing");
    const marker = data[at + 1];
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    const length = view.getUint16(at + 2);
    check(length >= 2 && at + 2 + length <= data.length, "a segment is cut off");
    const body = data.subarray(at + 4, at + 2 + length);
    if (marker === 0xc4) readTables(body, stream);
    else if (marker === 0xc3) readFrame(body, stream);
    else if (marker === 0xdd && length === 4) stream.interval = view.getUint16(at + 4);
    else if (marker === 0xda) return readScan(body, { ...stream, scan: at + 2 + length });
    else check(marker < 0xc0 || marker > 0xcf, "it is no lossless Huffman stream");
    at += 2 + length;
  }
  throw new Error("it has no scan");
}

/** Codes of one length count upwards; the first of the next length is twice the one after the last (annex C). */
function readTables(body, stream) {
  for (let at = 0; at < body.length; ) {
    stream.defined += 1;
    check(stream.defined <= MOST_TABLES && at + 1 + LONGEST_CODE <= body.length && body[at] <= 3, "a Huffman table is invalid");
    // For each window of 16 bits: the length of the code that it starts with, and its value.
    const table = { lengths: new Uint8Array(SHORTEST_WINDOW), values: new Uint8Array(SHORTEST_WINDOW) };
    let [code, value] = [0, at + 1 + LONGEST_CODE];
    for (let length = 1; length <= LONGEST_CODE; length += 1, code *= 2) {
      for (let i = 0; i < body[at + length]; i += 1, code += 1, value += 1) {
        const span = 2 ** (LONGEST_CODE - length);
        check(value < body.length && body[value] <= 16 && (code + 1) * span <= SHORTEST_WINDOW, "a Huffman table is invalid");
        table.lengths.fill(length, code * span, (code + 1) * span);
        table.values.fill(body[value], code * span, (code + 1) * span);
      }
    }
    stream.tables[body[at]] = table;
    at = value;
  }
}

function readFrame(body, stream) {
  check(body.length === 9 && body[5] === 1, "it has more than one component");
  const [rows, columns] = [body[1] * 256 + body[2], body[3] * 256 + body[4]];
  Object.assign(stream, { precision: body[0], rows, columns });
  check(stream.precision >= 2 && stream.precision <= 16, "its precision is invalid");
}

function readScan(body, stream) {
  check(body.length === 6 && body[0] === 1, "its scan has more than one component");
  const [table, predictor, shift] = [stream.tables[body[2] >> 4], body[3], body[5] & 15];
  const valid = stream.precision && table && predictor >= 1 && predictor <= 7 && shift < stream.precision;
  check(valid, "its scan header is invalid");
  return { ...stream, table, predictor, shift };
}

/** Bits of the entropy-coded segments, most significant first; past a marker or the end there are zeros, which are counted. */
class Bits {
  #data;
  #at;
  #held = 0;
  #count = 0;
  #padding = 0;

  constructor(data, at) {
    this.#data = data;
    this.#at = at;
  }

  /** The next 16 bits. */
  peek() {
    while (this.#count < LONGEST_CODE) this.#fill();
    return (this.#held >>> (this.#count - LONGEST_CODE)) & 0xffff;
  }

  skip(n) {
    this.#count -= n;
    this.#held &= (1 << this.#count) - 1;
  }

  take(n) {
    const value = this.peek() >>> (LONGEST_CODE - n);
    this.skip(n);
    return value;
  }

  /** Whether bits were taken that the stream does not have. */
  get overran() {
    return this.#padding > this.#count;
  }

  /** Go on behind the next restart marker. */
  restart() {
    const data = this.#data;
    [this.#held, this.#count, this.#padding] = [0, 0, 0];
    while (this.#at + 1 < data.length && !(data[this.#at] === 0xff && data[this.#at + 1] >= 0xd0 && data[this.#at + 1] <= 0xd7)) {
      check(data[this.#at] !== 0xff || [0, 0xff].includes(data[this.#at + 1]), "a restart marker is missing");
      this.#at += 1;
    }
    check(this.#at + 1 < data.length, "a restart marker is missing");
    this.#at += 2;
  }

  #fill() {
    const byte = this.#data[this.#at];
    const there = this.#at < this.#data.length && (byte !== 0xff || this.#data[this.#at + 1] === 0);
    this.#held = (this.#held << 8) | (there ? byte : 0);
    this.#count += 8;
    if (there) this.#at += byte === 0xff ? 2 : 1;
    else this.#padding += 8;
  }
}

/** Decode the category of a difference, and the difference in as many bits (H.1.2.2). */
function difference(bits, { lengths, values }) {
  const window = bits.peek();
  check(lengths[window], "a code is invalid");
  bits.skip(lengths[window]);
  const n = values[window];
  if (n === 0 || n === 16) return n ? 32768 : 0;
  const value = bits.take(n);
  return value < 2 ** (n - 1) ? value - 2 ** n + 1 : value;
}

/** Predictors of table H.1: a to the left, b above, c above to the left. */
const PREDICTORS = [
  null,
  (a) => a,
  (a, b) => b,
  (a, b, c) => c,
  (a, b, c) => a + b - c,
  (a, b, c) => a + ((b - c) >> 1),
  (a, b, c) => b + ((a - c) >> 1),
  (a, b) => (a + b) >> 1,
];

function decodeRow(bits, { columns, precision, shift, predictor, table }, first, samples, start) {
  const predict = PREDICTORS[first ? 1 : predictor];
  for (let i = start; i < start + columns; i += 1) {
    let prediction = first ? 2 ** (precision - shift - 1) : samples[i - columns];
    if (i > start) prediction = predict(samples[i - 1], samples[i - columns], samples[i - columns - 1]);
    samples[i] = prediction + difference(bits, table); // modulo 2^16
  }
  check(!bits.overran, "its data are cut off");
}
