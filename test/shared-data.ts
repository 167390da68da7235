// Where tests find the public data beside the checkout; in CI its absence is a failure, elsewhere a reason to skip.
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const root = process.env.LPUC_SHARED_DATA ?? join(here, "..", "..", "shared", "data");

/** Absolute path of `relativePath` in the shared data, or undefined (said on stderr) where the data is absent. */
export function sharedData(relativePath: string): string | undefined {
  const path = join(root, relativePath);
  if (existsSync(path)) return path;
  if (process.env.CI === "true") throw new Error(`the shared data is incomplete: ${relativePath} is missing`);
  process.stderr.write(`skipped: no ../shared/data/${relativePath} beside this checkout\n`);
  return undefined;
}
