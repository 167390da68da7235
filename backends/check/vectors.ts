// Zeroed arrays of vector size, cut from larger blocks: a typed array with a buffer of its own costs several times as much, and the data-flow
// proof makes one or two for every issue.

const blockBytes = 2 ** 16;
const longest = blockBytes / 16;

let block = new ArrayBuffer(0);
let used = 0;

/** Where `bytes` bytes start in the current block, a new one if they do not fit. */
function take(bytes: number): number {
  if (used + bytes > block.byteLength) {
    block = new ArrayBuffer(blockBytes);
    used = 0;
  }
  const at = used;
  used += (bytes + 7) & ~7;
  return at;
}

export function newInts(count: number): Int32Array {
  if (4 * count > longest) return new Int32Array(count);
  const at = take(4 * count);
  return new Int32Array(block, at, count);
}

export function newBytes(count: number): Uint8Array {
  if (count > longest) return new Uint8Array(count);
  const at = take(count);
  return new Uint8Array(block, at, count);
}
