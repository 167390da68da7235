// What a target file may hold, and the one way from JSON to a `Target`. Knows JSON values, not files.
import { type DiagnosticCode, diagnostic } from "../diag/codes.ts";
import { type Diagnostic, fail, ok, type Result } from "../diag/diagnostic.ts";
import { didYouMean } from "../diag/suggest.ts";
import {
  choice,
  flag,
  isRecord,
  list,
  object,
  orNull,
  pair,
  type ReadNotes,
  readShape,
  real,
  type ShapeProblem,
  shown,
  text,
  type ValueOf,
  whole,
} from "../json/shape.ts";
import type { MxmMode, Target } from "./target.ts";

export const topologyKinds = ["chain", "ring", "all-to-all", "dragonfly", "switch", "torus2d", "edges"] as const;

/** More than any unit takes: what is on its way is kept in rings of so many. */
const cycles = whole(0, 10_000);
const mode = object(
  {
    tileK: whole(1, 65_536),
    tileN: whole(1, 65_536),
    planesPerTile: choice([1, 2]),
    vectorPeriod: whole(1, 1024),
  },
  {},
);

const targetShape = object(
  {
    name: text,
    description: text,
    clockHz: real(1, 1e12),
    lanes: whole(4, 32_767),
    superlaneLanes: whole(1, 32_767),
    verticalRipple: cycles,
    streamsPerDirection: whole(4, 1024),
    mem: object(
      {
        slicesPerHemisphere: whole(1, 1024),
        slicesPerColumn: whole(1, 1024),
        banks: choice([2]),
        wordsPerBank: whole(1, 16_777_216),
        latency: object({ read: cycles, write: cycles, gather: cycles, scatter: cycles }, {}),
      },
      {},
    ),
    mxm: object(
      {
        planes: whole(2, 64),
        modes: object({}, { int8: mode, fp16: mode, fp32: mode }),
        loadStreamsPerPlane: whole(1, 1024),
        accumulators: whole(1, 1_048_576),
        latency: object({ lw: cycles, iw: cycles, abc: cycles, acc: cycles }, {}),
      },
      {},
    ),
    vxm: object(
      {
        alus: whole(1, 256),
        largeAlus: list(whole(0, 255), 1, 256),
        chainDepth: whole(1, 256),
        operandHistory: whole(0, 4096),
        latency: object({ simple: whole(1, 10_000), multiply: whole(1, 10_000), large: whole(1, 10_000) }, {}),
      },
      {},
    ),
    sxm: object({ unitsPerHemisphere: whole(1, 64), latency: object({ permute: cycles }, {}) }, {}),
    link: object(
      {
        portsPerChip: whole(0, 1024),
        bytesPerSecond: real(1, 1e15),
        framedBytesPerVector: whole(1, 1_048_576),
        latency: whole(1, 1_000_000),
        switchLatency: whole(0, 1_000_000),
      },
      {},
    ),
    topology: object(
      {
        kind: choice(topologyKinds),
        chipsPerNode: whole(1, 4096),
        nodesPerRack: whole(1, 4096),
        linksPerPair: whole(1, 1024),
      },
      { globalPortsPerChip: whole(0, 1024), edges: list(pair(whole(0, 4095)), 0, 65_536) },
    ),
    instructionFetchBytes: whole(1, 1_048_576),
    extensions: object({ laneReduce: flag }, {}),
    host: orNull(object({ latencySeconds: real(0, 10), bytesPerSecond: real(1, 1e15) }, {})),
    energy: object(
      {
        picojoulePerMacInt8: real(0, 1e9),
        picojoulePerSramByte: real(0, 1e9),
        picojoulePerLinkByte: real(0, 1e9),
        picojoulePerStreamHopByte: real(0, 1e9),
      },
      {},
    ),
  },
  {},
);

const problemCodes = {
  "unknown-field": "LPU3003",
  "missing-field": "LPU3004",
  "bad-value": "LPU3005",
} as const satisfies Record<ShapeProblem["kind"], DiagnosticCode>;

type TargetData = Omit<Target, "sources">;

