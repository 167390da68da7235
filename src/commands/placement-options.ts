// The options that say where parts of a model go: `--pin`, `--cut-after`, `--placement`, and the file of `--emit-placement`.
import { diagnostic } from "../../ir/diag/codes.ts";
import { type Diagnostic, ok, type Result } from "../../ir/diag/diagnostic.ts";
import { type ExportedStage, exportedStages, type PlacementRequest } from "../../passes/compile/placement.ts";
import type { CompiledModel } from "../compile-model.ts";
import { parsePlacement, printPlacement } from "../formats/placement-file.ts";
import { readFileBytes, writeFileAtomic } from "../io.ts";
import { badOption, isSet, optionValue, optionValues, type Session } from "./session.ts";

export interface PlacementOptions {
  readonly request: PlacementRequest | undefined;
  /** Of the placement file. */
  readonly chips: number | undefined;
}

export function placementOptions(session: Session): Result<PlacementOptions> {
  const path = optionValue(session, "placement");
  const problems: Diagnostic[] = [];
  const pins = optionValues(session, "pin").flatMap((text) => {
    const at = text.lastIndexOf("=");
    const chip = text.slice(at + 1);
    if (at > 0 && /^\d{1,9}$/.test(chip)) return [{ node: text.slice(0, at), chip: Number(chip) }];
    problems.push(badOption("pin", `'${text}' does not have the form NODE=CHIP`));
    return [];
  });
  const cutAfter = optionValues(session, "cutAfter");
  if (path !== undefined && (pins.length > 0 || cutAfter.length > 0 || isSet(session, "pin")))
    problems.push(
      badOption("placement", "a placement file says everything; --pin and --cut-after have no place beside it"),
    );
  if (problems.length > 0) return { ok: false, diagnostics: problems };
  if (path === undefined) {
    const isFree = pins.length === 0 && cutAfter.length === 0;
    return ok({ request: isFree ? undefined : { pins, cutAfter }, chips: undefined });
  }
  const bytes = readFileBytes(path);
  if (!bytes.ok) return bytes;
  const read = parsePlacement(new TextDecoder().decode(bytes.value));
  if (!read.ok) {
    const location = { kind: "file", path } as const;
    const diagnostics = read.faults.map(({ path: at, message }) =>
      diagnostic("LPU3022", at === "" ? message : `${at}: ${message}`, { location }),
    );
    return { ok: false, diagnostics };
  }
  return ok({ request: { pins: [], cutAfter: [], stages: read.value.stages }, chips: read.value.chips });
}

/** Writes the placement of a compiled model to the file of `--emit-placement`, where that is given. */
export function emitPlacement(session: Session, compiled: CompiledModel): Result<string | undefined> {
  const file = optionValue(session, "emitPlacement");
  if (file === undefined) return ok(undefined);
  const { core, chain, chipOf, program } = compiled;
  const stages: readonly ExportedStage[] = exportedStages(core, chain, chipOf);
  const text = printPlacement({
    model: program.modelName,
    target: program.target.name,
    chips: program.chips.length,
    stages: stages.map((stage) => {
      const info = program.stages.find(({ chip }) => chip === stage.chip);
      const cycles = info === undefined ? 0 : info.endCycle - info.startCycle;
      return { ...stage, cycles, weightBytes: info?.weightBytes ?? 0 };
    }),
  });
  const written = writeFileAtomic(file, [new TextEncoder().encode(text)]);
  return written.ok ? ok(file) : written;
}
