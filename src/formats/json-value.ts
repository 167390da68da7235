// Looking into parsed JSON: each reader gives a usable value and notes what was wrong, with the path to it, so that all
// mistakes of a file can be reported at once. Must not know any particular format.

export type Fault = { readonly path: string; readonly message: string };

export type Reading<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly faults: readonly Fault[] };

export function parseJson(text: string): Reading<unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return { ok: true, value };
  } catch (error) {
    return {
      ok: false,
      faults: [{ path: "", message: `not JSON: ${error instanceof Error ? error.message : error}` }],
    };
  }
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function list(value: unknown, path: string, faults: Fault[]): readonly unknown[] {
  if (Array.isArray(value)) return value;
  faults.push({ path, message: `expected a list, found ${found(value)}` });
  return [];
}

export function nonNegative(value: unknown, path: string, faults: Fault[]): number {
  if (typeof value === "number" && Number.isFinite(value) && value >= 0) return value;
  faults.push({ path, message: `expected a number that is not negative, found ${found(value)}` });
  return 0;
}

export function wholeNumber(value: unknown, path: string, faults: Fault[]): number {
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  faults.push({ path, message: `expected a whole number, found ${found(value)}` });
  return 0;
}

/** true, false, 1 or 0. */
export function flag(value: unknown, path: string, absent: boolean, faults: Fault[]): boolean {
  if (value === undefined) return absent;
  if (typeof value === "boolean") return value;
  if (value === 0 || value === 1) return value === 1;
  faults.push({ path, message: `expected true, false, 1 or 0, found ${found(value)}` });
  return absent;
}

function found(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "an object";
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}...` : value);
  return String(value);
}
