// Invariant `range`: every number of every instruction inside what the unit, the slice, the claimed buffer and the target allow. Instructions
// that fail here are left out of the other checks, which may then index without care.
import { type AluOperand, type AluOutput, aluOps, type Instruction, isa } from "../../ir/machine/isa.ts";
import type { Program, ProgramSymbol, Unit } from "../../ir/machine/program.ts";
import { type Hemisphere, wordsPerSlice } from "../../ir/target/geometry.ts";
import type { MxmMode, Target } from "../../ir/target/target.ts";
import { countChecked, type Findings, type Site, violate, violateAt } from "./report.ts";
import { lastIssue, modeBytes, streamBytes } from "./sites.ts";

/** No program is longer; keeps all cycle arithmetic exact. */
export const maxCycles = 2 ** 31;

const whole = (value: number, from: number, until: number): boolean =>
  Number.isSafeInteger(value) && value >= from && value < until;

type Say = (message: string) => void;

interface Scope {
  readonly target: Target;
  readonly program: Program;
  readonly chip: number;
  readonly unit: Unit;
  readonly say: Say;
}

function isHemisphere(value: Hemisphere): boolean {
  return value === "W" || value === "E";
}

/** Is there such a unit on a chip of the target? */
export function unitExists(target: Target, unit: Unit): boolean {
  switch (unit.kind) {
    case "memRead":
    case "memWrite":
      return isHemisphere(unit.hemisphere) && whole(unit.slice, 0, target.mem.slicesPerHemisphere);
    case "vxmAlu":
      return whole(unit.alu, 0, target.vxm.alus);
    case "sxm":
      return isHemisphere(unit.hemisphere) && whole(unit.index, 0, target.sxm.unitsPerHemisphere);
    case "mxmLoad":
    case "mxmActivate":
    case "mxmAccumulate":
      return whole(unit.plane, 0, target.mxm.planes);
    case "linkSend":
    case "linkReceive":
      return whole(unit.port, 0, target.link.portsPerChip);
    case "control":
      return true;
  }
}

function checkStreams(scope: Scope, what: string, stream: number, streams: number, align: number): void {
  const available = scope.target.streamsPerDirection;
  if (!whole(stream, 0, available) || stream + streams > available) {
    scope.say(`${what}: streams ${stream}..${stream + streams - 1} are outside 0..${available - 1}`);
  } else if (stream % align !== 0) {
    scope.say(`${what}: a group of ${align} streams must start at a multiple of ${align}, not at ${stream}`);
  }
}

/** Words [first, last] of the unit's slice against the slice and the claimed buffer. */
function checkWords(scope: Scope, symbol: ProgramSymbol | undefined, first: number, last: number): void {
  const words = wordsPerSlice(scope.target);
  if (!whole(first, 0, words) || !whole(last, 0, words)) {
    scope.say(`words ${first}..${last} are outside the slice's 0..${words - 1}`);
    return;
  }
  if (symbol === undefined) {
    scope.say("it touches memory but claims no buffer");
    return;
  }
  const { unit } = scope;
  if (unit.kind !== "memRead" && unit.kind !== "memWrite") return;
  const here = symbol.slices.some((slice) => slice.hemisphere === unit.hemisphere && slice.slice === unit.slice);
  if (symbol.chip !== scope.chip || !here) {
    scope.say(`the claimed buffer ${symbol.name} has no words in this slice`);
  } else if (first < symbol.address || last >= symbol.address + symbol.words) {
    const end = symbol.address + symbol.words - 1;
    scope.say(`words ${first}..${last} are outside ${symbol.address}..${end} of the claimed buffer ${symbol.name}`);
  }
}

function checkMemory(scope: Scope, ins: Instruction): void {
  const symbol = scope.program.symbols[ins.symbol];
  if (ins.op === "read" || ins.op === "write") {
    checkStreams(scope, "stream", ins.stream, 1, 1);
    const end = ins.address + (ins.count - 1) * ins.stride;
    if (!Number.isSafeInteger(ins.stride)) scope.say(`stride ${ins.stride} is not a whole number`);
    else checkWords(scope, symbol, Math.min(ins.address, end), Math.max(ins.address, end));
  } else if (ins.op === "gather" || ins.op === "scatter") {
    checkStreams(scope, "stream", ins.stream, 1, 1);
    checkStreams(scope, "map", ins.map, 4, 4);
    if (!whole(ins.limit, 1, maxCycles) || !Number.isSafeInteger(ins.scale)) {
      scope.say(`limit ${ins.limit} and scale ${ins.scale} must be whole numbers, the limit at least 1`);
      return;
    }
    const end = ins.address + (ins.limit - 1) * ins.scale;
    checkWords(scope, symbol, Math.min(ins.address, end), Math.max(ins.address, end));
  }
}

