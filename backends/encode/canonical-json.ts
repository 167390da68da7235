// JSON with sorted keys, so that equal data give equal text. Knows no schema.
import { utf8Text } from "./utf8.ts";

/** JSON text of plain data; keys sorted, no spaces. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) => {
    if (typeof inner !== "object" || inner === null || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
  });
}

/** Parsed JSON of UTF-8 bytes or text; undefined where it is neither. */
export function parsedJson(source: Uint8Array | string): unknown {
  const text = typeof source === "string" ? source : utf8Text(source);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
