// The placement file: which stages a model is cut into and on which chips they are, written by `--emit-placement`, edited by people and read
// by `--placement`. Pure: text in, a placement or all that is wrong with it out. Must not know the model.
import { nearest } from "../../ir/diag/suggest.ts";
import { type Fault, isRecord, list, parseJson, type Reading, wholeNumber } from "./json-value.ts";

const SCHEMA = "lpuc.placement/1";

type PlacedStage = { readonly chip: number; readonly lastNode: string };

export type PlacementFile = { readonly chips: number; readonly stages: readonly PlacedStage[] };

/** What is there besides is for people; a misspelt field would be ignored silently, so others are refused. */
const fields = ["schema", "model", "target", "chips", "stages"] as const;
const stageFields = ["chip", "lastNode", "layers", "cycles", "weightBytes"] as const;

export type PlacementText = {
  readonly model: string;
  readonly target: string;
  readonly chips: number;
  /** Layers, cycles and bytes are for people; negative layers stand for none. */
  readonly stages: readonly (PlacedStage & {
    readonly firstLayer: number;
    readonly lastLayer: number;
    readonly cycles: number;
    readonly weightBytes: number;
  })[];
};

/** One line for each stage, so that a text editor and a diff show what moved. */
export function printPlacement({ model, target, chips, stages }: PlacementText): string {
  const lines = stages.map(({ chip, lastNode, firstLayer, lastLayer, cycles, weightBytes }) => {
    const layers = firstLayer < 0 ? "-" : firstLayer === lastLayer ? `${firstLayer}` : `${firstLayer}-${lastLayer}`;
    return `    ${JSON.stringify({ chip, lastNode, layers, cycles, weightBytes })}`;
  });
  const head = Object.entries({ schema: SCHEMA, model, target, chips }).map(
    ([field, value]) => `  ${JSON.stringify(field)}: ${JSON.stringify(value)},`,
  );
  return `{\n${head.join("\n")}\n  "stages": [\n${lines.join(",\n")}\n  ]\n}\n`;
}

export function parsePlacement(text: string): Reading<PlacementFile> {
  const parsed = parseJson(text);
  if (!parsed.ok) return parsed;
  const { value } = parsed;
  if (!isRecord(value))
    return { ok: false, faults: [{ path: "", message: "expected an object with chips and stages" }] };
  const faults: Fault[] = [];
  checkFields(value, fields, "", faults);
  if (value.schema !== SCHEMA) faults.push({ path: "schema", message: `expected "${SCHEMA}"` });
  const chips = wholeNumber(value.chips, "chips", faults);
  if (value.chips !== undefined && chips < 1 && faults.every(({ path }) => path !== "chips"))
    faults.push({ path: "chips", message: `${chips} is no number of chips` });
  const stages = list(value.stages, "stages", faults).map((stage, i): PlacedStage => {
    const path = `stages[${i}]`;
    if (!isRecord(stage)) {
      faults.push({ path, message: "expected an object with chip and lastNode" });
      return { chip: 0, lastNode: "" };
    }
    checkFields(stage, stageFields, path, faults);
    const chip = wholeNumber(stage.chip, `${path}.chip`, faults);
    if (chip < 0) faults.push({ path: `${path}.chip`, message: `there is no chip ${chip}` });
    const lastNode = typeof stage.lastNode === "string" ? stage.lastNode : "";
    if (typeof stage.lastNode !== "string")
      faults.push({ path: `${path}.lastNode`, message: "expected the name of a node" });
    return { chip, lastNode };
  });
  return faults.length > 0 ? { ok: false, faults } : { ok: true, value: { chips, stages } };
}

function checkFields(
  value: Readonly<Record<string, unknown>>,
  known: readonly string[],
  path: string,
  faults: Fault[],
): void {
  for (const field of Object.keys(value)) {
    if (known.includes(field)) continue;
    const near = nearest(field, known);
    const hint = near === undefined ? `known: ${known.join(", ")}` : `did you mean '${near}'?`;
    faults.push({ path: path === "" ? field : `${path}.${field}`, message: `unknown field; ${hint}` });
  }
}
