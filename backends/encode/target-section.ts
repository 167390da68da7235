// The target inside a program: the same document as a target file, its sources beside it, judged by the same schema.
import { diagnostic } from "../../ir/diag/codes.ts";
import { fail, ok, type Result } from "../../ir/diag/diagnostic.ts";
import { isRecord } from "../../ir/json/shape.ts";
import { parseTarget } from "../../ir/target/schema.ts";
import type { Target } from "../../ir/target/target.ts";
import { canonicalJson, parsedJson } from "./canonical-json.ts";
import { utf8Text } from "./utf8.ts";

/** A target is a few kilobytes; what is longer is not one. */
const longestTarget = 4_194_304;

export function targetText(target: Target): string {
  const { sources, ...numbers } = target;
  return canonicalJson({ numbers, sources });
}

const notATarget = (why: string): Result<never> => fail(diagnostic("LPU5005", `the target section ${why}`));

/** The target of its text or UTF-8 bytes; only the text `targetText` writes is accepted. */
export function targetFrom(source: Uint8Array | string): Result<Target> {
  if (source.length > longestTarget) return notATarget(`is ${source.length} bytes long`);
  const json = parsedJson(source);
  if (!isRecord(json) || !isRecord(json.sources)) return notATarget("is not a target");
  const parsed = parseTarget(json.numbers);
  if (!parsed.ok) {
    return fail(
      ...parsed.diagnostics.map(({ message, help }) =>
        diagnostic("LPU5005", `the target section: ${message}`, { help }),
      ),
    );
  }
  const sources: [string, string][] = [];
  for (const [path, from] of Object.entries(json.sources)) {
    if (typeof from !== "string") return notATarget(`has no text as the source of ${path.slice(0, 60)}`);
    sources.push([path, from]);
  }
  const target = { ...parsed.value, sources: Object.fromEntries(sources) };
  const text = typeof source === "string" ? source : utf8Text(source);
  return text === targetText(target) ? ok(target) : notATarget("is not written in its one canonical way");
}
