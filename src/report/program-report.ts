// The figures of a program: latency, bounds, use of units, memory and links. Counted from the program alone. Pure.

import { byteLengthOf } from "../../ir/dtype.ts";
import { elementCount } from "../../ir/graph/graph.ts";
import type { Instruction } from "../../ir/machine/isa.ts";
import type { Binding, Program } from "../../ir/machine/program.ts";
import { isResident } from "../../ir/machine/resident.ts";
import { linkVectorPeriod, sliceCount } from "../../ir/target/geometry.ts";
import { type SramReport, sramOf } from "./memory.ts";

export interface Utilisation {
  readonly mxm: number;
  readonly vxm: number;
  readonly mem: number;
  readonly links: number;
}

export interface StageReport {
  readonly chip: number;
  readonly firstLayer: number;
  readonly lastLayer: number;
  readonly cycles: number;
  readonly weightBytes: number;
}

export interface LinkReport {
  readonly from: number;
  readonly to: number;
  readonly vectors: number;
  readonly busyCycles: number;
}

/** Time the host takes before cycle 0 and after the last one; not part of the latency. State that stays in SRAM is not moved. */
export interface HostReport {
  readonly inputBytes: number;
  readonly outputBytes: number;
  readonly inputSeconds: number;
  readonly outputSeconds: number;
}

export interface ProgramReport {
  readonly model: string;
  readonly target: string;
  readonly chips: number;
  readonly topology: string;
  readonly precision: string;
  readonly clockHz: number;
  readonly latencyCycles: number;
  readonly latencySeconds: number;
  /** What the latency is made of, exactly. */
  readonly latencyTerms: Program["latencyTerms"];
  readonly initiationIntervalCycles: number;
  /** Most inferences under way at once. */
  readonly inFlight: number;
  readonly throughputPerSecond: number;
  readonly lowerBound: Program["lowerBound"];
  readonly utilisation: Utilisation;
  readonly stages: readonly StageReport[];
  readonly sram: readonly SramReport[];
  readonly links: readonly LinkReport[];
  readonly host: HostReport | null;
  readonly instructions: number;
}

function* instructionsOf(program: Program): Generator<Instruction> {
  for (const chip of program.chips) for (const queue of chip.queues) yield* queue.instructions;
}

/** Planes that an instruction of `mode` keeps busy for one vector, and for how long. */
function planeCycles(program: Program, ins: Instruction): number {
  if (ins.op !== "abc") return 0;
  const spec = program.target.mxm.modes[ins.mode];
  return spec === undefined ? 0 : ins.count * spec.vectorPeriod * spec.planesPerTile;
}

function utilisationOf(program: Program): Utilisation {
  const { target, latencyCycles } = program;
  let [mxm, vxm, mem, links] = [0, 0, 0, 0];
  for (const ins of instructionsOf(program)) {
    switch (ins.op) {
      case "abc":
        mxm += planeCycles(program, ins);
        break;
      case "alu":
        vxm += ins.count;
        break;
      case "read":
      case "write":
      case "gather":
      case "scatter":
        mem += ins.count;
        break;
      case "send":
        links += ins.count * linkVectorPeriod(target);
        break;
      default:
        break;
    }
  }
  const share = (used: number, units: number): number =>
    units === 0 || latencyCycles === 0 ? 0 : used / (units * latencyCycles);
  const chips = program.chips.length;
  return {
    mxm: share(mxm, chips * target.mxm.planes),
    vxm: share(vxm, chips * target.vxm.alus),
    mem: share(mem, chips * sliceCount(target) * 2),
    links: share(links, program.links.length),
  };
}

/** Traffic between chips, of the links that carry any. */
function linksOf(program: Program): readonly LinkReport[] {
  const period = linkVectorPeriod(program.target);
  const sent = new Map<string, number>();
  program.chips.forEach((part, chip) => {
    for (const { unit, instructions } of part.queues) {
      if (unit.kind !== "linkSend") continue;
      const key = `${chip}:${unit.port}`;
      sent.set(key, (sent.get(key) ?? 0) + instructions.reduce((sum, ins) => sum + ins.count, 0));
    }
  });
  const pairs = new Map<string, LinkReport>();
  for (const { from, fromPort, to } of program.links) {
    const vectors = sent.get(`${from}:${fromPort}`) ?? 0;
    if (vectors === 0) continue;
    const key = `${from}:${to}`;
    const before = pairs.get(key) ?? { from, to, vectors: 0, busyCycles: 0 };
    const total = before.vectors + vectors;
    pairs.set(key, { from, to, vectors: total, busyCycles: total * period });
  }
  return [...pairs.values()].sort((a, b) => a.from - b.from || a.to - b.to);
}

function hostOf(program: Program): HostReport | null {
  const { host } = program.target;
  if (host === null) return null;
  const resident = new Set(program.bindings.filter((binding) => isResident(program, binding)));
  const stays = (binding: Binding): boolean => {
    const input = binding.renews === undefined ? binding : program.bindings[binding.renews];
    return input !== undefined && resident.has(input);
  };
  const total = (kind: "input" | "output"): number =>
    program.bindings
      .filter((binding) => binding.kind === kind && !stays(binding))
      .reduce((sum, { dtype, shape }) => sum + byteLengthOf(dtype, elementCount(shape)), 0);
  const [inputBytes, outputBytes] = [total("input"), total("output")];
  const time = (length: number): number => host.latencySeconds + length / host.bytesPerSecond;
  return { inputBytes, outputBytes, inputSeconds: time(inputBytes), outputSeconds: time(outputBytes) };
}

export function programReport(program: Program): ProgramReport {
  const { target, latencyCycles, initiationIntervalCycles } = program;
  let instructions = 0;
  for (const chip of program.chips) for (const queue of chip.queues) instructions += queue.instructions.length;
  return {
    model: program.modelName,
    target: target.name,
    chips: program.chips.length,
    topology: program.topology,
    precision: program.precision,
    clockHz: target.clockHz,
    latencyCycles,
    latencySeconds: latencyCycles / target.clockHz,
    latencyTerms: program.latencyTerms,
    initiationIntervalCycles,
    inFlight: initiationIntervalCycles === 0 ? 1 : Math.max(1, Math.ceil(latencyCycles / initiationIntervalCycles)),
    throughputPerSecond: initiationIntervalCycles === 0 ? 0 : target.clockHz / initiationIntervalCycles,
    lowerBound: program.lowerBound,
    utilisation: utilisationOf(program),
    stages: program.stages.map(({ chip, firstLayer, lastLayer, startCycle, endCycle, weightBytes }) => {
      return { chip, firstLayer, lastLayer, cycles: endCycle - startCycle, weightBytes };
    }),
    sram: sramOf(program),
    links: linksOf(program),
    host: hostOf(program),
    instructions,
  };
}
