// `lpuc targets`: the machines lpuc knows, or one target in full.
import { ok, type Result } from "../../ir/diag/diagnostic.ts";
import { sliceCount, wordsPerSlice } from "../../ir/target/geometry.ts";
import type { Target } from "../../ir/target/target.ts";
import { bytes, columns, fields } from "../report/table.ts";
import { defaultTargetName, presetNames, presetTarget } from "../targets/presets.ts";
import { loadTarget } from "./model-options.ts";
import type { Outcome, Session } from "./session.ts";

const capacity = (target: Target): number => sliceCount(target) * wordsPerSlice(target) * target.lanes;

/** Every number of a target, by its path, with its source. */
function numberRows(value: unknown, path: string, sources: Target["sources"]): readonly string[][] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return [[path, JSON.stringify(value), sources[path] ?? ""]];
  }
  return Object.entries(value).flatMap(([key, inner]) =>
    numberRows(inner, path === "" ? key : `${path}.${key}`, sources),
  );
}

function oneTarget(target: Target): Outcome {
  const { sources, name, description, ...numbers } = target;
  const rows = numberRows(numbers, "", sources);
  const text = `${fields([
    ["name", name],
    ["description", description],
    ["SRAM", `${bytes(capacity(target))} a chip`],
  ])}\n\n`;
  const json = { targets: [{ ...target, sramBytesPerChip: capacity(target) }], default: defaultTargetName };
  return { json, text: `${text}${columns(["number", "value", "source"], rows)}\n` };
}

export function targetsCommand(session: Session): Result<Outcome> {
  const [name] = session.operands;
  if (name !== undefined) {
    const target = loadTarget(name);
    return target.ok ? ok(oneTarget(target.value)) : target;
  }
  const targets = presetNames.flatMap((preset) => presetTarget(preset) ?? []);
  const rows = targets.map((target) => [
    target.name === defaultTargetName ? `${target.name} (default)` : target.name,
    `${target.clockHz / 1e6} MHz`,
    `${target.lanes}`,
    bytes(capacity(target)),
    `${target.link.portsPerChip}`,
    target.topology.kind,
    target.description,
  ]);
  const head = ["target", "clock", "lanes", "SRAM", "ports", "topology", "description"];
  return ok({
    json: {
      targets: targets.map((target) => ({ ...target, sramBytesPerChip: capacity(target) })),
      default: defaultTargetName,
    },
    text: `${columns(head, rows, [1, 2, 3, 4])}\n`,
  });
}
