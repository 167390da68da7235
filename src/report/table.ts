// Plain text for people: columns side by side, numbers with separators and units. Pure.

/** Columns side by side; those named in `right` are set to the right. No line end after the last line. */
export function columns(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
): string {
  const all = [head, ...rows];
  const widths = head.map((_, c) => Math.max(...all.map((cells) => (cells[c] ?? "").length)));
  const line = (cells: readonly string[]): string =>
    widths
      .map((width, c) => (right.includes(c) ? (cells[c] ?? "").padStart(width) : (cells[c] ?? "").padEnd(width)))
      .join("  ")
      .trimEnd();
  return all.map(line).join("\n");
}

/** Lines `name  value`, names set to one width. */
export function fields(rows: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`.trimEnd()).join("\n");
}

/** 1234567 -> 1,234,567 */
export const grouped = (value: number): string => String(value).replace(/\B(?=(\d{3})+(?!\d))/g, ",");

/** Three significant digits. */
export const short = (value: number): string => (value === 0 ? "0" : String(Number(value.toPrecision(3))));

export function seconds(value: number): string {
  if (value === 0) return "0 s";
  if (value < 1e-6) return `${short(value * 1e9)} ns`;
  if (value < 1e-3) return `${short(value * 1e6)} us`;
  return value < 1 ? `${short(value * 1e3)} ms` : `${short(value)} s`;
}

export function bytes(value: number): string {
  if (value < 1024) return `${value} B`;
  if (value < 1024 ** 2) return `${short(value / 1024)} KiB`;
  return value < 1024 ** 3 ? `${short(value / 1024 ** 2)} MiB` : `${short(value / 1024 ** 3)} GiB`;
}

export const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
