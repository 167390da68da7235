// The text form of a chain problem: one line for each layer, border, cut and pin. Must not know how it is solved or checked.
import {
  type ChainBorder,
  type ChainLayer,
  type ChainProblem,
  COST_FIELDS,
  type LayerCost,
  verifyChainProblem,
} from "./problem.ts";

type ChainTextError = { readonly line: number; readonly message: string };
export type ChainParse =
  | { readonly ok: true; readonly problem: ChainProblem }
  | { readonly ok: false; readonly errors: readonly ChainTextError[] };

/** Of a border that the text leaves out: as the layers' costs say. */
const absentBorder: ChainBorder = { busyFactor: 1, extraLatencyCycles: 0 };
/** Of a system whose borders are listed. */
const MOST_CHIPS = 100_000;

export function printChainProblem(problem: ChainProblem): string {
  const { chips, capacityBytes, transfer, degrees, chipsPerNode } = problem;
  const node = chipsPerNode === undefined ? "" : ` node=${chipsPerNode}`;
  const lines = [
    `chain chips=${chips} capacity=${capacityBytes} transfer=${transfer} degrees=${degrees.join(",")}${node}`,
  ];
  for (const layer of problem.layers) {
    const costs = layer.costs.map((cost) => (cost === undefined ? "-" : COST_FIELDS.map((f) => cost[f]).join(",")));
    lines.push(`layer ${JSON.stringify(layer.name)} boundary=${layer.boundaryBytes} ${costs.join(" ")}`);
  }
  problem.borders?.forEach(({ busyFactor, extraLatencyCycles }, chip) => {
    lines.push(`border ${chip} ${busyFactor},${extraLatencyCycles}`);
  });
  for (const layer of problem.cutAfter) lines.push(`cut-after ${layer}`);
  for (const pin of problem.pins) lines.push(`pin ${pin.layer}=${pin.chip}`);
  return `${lines.join("\n")}\n`;
}

const HEADER =
  /^chain chips=(\d+) capacity=([\d.e+]+) transfer=(overlapped|serial) degrees=(\d+(?:,\d+)*)(?: node=(\d+))?$/;
const LAYER = /^layer ("(?:[^"\\]|\\.)*") boundary=(\S+) (\S.*)$/;

export function parseChainProblem(text: string): ChainParse {
  const errors: ChainTextError[] = [];
  const lines = text.split("\n");
  const header = HEADER.exec(lines[0] ?? "");
  if (header === null) {
    const message = 'expected "chain chips=N capacity=BYTES transfer=overlapped|serial degrees=D,D,... [node=CHIPS]"';
    return { ok: false, errors: [{ line: 1, message }] };
  }
  const degrees = (header[4] ?? "").split(",").map(Number);
  const layers: ChainLayer[] = [];
  const cutAfter: number[] = [];
  const pins: { layer: number; chip: number }[] = [];
  const borders = new Map<number, ChainBorder>();
  const chips = Number(header[1]);
  for (let i = 1; i < lines.length; i++) {
    const line = lines[i] ?? "";
    if (line === "") continue;
    const cut = /^cut-after (\d+)$/.exec(line);
    const pin = /^pin (\d+)=(\d+)$/.exec(line);
    const border = /^border (\d+) ([^,\s]+),([^,\s]+)$/.exec(line);
    if (cut !== null) cutAfter.push(Number(cut[1]));
    else if (pin !== null) pins.push({ layer: Number(pin[1]), chip: Number(pin[2]) });
    else if (border !== null) {
      const chip = Number(border[1]);
      borders.set(chip, { busyFactor: Number(border[2]), extraLatencyCycles: Number(border[3]) });
      if (chip + 1 >= chips || chips > MOST_CHIPS)
        errors.push({ line: i + 1, message: `there is no border after chip ${chip} of ${chips}` });
    } else {
      const layer = parseLayer(line, degrees.length);
      if (typeof layer === "string") errors.push({ line: i + 1, message: layer });
      else layers.push(layer);
    }
  }
  if (errors.length > 0) return { ok: false, errors };
  const problem: ChainProblem = {
    layers,
    degrees,
    chips,
    capacityBytes: Number(header[2]),
    transfer: header[3] === "serial" ? "serial" : "overlapped",
    cutAfter,
    pins,
    ...(borders.size === 0
      ? {}
      : { borders: Array.from({ length: chips - 1 }, (_, chip) => borders.get(chip) ?? absentBorder) }),
    ...(header[5] === undefined ? {} : { chipsPerNode: Number(header[5]) }),
  };
  const faults = verifyChainProblem(problem);
  if (faults.length > 0) return { ok: false, errors: faults.map((message) => ({ line: 1, message })) };
  return { ok: true, problem };
}

function parseLayer(line: string, degreeCount: number): ChainLayer | string {
  const match = LAYER.exec(line);
  if (match === null)
    return 'expected "layer "NAME" boundary=BYTES COSTS...", "border CHIP FACTOR,CYCLES", "cut-after LAYER" or "pin LAYER=CHIP"';
  const name = parseName(match[1] ?? "");
  if (name === undefined) return `${match[1]} is not a quoted name`;
  const words = (match[3] ?? "").split(" ");
  if (words.length !== degreeCount) return `${words.length} cost lists for ${degreeCount} degrees`;
  const costs: (LayerCost | undefined)[] = [];
  for (const word of words) {
    if (word === "-") {
      costs.push(undefined);
      continue;
    }
    const numbers = word.split(",").map(Number);
    if (numbers.length !== COST_FIELDS.length) return `a cost list has ${COST_FIELDS.join(",")}, found "${word}"`;
    const at = (field: keyof LayerCost) => numbers[COST_FIELDS.indexOf(field)] ?? Number.NaN;
    costs.push({
      computeCycles: at("computeCycles"),
      collectiveCycles: at("collectiveCycles"),
      weightBytes: at("weightBytes"),
      stateBytes: at("stateBytes"),
      activationBytes: at("activationBytes"),
      receiveBusyCycles: at("receiveBusyCycles"),
      sendBusyCycles: at("sendBusyCycles"),
      sendLatencyCycles: at("sendLatencyCycles"),
    });
  }
  return { name, boundaryBytes: Number(match[2]), costs };
}

function parseName(quoted: string): string | undefined {
  try {
    const name: unknown = JSON.parse(quoted);
    return typeof name === "string" ? name : undefined;
  } catch {
    return undefined;
  }
}
