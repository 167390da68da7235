// The chain partitioning problem: layers in order, chips in order, contiguous stages, optional tensor parallelism inside
// a stage. Holds the data, its text form and the parser of that text. Must not know how it is solved or checked.

/** What one layer costs on each chip of a tensor-parallel group of one degree. */
export type LayerCost = {
  readonly computeCycles: number;
  readonly weightBytes: number;
  readonly stateBytes: number;
  /** Peak of the layer's working memory. Layers of a stage run one after another, so a stage needs the largest. */
  readonly activationBytes: number;
  /** Cycles the incoming links are busy per token when a stage starts with this layer. */
  readonly receiveBusyCycles: number;
  /** Cycles the outgoing links are busy per token when the pipeline is cut after this layer. */
  readonly sendBusyCycles: number;
  /** Cycles a token waits between the two stages when the pipeline is cut after this layer. */
  readonly sendLatencyCycles: number;
};

export type ChainLayer = {
  readonly name: string;
  /** Size of the tensor that crosses a cut after this layer; for reports, its cost is in `costs`. */
  readonly boundaryBytes: number;
  /** One entry for each of the problem's degrees; undefined where the layer cannot be split that way. */
  readonly costs: readonly (LayerCost | undefined)[];
};

type ChainPin = { readonly layer: number; readonly chip: number };

export type ChainProblem = {
  readonly layers: readonly ChainLayer[];
  /** Tensor-parallel degrees a stage may take, ascending and distinct; `[1]` is plain pipelining. */
  readonly degrees: readonly number[];
  readonly chips: number;
  /** SRAM of every chip. */
  readonly capacityBytes: number;
  /** Links work beside the compute units (`overlapped`: a stage's load is the maximum) or instead of them (`serial`: the sum). */
  readonly transfer: "overlapped" | "serial";
  /** Layers after which a new stage must start. */
  readonly cutAfter: readonly number[];
  /** Layers whose stage must include a given chip. Chips may then be left empty to reach it. */
  readonly pins: readonly ChainPin[];
};

/** Layers `[firstLayer, endLayer)` on chips `[firstChip, firstChip + degree)`. Bytes are for each of these chips. */
export type ChainStage = {
  readonly firstLayer: number;
  readonly endLayer: number;
  readonly degree: number;
  readonly firstChip: number;
  readonly computeCycles: number;
  /** Compute together with the links of the stage, as `transfer` says: what this stage asks of the initiation interval. */
  readonly loadCycles: number;
  readonly weightBytes: number;
  readonly stateBytes: number;
  readonly activationBytes: number;
};

export type ChainSolution = {
  readonly kind: "solution";
  readonly stages: readonly ChainStage[];
  /** The largest stage load: a new token can start this often. */
  readonly intervalCycles: number;
  /** One token through all the stages, with the waits at the cuts. */
  readonly latencyCycles: number;
  readonly chipsUsed: number;
  /** The interval is always the least; false where the latency is only that of the fewest chips (thousands of chips). */
  readonly isLatencyLeast: boolean;
  /** Inner steps taken by the search; the same on every machine. */
  readonly workUnits: number;
};

export type ChainContributor = { readonly layer: number; readonly name: string; readonly bytes: number };

export type ChainInfeasible = {
  readonly kind: "infeasible";
  /** `layer`: a layer fits no chip at any degree; `chips`: more chips are needed; `constraints`: pins and cuts contradict. */
  readonly reason: "layer" | "chips" | "constraints";
  /** For `layer`, bytes on one chip; else of the whole chain at the smallest degree. */
  readonly demandBytes: number;
  /** For `layer`, of one chip; else of all chips together. */
  readonly capacityBytes: number;
  /** The fewest chips that would do, where any number does. */
  readonly chipsNeeded: number | undefined;
  /** The five layers that hold most bytes, largest first. */
  readonly contributors: readonly ChainContributor[];
};

type ChainTextError = { readonly line: number; readonly message: string };
export type ChainParse =
  | { readonly ok: true; readonly problem: ChainProblem }
  | { readonly ok: false; readonly errors: readonly ChainTextError[] };

const COST_FIELDS = [
  "computeCycles",
  "weightBytes",
  "stateBytes",
  "activationBytes",
  "receiveBusyCycles",
  "sendBusyCycles",
  "sendLatencyCycles",
] as const satisfies readonly (keyof LayerCost)[];

/** A chain without tensor parallelism, from plain lists; what is left out costs nothing. */
export function plainChain(fields: {
  readonly computeCycles: readonly number[];
  readonly weightBytes?: readonly number[];
  readonly sendBusyCycles?: readonly number[];
  readonly chips: number;
  readonly capacityBytes?: number;
  readonly transfer?: "overlapped" | "serial";
}): ChainProblem {
  const layers = fields.computeCycles.map((computeCycles, i) => ({
    name: `layer${i}`,
    boundaryBytes: 0,
    costs: [
      {
        computeCycles,
        weightBytes: fields.weightBytes?.[i] ?? 0,
        stateBytes: 0,
        activationBytes: 0,
        receiveBusyCycles: i === 0 ? 0 : (fields.sendBusyCycles?.[i - 1] ?? 0),
        sendBusyCycles: fields.sendBusyCycles?.[i] ?? 0,
        sendLatencyCycles: fields.sendBusyCycles?.[i] ?? 0,
      },
    ],
  }));
  const capacityBytes = fields.capacityBytes ?? Number.MAX_SAFE_INTEGER;
  const transfer = fields.transfer ?? "overlapped";
  return { layers, degrees: [1], chips: fields.chips, capacityBytes, transfer, cutAfter: [], pins: [] };
}