function checkMode(scope: Scope, mode: MxmMode): boolean {
  const { unit, target, say } = scope;
  const spec = target.mxm.modes[mode];
  if (spec === undefined) {
    say(`target ${target.name} has no ${mode} matrix mode`);
    return false;
  }
  const plane =
    unit.kind === "mxmLoad" || unit.kind === "mxmActivate" || unit.kind === "mxmAccumulate" ? unit.plane : 0;
  if (spec.planesPerTile === 2 && (plane % 2 !== 0 || plane + 1 >= target.mxm.planes)) {
    say(`a ${mode} tile takes two planes and is named by the even one, not by plane ${plane}`);
    return false;
  }
  return true;
}

function checkLanes(scope: Scope, lane: number, k: number, tileK: number): void {
  const { lanes } = scope.target;
  if (!whole(k, 1, tileK + 1)) scope.say(`k ${k} is outside 1..${tileK}`);
  if (!whole(lane, 0, lanes) || lane + k > lanes)
    scope.say(`lanes ${lane}..${lane + k - 1} are outside 0..${lanes - 1}`);
}

function checkLoad(scope: Scope, ins: Instruction & { readonly op: "lw" }): void {
  if (!checkMode(scope, ins.mode)) return;
  const { target, say } = scope;
  const spec = target.mxm.modes[ins.mode];
  if (spec === undefined) return;
  const bytes = ins.format === "planar" ? modeBytes[ins.mode] : 1;
  const most = target.mxm.loadStreamsPerPlane * spec.planesPerTile;
  if (!whole(ins.streams, 1, most + 1) || ins.streams % bytes !== 0) {
    say(`${ins.streams} streams: a load takes 1..${most} in whole groups of ${bytes}`);
    return;
  }
  checkStreams(scope, "weights", ins.stream, ins.streams, bytes);
  checkLanes(scope, ins.lane, ins.k, spec.tileK);
  if (ins.format === "packed" && (ins.lane !== 0 || modeBytes[ins.mode] * spec.tileK > target.lanes)) {
    say(`a packed row of ${modeBytes[ins.mode] * spec.tileK} bytes starts at lane 0 of ${target.lanes}`);
  }
  if (!whole(ins.row, 0, spec.tileN) || !whole(ins.rows, 1, spec.tileN + 1) || ins.row + ins.rows > spec.tileN) {
    say(`rows ${ins.row}..${ins.row + ins.rows - 1} are outside the tile's 0..${spec.tileN - 1}`);
    return;
  }
  const need = Math.ceil(ins.rows / (ins.streams / bytes));
  if (need !== ins.count) say(`${ins.rows} rows from ${ins.streams} streams take ${need} issues, not ${ins.count}`);
}

function checkOperand(scope: Scope, what: string, operand: AluOperand, needed: boolean): void {
  const { target, say } = scope;
  if ((operand.kind !== "none") !== needed) {
    say(`operand ${what} is ${needed ? "missing" : "given but not taken"}`);
    return;
  }
  switch (operand.kind) {
    case "stream":
      checkStreams(scope, `operand ${what}`, operand.stream, streamBytes[operand.type], streamBytes[operand.type]);
      break;
    case "alu":
      if (!whole(operand.alu, 0, target.vxm.alus)) say(`operand ${what}: there is no ALU ${operand.alu}`);
      break;
    case "immediate":
      if (!whole(operand.bits, -(2 ** 31), 2 ** 32)) say(`operand ${what}: ${operand.bits} is not a 32-bit pattern`);
      return;
    case "none":
    case "self":
      return;
  }
  if (!whole(operand.delay, 0, target.vxm.operandHistory + 1)) {
    say(`operand ${what}: delay ${operand.delay} is outside 0..${target.vxm.operandHistory}`);
  }
}

function checkOutput(scope: Scope, output: AluOutput, large: boolean): void {
  if (output.kind === "none") return;
  checkStreams(scope, "output", output.stream, streamBytes[output.type], streamBytes[output.type]);
  if (!large && output.type !== "f32" && output.type !== "i32") {
    scope.say(`narrowing to ${output.type} needs a large ALU`);
  }
}

function checkAlu(scope: Scope, ins: Instruction & { readonly op: "alu" }): void {
  const { target, unit, say } = scope;
  const row = aluOps[ins.operation];
  const large = unit.kind === "vxmAlu" && target.vxm.largeAlus.includes(unit.alu);
  if (row.large && !large) say(`${ins.operation} needs a large ALU`);
  checkOperand(scope, "a", ins.a, true);
  checkOperand(scope, "b", ins.b, row.operands >= 2);
  checkOperand(scope, "c", ins.c, row.operands >= 3);
  checkOutput(scope, ins.output, large);
  if (!whole(ins.reset, 0, maxCycles)) say(`reset ${ins.reset} is not a count`);
}

