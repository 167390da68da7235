// Base64 (RFC 4648) both ways, strictly.

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const values = new Int16Array(128).fill(-1);
for (let index = 0; index < alphabet.length; index++) values[alphabet.charCodeAt(index)] = index;

export function base64(bytes: Uint8Array): string {
  const parts: string[] = [];
  for (let at = 0; at < bytes.length; at += 3) {
    const group = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    const digit = (shift: number): string => alphabet.charAt((group >> shift) & 63);
    parts.push(digit(18), digit(12), at + 1 < bytes.length ? digit(6) : "=", at + 2 < bytes.length ? digit(0) : "=");
  }
  return parts.join("");
}

/** The bytes, or undefined where `text` is not what `base64` writes. */
export function base64Bytes(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0) return undefined;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let out = 0;
  for (let at = 0; at < text.length; at += 4) {
    let group = 0;
    for (let next = at; next < at + 4; next++) {
      const code = text.charCodeAt(next);
      const value = next >= text.length - padding ? 0 : code < 128 ? (values[code] ?? -1) : -1;
      if (value < 0) return undefined;
      group = (group << 6) | value;
    }
    for (let shift = 16; shift >= 0; shift -= 8) {
      if (out < bytes.length) bytes[out++] = (group >> shift) & 255;
      else if (((group >> shift) & 255) !== 0) return undefined;
    }
  }
  return bytes;
}