/** Numbers that do not fit each other. `wrong` lists each rule once, with both numbers. */
function contradictions(target: TargetData): readonly string[] {
  const { mem, mxm, vxm, topology, lanes } = target;
  const found: string[] = [];
  const rule = (holds: boolean, message: string): void => {
    if (!holds) found.push(message);
  };
  rule(
    lanes % target.superlaneLanes === 0,
    `lanes (${lanes}) is not a multiple of superlaneLanes (${target.superlaneLanes})`,
  );
  rule(lanes % 4 === 0, `lanes (${lanes}) is not a multiple of 4`);
  rule(
    mem.slicesPerHemisphere % mem.slicesPerColumn === 0,
    `mem.slicesPerHemisphere (${mem.slicesPerHemisphere}) is not a multiple of mem.slicesPerColumn (${mem.slicesPerColumn})`,
  );
  rule(
    target.streamsPerDirection % 4 === 0,
    `streamsPerDirection (${target.streamsPerDirection}) is not a multiple of 4`,
  );
  rule(
    mxm.loadStreamsPerPlane <= target.streamsPerDirection,
    `mxm.loadStreamsPerPlane (${mxm.loadStreamsPerPlane}) is more than streamsPerDirection (${target.streamsPerDirection})`,
  );
  rule(mxm.planes % 2 === 0, `mxm.planes (${mxm.planes}) cannot be halved between the hemispheres`);
  const modes = (["int8", "fp16", "fp32"] as const satisfies readonly MxmMode[]).flatMap((name) => {
    const spec = mxm.modes[name];
    return spec === undefined ? [] : [{ name, spec }];
  });
  rule(modes.length > 0, "mxm.modes has no mode at all");
  for (const { name, spec } of modes) {
    const at = `mxm.modes.${name}`;
    rule(spec.tileK <= lanes, `${at}.tileK (${spec.tileK}) is more than lanes (${lanes})`);
    rule(spec.tileN <= lanes, `${at}.tileN (${spec.tileN}) is more than lanes (${lanes})`);
    rule(
      spec.planesPerTile === 1 || mxm.planes % 4 === 0,
      `${at}.planesPerTile is 2, but mxm.planes (${mxm.planes}) does not give pairs in each hemisphere`,
    );
  }
  rule(vxm.chainDepth <= vxm.alus, `vxm.chainDepth (${vxm.chainDepth}) is more than vxm.alus (${vxm.alus})`);
  const outside = vxm.largeAlus.find((alu) => alu >= vxm.alus);
  rule(outside === undefined, `vxm.largeAlus names ALU ${outside}, but vxm.alus is ${vxm.alus}`);
  rule(new Set(vxm.largeAlus).size === vxm.largeAlus.length, "vxm.largeAlus names an ALU twice");
  rule(
    topology.kind !== "edges" || topology.edges !== undefined,
    "topology.kind is edges, but there is no list topology.edges",
  );
  return found;
}

const maxExtends = 8;

/** `over` laid over `under`: objects field by field, everything else replaced. */
function overlay(under: unknown, over: unknown): unknown {
  const wrapped = (json: unknown): boolean => isRecord(json) && Object.hasOwn(json, "value");
  // The source of a replaced number does not speak for the new one.
  if (typeof over === "number" || Array.isArray(over)) return { value: over, source: "the target file" };
  if (!isRecord(under) || !isRecord(over) || wrapped(under) || wrapped(over)) return over;
  const merged: Record<string, unknown> = { ...under };
  for (const [key, value] of Object.entries(over)) {
    merged[key] = Object.hasOwn(under, key) ? overlay(under[key], value) : value;
  }
  return merged;
}

/** Follows `"extends": "NAME"` to one whole document. */
function extended(json: unknown, presets: Readonly<Record<string, unknown>>): Result<unknown> {
  let whole = json;
  for (let depth = 0; isRecord(whole) && Object.hasOwn(whole, "extends"); depth++) {
    const { extends: name, ...rest } = whole;
    if (typeof name !== "string" || !Object.hasOwn(presets, name) || depth === maxExtends) {
      const names = Object.keys(presets);
      const help = typeof name === "string" ? didYouMean(name, names) : undefined;
      return fail(
        diagnostic("LPU3005", `extends: must name a preset (${names.join(", ")}), is ${shown(name)}`, { help }),
      );
    }
    whole = overlay(presets[name], rest);
  }
  return ok(whole);
}

/**
 * A target from parsed JSON, or everything that is wrong with it. `presets`: documents that `"extends": "NAME"` may start from.
 */
export function parseTarget(json: unknown, presets: Readonly<Record<string, unknown>> = {}): Result<Target> {
  const document = extended(json, presets);
  if (!document.ok) return document;
  const notes: ReadNotes = { document: "the target", problems: [], sources: {} };
  const read = readShape(targetShape, document.value, "", undefined, notes);
  if (notes.problems.length > 0) {
    const problems = notes.problems.map(({ kind, message, help }) => diagnostic(problemCodes[kind], message, { help }));
    return { ok: false, diagnostics: problems };
  }
  const data: TargetData = read as ValueOf<typeof targetShape>;
  const wrong: readonly Diagnostic[] = contradictions(data).map((message) => diagnostic("LPU3006", message));
  if (wrong.length > 0) return { ok: false, diagnostics: wrong };
  return ok({ ...data, sources: notes.sources });
}