function checkPermute(scope: Scope, ins: Instruction & { readonly op: "permute" }): void {
  if (ins.bytes !== 1 && ins.bytes !== 2 && ins.bytes !== 4) {
    scope.say(`a group of ${ins.bytes} streams cannot be permuted`);
    return;
  }
  checkStreams(scope, "stream", ins.stream, ins.bytes, ins.bytes);
  checkStreams(scope, "output", ins.outStream, ins.bytes, ins.bytes);
  const maps = scope.program.chips[scope.chip]?.laneMaps.length ?? 0;
  const end = ins.map + (ins.count - 1) * ins.mapStride;
  if (!whole(ins.map, 0, maps) || !whole(end, 0, maps)) {
    scope.say(`lane maps ${ins.map}..${end} are outside 0..${maps - 1}`);
  }
}

function checkAccumulate(scope: Scope, ins: Instruction & { readonly op: "acc" }): void {
  if (!checkMode(scope, ins.mode)) return;
  const entries = scope.target.mxm.accumulators;
  const end = ins.entry + (ins.count - 1) * ins.stride;
  if (!whole(ins.entry, 0, entries) || !whole(end, 0, entries)) {
    scope.say(`accumulator entries ${ins.entry}..${end} are outside 0..${entries - 1}`);
  }
  if (ins.emit) checkStreams(scope, "stream", ins.stream, 4, 4);
}

function checkFields(scope: Scope, ins: Instruction): void {
  switch (ins.op) {
    case "read":
    case "write":
    case "gather":
    case "scatter":
      checkMemory(scope, ins);
      break;
    case "lw":
      checkLoad(scope, ins);
      break;
    case "iw":
      checkMode(scope, ins.mode);
      break;
    case "abc":
      if (!checkMode(scope, ins.mode)) break;
      checkStreams(scope, "activations", ins.stream, modeBytes[ins.mode], modeBytes[ins.mode]);
      checkLanes(scope, ins.lane, ins.k, scope.target.mxm.modes[ins.mode]?.tileK ?? 0);
      break;
    case "acc":
      checkAccumulate(scope, ins);
      break;
    case "alu":
      checkAlu(scope, ins);
      break;
    case "permute":
      checkPermute(scope, ins);
      break;
    case "send":
    case "receive":
      checkStreams(scope, "stream", ins.stream, 1, 1);
      break;
    case "deskew":
      break;
  }
}

function checkBurst(scope: Scope, ins: Instruction): boolean {
  if (!whole(ins.cycle, 0, maxCycles) || !whole(ins.count, 1, maxCycles) || !whole(ins.period, 1, maxCycles)) {
    scope.say(`cycle ${ins.cycle}, count ${ins.count}, period ${ins.period}: not a burst`);
    return false;
  }
  if (lastIssue(ins) < maxCycles) return true;
  scope.say(`its last issue is at cycle ${lastIssue(ins)}, later than any program may run`);
  return false;
}

function checkMaps(findings: Findings): void {
  const { lanes } = findings.program.target;
  findings.program.chips.forEach((chip, index) => {
    chip.laneMaps.forEach((map, position) => {
      countChecked(findings, "range");
      const used = new Set<number>();
      const wrong = Array.from(map).find((lane) => {
        if (lane === -1) return false;
        if (!whole(lane, 0, lanes) || used.has(lane)) return true;
        used.add(lane);
        return false;
      });
      if (map.length === lanes && wrong === undefined) return;
      const why =
        wrong === undefined ? `has ${map.length} lanes, not ${lanes}` : `uses lane ${wrong} twice or it does not exist`;
      violate(findings, "range", `lane map ${position} ${why}`, { chip: index });
    });
  });
}

/** Checks all instructions; the result holds those without a fault. */
export function checkRanges(findings: Findings, sites: readonly Site[]): readonly Site[] {
  const { program } = findings;
  const good: Site[] = [];
  checkMaps(findings);
  for (const site of sites) {
    countChecked(findings, "range");
    let clean = true;
    const say = (message: string): void => {
      clean = false;
      violateAt(findings, "range", site, message);
    };
    const { chip, unit, ins } = site;
    const scope: Scope = { target: program.target, program, chip, unit, say };
    if (!unitExists(program.target, unit)) say("there is no such unit on the chip");
    else if (isa[ins.op].unit !== unit.kind) say(`${ins.op} is not an instruction of this unit`);
    else if (checkBurst(scope, ins)) checkFields(scope, ins);
    if (clean) good.push(site);
  }
  return good;
}
