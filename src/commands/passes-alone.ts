// `lpuc partition`, `lpuc alloc` and `lpuc route`: three of the passes alone, on their interchange formats.
import { diagnostic } from "../../ir/diag/codes.ts";
import { type Diagnostic, fail, ok, type Result } from "../../ir/diag/diagnostic.ts";
import { runAlloc } from "../formats/alloc.ts";
import { runPartition } from "../formats/partition.ts";
import { runRoute } from "../formats/route.ts";
import { readFileBytes, writeFileAtomic } from "../io.ts";
import { presetTarget } from "../targets/presets.ts";
import type { OptionName } from "./options.ts";
import { partitionModel } from "./partition-model.ts";
import { badOption, isSet, type Outcome, operand, optionValue, type Session, wholeOption } from "./session.ts";

/** Options of `partition` that say something about a model. */
export const ofModels = [
  "target",
  "topology",
  "dim",
  "shape",
  "precision",
  "allowNarrowing",
  "tensorParallel",
  "pin",
  "cutAfter",
] as const satisfies readonly OptionName[];

function readText(path: string): Result<string> {
  const bytes = readFileBytes(path);
  return bytes.ok ? ok(new TextDecoder().decode(bytes.value)) : bytes;
}

const notFitting = (what: string): Diagnostic => diagnostic("LPU4001", what);

export function partitionCommand(session: Session): Result<Outcome> {
  const path = operand(session, 0);
  if (/\.onnx$/i.test(path)) return partitionModel(session);
  for (const name of ofModels) {
    if (isSet(session, name)) return fail(badOption(name, "only a model (.onnx) has it, not a problem file"));
  }
  const chips = wholeOption(session, "partitionChips", 1);
  const capacity = wholeOption(session, "capacity", 0);
  const budget = wholeOption(session, "budget", 0);
  if (!chips.ok) return chips;
  if (!capacity.ok) return capacity;
  if (!budget.ok) return budget;
  const text = readText(path);
  if (!text.ok) return text;
  const answer = runPartition(text.value, {
    ...(chips.value === undefined ? {} : { chips: chips.value }),
    ...(capacity.value === undefined ? {} : { capacityBytes: capacity.value }),
    ...(budget.value === undefined ? {} : { budget: budget.value }),
  });
  if (!answer.ok) {
    const diagnostics = answer.faults.map(({ path: at, message }) => {
      // A chain does not say how many chips there are: that is the caller's to give, not a fault of the file.
      if (at === "chips") return diagnostic("LPU0002", `--chips: ${message}`);
      return diagnostic("LPU1041", at === "" ? message : `${at}: ${message}`, { location: { kind: "file", path } });
    });
    return { ok: false, diagnostics };
  }
  return ok({
    json: answer.json,
    text: answer.text,
    problems: answer.fits ? [] : [notFitting("no placement was found that fits")],
  });
}

export function allocCommand(session: Session): Result<Outcome> {
  const path = operand(session, 0);
  const capacity = wholeOption(session, "capacity", 0);
  const budget = wholeOption(session, "budget", 0);
  if (!capacity.ok) return capacity;
  if (!budget.ok) return budget;
  const text = readText(path);
  if (!text.ok) return text;
  const answer = runAlloc(text.value, {
    ...(capacity.value === undefined ? {} : { capacity: capacity.value }),
    ...(budget.value === undefined ? {} : { budget: budget.value }),
  });
  if (!answer.ok) {
    const diagnostics = answer.errors.map(({ line, message }) =>
      diagnostic("LPU1041", message, { location: line > 0 ? { kind: "file", path, line } : { kind: "file", path } }),
    );
    return { ok: false, diagnostics };
  }
  const file = optionValue(session, "resultFile");
  if (file !== undefined && answer.csv !== undefined) {
    const written = writeFileAtomic(file, [new TextEncoder().encode(answer.csv)]);
    if (!written.ok) return written;
  }
  return ok({
    json: file === undefined ? answer.json : { ...answer.json, file: answer.csv === undefined ? null : file },
    text: answer.text,
    problems: answer.fits ? [] : [notFitting("no allocation within the capacity was found")],
  });
}

export function routeCommand(session: Session): Result<Outcome> {
  const path = operand(session, 0);
  const chunks = wholeOption(session, "chunks", 1);
  const steps = wholeOption(session, "steps", 1);
  const budget = wholeOption(session, "budget", 1);
  if (!chunks.ok) return chunks;
  if (!steps.ok) return steps;
  if (!budget.ok) return budget;
  const text = readText(path);
  if (!text.ok) return text;
  const objective = optionValue(session, "objective");
  const answer = runRoute(text.value, {
    findTarget: presetTarget,
    ...(chunks.value === undefined ? {} : { chunks: chunks.value }),
    ...(steps.value === undefined ? {} : { steps: steps.value }),
    ...(budget.value === undefined ? {} : { budget: budget.value }),
    ...(objective === "latency" || objective === "bandwidth" ? { objective } : {}),
  });
  if (!answer.ok) {
    const diagnostics = answer.faults.map(({ path: at, message }) =>
      diagnostic("LPU1041", at === "" ? message : `${at}: ${message}`, { location: { kind: "file", path } }),
    );
    return { ok: false, diagnostics };
  }
  const problems = answer.isRouted ? [] : [diagnostic("LPU4003", "something cannot be routed")];
  return ok({ json: answer.json, text: answer.text, problems });
}