export function printChainProblem(problem: ChainProblem): string {
  const lines = [
    `chain chips=${problem.chips} capacity=${problem.capacityBytes} transfer=${problem.transfer} degrees=${problem.degrees.join(",")}`,
  ];
  for (const layer of problem.layers) {
    const costs = layer.costs.map((cost) => (cost === undefined ? "-" : COST_FIELDS.map((f) => cost[f]).join(",")));
    lines.push(`layer ${JSON.stringify(layer.name)} boundary=${layer.boundaryBytes} ${costs.join(" ")}`);
  }
  for (const layer of problem.cutAfter) lines.push(`cut-after ${layer}`);
  for (const pin of problem.pins) lines.push(`pin ${pin.layer}=${pin.chip}`);
  return `${lines.join("\n")}\n`;
}

const HEADER = /^chain chips=(\d+) capacity=([\d.e+]+) transfer=(overlapped|serial) degrees=(\d+(?:,\d+)*)$/;
const LAYER = /^layer ("(?:[^"\\]|\\.)*") boundary=(\S+) (\S.*)$/;

export function parseChainProblem(text: string): ChainParse {
  const errors: ChainTextError[] = [];
  const lines = text.split("\n");
  const header = HEADER.exec(lines[0] ?? "");
  if (header === null) {
    const message = 'expected "chain chips=N capacity=BYTES transfer=overlapped|serial degrees=D,D,..."';
    return { ok: false, errors: [{ line: 1, message }] };
  }
  const degrees = (header[4] ?? "").split(",").map(Number);
  const layers: ChainLayer[] = [];
  const cutAfter: number[] = [];
  const pins: ChainPin[] = [];
  for (let i = 1; i < lines.length; i++) {
    const line = lines[i] ?? "";
    if (line === "") continue;
    const cut = /^cut-after (\d+)$/.exec(line);
    const pin = /^pin (\d+)=(\d+)$/.exec(line);
    if (cut !== null) cutAfter.push(Number(cut[1]));
    else if (pin !== null) pins.push({ layer: Number(pin[1]), chip: Number(pin[2]) });
    else {
      const layer = parseLayer(line, degrees.length);
      if (typeof layer === "string") errors.push({ line: i + 1, message: layer });
      else layers.push(layer);
    }
  }
  if (errors.length > 0) return { ok: false, errors };
  const problem: ChainProblem = {
    layers,
    degrees,
    chips: Number(header[1]),
    capacityBytes: Number(header[2]),
    transfer: header[3] === "serial" ? "serial" : "overlapped",
    cutAfter,
    pins,
  };
  const faults = verifyChainProblem(problem);
  if (faults.length > 0) return { ok: false, errors: faults.map((message) => ({ line: 1, message })) };
  return { ok: true, problem };
}

function parseLayer(line: string, degreeCount: number): ChainLayer | string {
  const match = LAYER.exec(line);
  if (match === null) return 'expected "layer "NAME" boundary=BYTES COSTS...", "cut-after LAYER" or "pin LAYER=CHIP"';
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

/** Everything that is wrong with the problem itself; a solver may assume that this is empty. */
export function verifyChainProblem(problem: ChainProblem): readonly string[] {
  const faults: string[] = [];
  if (problem.layers.length === 0) faults.push("the chain has no layers");
  if (!Number.isInteger(problem.chips) || problem.chips < 1) faults.push(`${problem.chips} is not a number of chips`);
  if (!(problem.capacityBytes >= 0)) faults.push(`${problem.capacityBytes} is not a capacity in bytes`);
  if (problem.degrees.length === 0) faults.push("there is no tensor-parallel degree, not even 1");
  problem.degrees.forEach((degree, i) => {
    const previous = problem.degrees[i - 1] ?? 0;
    if (!Number.isInteger(degree) || degree <= previous)
      faults.push("degrees must be whole numbers in ascending order");
  });
  problem.layers.forEach((layer, i) => {
    const where = `layer ${i} (${layer.name})`;
    if (layer.costs.length !== problem.degrees.length) faults.push(`${where} has not one cost for each degree`);
    if (!(layer.boundaryBytes >= 0)) faults.push(`${where}: boundaryBytes is ${layer.boundaryBytes}`);
    for (const cost of layer.costs) {
      if (cost === undefined) continue;
      for (const field of COST_FIELDS) {
        if (!(Number.isFinite(cost[field]) && cost[field] >= 0)) faults.push(`${where}: ${field} is ${cost[field]}`);
      }
    }
  });
  const isLayer = (i: number) => Number.isInteger(i) && i >= 0 && i < problem.layers.length;
  for (const layer of problem.cutAfter) if (!isLayer(layer)) faults.push(`cut after ${layer}: there is no such layer`);
  for (const pin of problem.pins) {
    if (!isLayer(pin.layer)) faults.push(`pin of layer ${pin.layer}: there is no such layer`);
    if (!Number.isInteger(pin.chip) || pin.chip < 0 || pin.chip >= problem.chips)
      faults.push(`pin of layer ${pin.layer} to chip ${pin.chip}: there is no such chip`);
  }
  return faults;
}
