// Base64 (RFC 4648) both ways, strictly.

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const values = new Int16Array(128).fill(-1);
for (let index = 0; index < alphabet.length; index++) values[alphabet.charCodeAt(index)] = index;

const codes = Uint8Array.from(alphabet, (character) => character.charCodeAt(0));
const padCode = 61;
/** Characters made into one flat string at a time. */
const pieceLength = 4096;

export function base64(bytes: Uint8Array): string {
  const text = new Uint8Array(Math.ceil(bytes.length / 3) * 4);
  let out = 0;
  for (let at = 0; at < bytes.length; at += 3) {
    const group = ((bytes[at] as number) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    text[out++] = codes[group >> 18] as number;
    text[out++] = codes[(group >> 12) & 63] as number;
    text[out++] = at + 1 < bytes.length ? (codes[(group >> 6) & 63] as number) : padCode;
    text[out++] = at + 2 < bytes.length ? (codes[group & 63] as number) : padCode;
  }
  const pieces: string[] = [];
  for (let at = 0; at < text.length; at += pieceLength) {
    pieces.push(String.fromCharCode(...text.subarray(at, at + pieceLength)));
  }
  return pieces.join("");
}

const digit = (text: string, at: number): number => {
  const code = text.charCodeAt(at);
  return code < 128 ? (values[code] as number) : -1;
};

/** The bytes, or undefined where `text` is not what `base64` writes. */
export function base64Bytes(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0) return undefined;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  const whole = text.length - (padding > 0 ? 4 : 0);
  let out = 0;
  for (let at = 0; at < whole; at += 4) {
    const [a, b, c, d] = [digit(text, at), digit(text, at + 1), digit(text, at + 2), digit(text, at + 3)];
    if ((a | b | c | d) < 0) return undefined;
    bytes[out++] = (a << 2) | (b >> 4);
    bytes[out++] = ((b & 15) << 4) | (c >> 2);
    bytes[out++] = ((c & 3) << 6) | d;
  }
  if (padding === 0) return bytes;
  const [a, b] = [digit(text, whole), digit(text, whole + 1)];
  const c = padding === 1 ? digit(text, whole + 2) : 0;
  const unusedBits = padding === 1 ? c & 3 : b & 15;
  if ((a | b | c) < 0 || unusedBits !== 0) return undefined;
  bytes[out++] = (a << 2) | (b >> 4);
  if (padding === 1) bytes[out++] = ((b & 15) << 4) | (c >> 2);
  return bytes;
}
