// CRC-32 (IEEE 802.3) of program sections and SHA-256 (FIPS 180-4) of whole programs, in plain code. Knows bytes only.

/** Eight tables, so that eight bytes take one step. */
const crcTables: readonly Uint32Array[] = (() => {
  const tables = [new Uint32Array(256)];
  for (let byte = 0; byte < 256; byte++) {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
    (tables[0] as Uint32Array)[byte] = value >>> 0;
  }
  for (let step = 1; step < 8; step++) {
    const before = tables[step - 1] as Uint32Array;
    const first = tables[0] as Uint32Array;
    tables.push(before.map((value) => (first[value & 255] ?? 0) ^ (value >>> 8)));
  }
  return tables;
})();

/** CRC-32 of `bytes`, continued from `before` (0 to start). */
export function crc32(bytes: Uint8Array, before = 0): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = crcTables as readonly [
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
  ];
  const byte = (index: number): number => bytes[index] as number;
  const look = (table: Uint32Array, index: number): number => table[index & 255] as number;
  let crc = ~before;
  let at = 0;
  for (; at + 8 <= bytes.length; at += 8) {
    const low = crc ^ (byte(at) | (byte(at + 1) << 8) | (byte(at + 2) << 16) | (byte(at + 3) << 24));
    crc =
      look(t7, low) ^
      look(t6, low >>> 8) ^
      look(t5, low >>> 16) ^
      look(t4, low >>> 24) ^
      look(t3, byte(at + 4)) ^
      look(t2, byte(at + 5)) ^
      look(t1, byte(at + 6)) ^
      look(t0, byte(at + 7));
  }
  for (; at < bytes.length; at++) crc = look(t0, crc ^ byte(at)) ^ (crc >>> 8);
  return ~crc >>> 0;
}

const firstPrimes = (count: number): readonly number[] => {
  const primes: number[] = [];
  for (let candidate = 2; primes.length < count; candidate++) {
    if (primes.every((prime) => candidate % prime !== 0)) primes.push(candidate);
  }
  return primes;
};

/** First 32 bits of the fraction of the `root`-th root of `value`, in exact integer arithmetic. */
function rootFraction(value: number, root: 2 | 3): number {
  const target = BigInt(value) << BigInt(32 * root);
  let low = 0n;
  let high = 1n << 40n;
  while (low < high) {
    const middle = (low + high + 1n) >> 1n;
    if (middle ** BigInt(root) <= target) low = middle;
    else high = middle - 1n;
  }
  return Number(low & 0xffffffffn);
}

const roundConstants = Uint32Array.from(firstPrimes(64), (prime) => rootFraction(prime, 3));
const initialState = Uint32Array.from(firstPrimes(8), (prime) => rootFraction(prime, 2));

const rotate = (value: number, by: number): number => (value >>> by) | (value << (32 - by));

function compress(state: Uint32Array, words: Uint32Array, block: Uint8Array, offset: number): void {
  const word = (index: number): number => words[index] as number;
  for (let t = 0; t < 16; t++) {
    const at = offset + 4 * t;
    words[t] =
      ((block[at] as number) << 24) |
      ((block[at + 1] as number) << 16) |
      ((block[at + 2] as number) << 8) |
      (block[at + 3] as number);
  }
  for (let t = 16; t < 64; t++) {
    const x = word(t - 15);
    const y = word(t - 2);
    const s0 = rotate(x, 7) ^ rotate(x, 18) ^ (x >>> 3);
    const s1 = rotate(y, 17) ^ rotate(y, 19) ^ (y >>> 10);
    words[t] = word(t - 16) + s0 + word(t - 7) + s1;
  }
  let [a, b, c, d, e, f, g, h] = state as unknown as [number, number, number, number, number, number, number, number];
  for (let t = 0; t < 64; t++) {
    const s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + (roundConstants[t] as number) + (words[t] as number)) | 0;
    const s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  for (const [index, value] of [a, b, c, d, e, f, g, h].entries()) state[index] = (state[index] as number) + value;
}

/** SHA-256 of the concatenated chunks, in lower-case hexadecimal. */
export function sha256(chunks: Iterable<Uint8Array>): string {
  const state = initialState.slice();
  const words = new Uint32Array(64);
  const rest = new Uint8Array(128);
  let filled = 0;
  let total = 0;
  for (const chunk of chunks) {
    total += chunk.length;
    let at = 0;
    if (filled > 0) {
      at = Math.min(64 - filled, chunk.length);
      rest.set(chunk.subarray(0, at), filled);
      filled += at;
      if (filled < 64) continue;
      compress(state, words, rest, 0);
      filled = 0;
    }
    for (; at + 64 <= chunk.length; at += 64) compress(state, words, chunk, at);
    rest.set(chunk.subarray(at), 0);
    filled = chunk.length - at;
  }
  const end = filled < 56 ? 64 : 128;
  rest.fill(0, filled, end);
  rest[filled] = 0x80;
  const bits = total * 8;
  for (let byte = 0; byte < 8; byte++) rest[end - 1 - byte] = Math.floor(bits / 2 ** (8 * byte)) % 256;
  for (let at = 0; at < end; at += 64) compress(state, words, rest, at);
  return [...state].map((value) => value.toString(16).padStart(8, "0")).join("");
}
