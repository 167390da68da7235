// The machines lpuc knows by name. Each is a JSON file beside this one, checked by the same schema as a user's own.
import { invariant } from "../../ir/diag/diagnostic.ts";
import { parseTarget } from "../../ir/target/schema.ts";
import type { Target } from "../../ir/target/target.ts";
import ftlpu32 from "./ftlpu32.json" with { type: "json" };
import groqchip1 from "./groqchip1.json" with { type: "json" };
import lp30 from "./lp30.json" with { type: "json" };
import lpuNvlink from "./lpu-nvlink.json" with { type: "json" };

/** The documents as they are in the files, for `"extends"`. */
export const presetDocuments: Readonly<Record<string, unknown>> = { "lpu-nvlink": lpuNvlink, groqchip1, lp30, ftlpu32 };
export const presetNames: readonly string[] = Object.keys(presetDocuments);
export const defaultTargetName = "lpu-nvlink";

/** The preset of that name; undefined if there is none. */
export function presetTarget(name: string): Target | undefined {
  if (!Object.hasOwn(presetDocuments, name)) return undefined;
  const parsed = parseTarget(presetDocuments[name]);
  invariant(parsed.ok, `the preset ${name} is not a valid target`);
  return parsed.value;
}
