// Invariant `completeness`, the part that needs no execution: every output is bound and fully placed, every node is claimed by an instruction,
// every buffer that should be written is. Also `range` of placements, which the data-flow check then follows without care.
import { dtypes } from "../../ir/dtype.ts";
import { coreOps } from "../../ir/graph/core-ops.ts";
import type { Binding, Placement, Program, ProgramTensor } from "../../ir/machine/program.ts";
import { nodeProblem } from "./graph-shapes.ts";
import { maxElements, placementProblem, visitPlacement, wordRange } from "./placements.ts";
import { countChecked, type Findings, type Site, violate } from "./report.ts";

const elements = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

const maxRank = 64;

function isSmallEnough(shape: readonly number[]): boolean {
  return (
    shape.length <= maxRank &&
    shape.every((size) => Number.isSafeInteger(size) && size >= 0) &&
    elements(shape) <= maxElements
  );
}

function checkPlacements(
  findings: Findings,
  what: string,
  tensor: ProgramTensor,
  placements: readonly Placement[],
): boolean {
  let good = true;
  for (const placement of placements) {
    countChecked(findings, "range");
    const problem = placementProblem(findings.program, placement, tensor.shape);
    if (problem === undefined) continue;
    good = false;
    violate(findings, "range", `the placement of ${what} ${problem}`, { chip: placement.chip, tensor: tensor.name });
  }
  return good;
}

/** Are all elements covered, and (outputs) none twice? */
function checkCoverage(findings: Findings, binding: Binding, tensor: ProgramTensor): void {
  const times = new Uint8Array(elements(tensor.shape));
  for (const placement of binding.placements) {
    visitPlacement(placement, tensor.shape, (element) => {
      times[element] = Math.min(2, (times[element] ?? 0) + 1);
    });
  }
  const missing = times.indexOf(0);
  const twice = binding.kind === "output" ? times.indexOf(2) : -1;
  const where = { tensor: tensor.name };
  if (missing >= 0) {
    violate(findings, "completeness", `element ${missing} of ${binding.kind} ${binding.name} has no place`, where);
  }
  if (twice >= 0) violate(findings, "completeness", `element ${twice} of output ${binding.name} has two places`, where);
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, d) => size === b[d]);
}

/** Does anything depend on the tensor? An input that nothing reads needs no place. */
function isRead({ graph, bindings }: Program, tensor: number): boolean {
  if (graph.nodes.some((node) => node.inputs.includes(tensor))) return true;
  return bindings.some((binding) => binding.kind === "output" && binding.tensor === tensor);
}

function checkBinding(findings: Findings, binding: Binding): boolean {
  countChecked(findings, "completeness");
  const tensor = findings.program.graph.tensors[binding.tensor];
  const say = (message: string): boolean => {
    violate(findings, "completeness", `${binding.kind} ${binding.name} ${message}`, { tensor: tensor?.name ?? null });
    return false;
  };
  if (tensor === undefined) return say(`is bound to tensor ${binding.tensor}, which does not exist`);
  if (!isSmallEnough(tensor.shape)) return say(`has a shape of [${tensor.shape.join(", ")}]`);
  if (!sameShape(tensor.shape, binding.shape)) {
    return say(`has shape [${binding.shape.join(", ")}], its tensor [${tensor.shape.join(", ")}]`);
  }
  if ((dtypes[tensor.dtype].kind === "float") !== (dtypes[binding.dtype].kind === "float")) {
    return say(`is ${binding.dtype} for the host, its tensor ${tensor.dtype}`);
  }
  if (!checkPlacements(findings, `${binding.kind} ${binding.name}`, tensor, binding.placements)) return false;
  if (binding.kind === "output" && tensor.constant !== undefined && binding.placements.length === 0) return true;
  if (binding.placements.length === 0 && elements(tensor.shape) > 0) {
    return binding.kind === "input" && !isRead(findings.program, binding.tensor) ? true : say("is placed nowhere");
  }
  checkCoverage(findings, binding, tensor);
  return true;
}

function problemOf(
  program: Program,
  node: Program["graph"]["nodes"][number],
  produced: Uint8Array,
): string | undefined {
  const { tensors } = program.graph;
  const missing = node.inputs.find((input) => produced[input] !== 1);
  if (missing !== undefined) return `takes tensor ${missing} before it exists`;
  const output = tensors[node.output];
  if (output === undefined || produced[node.output] === 1) return "has no output of its own";
  if (!isSmallEnough(output.shape)) return `makes a tensor of [${output.shape.join(", ")}]`;
  const inputs = node.inputs.flatMap((input) => tensors[input] ?? []);
  return nodeProblem(node, inputs, output);
}

/** Tensors that nothing consumes must be outputs; a tensor that is consumed must come from somewhere. */
function checkTensors(findings: Findings, program: Program): boolean {
  const { tensors, nodes } = program.graph;
  const produced = new Uint8Array(tensors.length);
  const consumed = new Uint8Array(tensors.length);
  let good = true;
  for (const binding of program.bindings) {
    if (binding.kind === "input") produced[binding.tensor] = 1;
    else consumed[binding.tensor] = 1;
  }
  tensors.forEach((tensor, index) => {
    if (tensor.constant !== undefined) produced[index] = 1;
  });
  nodes.forEach((node, index) => {
    const problem = problemOf(program, node, produced);
    if (problem !== undefined) {
      good = false;
      const where = { tensor: tensors[node.output]?.name ?? null };
      violate(findings, "completeness", `node ${index} (${node.op}) ${problem}`, where);
    }
    for (const input of node.inputs) consumed[input] = 1;
    produced[node.output] = 1;
  });
  nodes.forEach((node) => {
    if (consumed[node.output] === 1) return;
    const name = tensors[node.output]?.name ?? null;
    violate(findings, "completeness", `the result of a ${node.op} is neither used nor bound as an output`, {
      tensor: name,
    });
  });
  for (const binding of program.bindings) {
    if (binding.kind === "output" && produced[binding.tensor] !== 1) {
      good = false;
      const name = tensors[binding.tensor]?.name ?? null;
      violate(findings, "completeness", `output ${binding.name} is bound to a tensor that no node produces`, {
        tensor: name,
      });
    }
  }
  return good;
}

/** Operations that may leave all bytes where they are. */
const isFree = (op: Program["graph"]["nodes"][number]["op"]): boolean =>
  coreOps[op].group === "view" || op === "bitcast";

/** A node is accounted for when an instruction's note names one of its sources; views may cost nothing. */
function checkNodes(findings: Findings, program: Program, sites: readonly Site[]): void {
  const claimed = new Set<number>();
  const notes = new Set<number>();
  for (const site of sites) notes.add(site.ins.note);
  for (const note of notes) for (const origin of program.debug.notes[note]?.origins ?? []) claimed.add(origin);
  program.graph.nodes.forEach((node, index) => {
    countChecked(findings, "completeness");
    if (isFree(node.op) || node.origins.length === 0) return;
    if (node.origins.some((origin) => claimed.has(origin))) return;
    const names = node.origins.map((origin) => program.debug.origins[origin]?.name ?? `#${origin}`).join(", ");
    const tensor = program.graph.tensors[node.output]?.name ?? null;
    violate(findings, "completeness", `no instruction belongs to node ${index} (${node.op})`, { tensor, node: names });
  });
}

function checkSymbols(findings: Findings, program: Program, sites: readonly Site[]): void {
  const written = new Set<number>();
  for (const { ins } of sites) if (ins.op === "write" || ins.op === "scatter") written.add(ins.symbol);
  program.symbols.forEach((symbol, index) => {
    countChecked(findings, "completeness");
    if (symbol.role !== "activation" && symbol.role !== "output") return;
    if (symbol.words === 0 || symbol.slices.length === 0 || written.has(index)) return;
    const where = { chip: symbol.chip, tensor: symbol.name };
    violate(findings, "completeness", `no instruction writes ${symbol.role} buffer ${symbol.name}`, where);
  });
}

/** Buffers of outputs and inputs are there for a binding; several of one name are copies, of which the host needs one. */
function checkBorders(findings: Findings, program: Program): void {
  const bound = new Set<string>();
  const words = (chip: number, { hemisphere, slice }: { hemisphere: string; slice: number }): string =>
    `${chip} ${hemisphere}${slice}`;
  const places = new Map<string, Placement[]>();
  for (const binding of program.bindings) {
    for (const placement of binding.placements) {
      for (const slice of placement.slices) {
        const key = `${binding.kind} ${words(placement.chip, slice)}`;
        const list = places.get(key) ?? [];
        places.set(key, list);
        list.push(placement);
      }
    }
  }
  const borders = program.symbols.filter(({ role }) => role === "input" || role === "output");
  for (const { name, role, chip, slices, address, words: size } of borders) {
    const touched = slices.some((slice) =>
      (places.get(`${role} ${words(chip, slice)}`) ?? []).some((placement) => {
        const [first, last] = wordRange(placement);
        return first < address + size && last >= address;
      }),
    );
    if (touched || size === 0 || slices.length === 0) bound.add(`${role} ${name}`);
  }
  for (const { name, role, chip } of borders) {
    countChecked(findings, "completeness");
    if (bound.has(`${role} ${name}`)) continue;
    bound.add(`${role} ${name}`);
    violate(findings, "completeness", `${role} buffer ${name} belongs to no bound ${role}`, { chip, tensor: name });
  }
}

function checkConstants(findings: Findings, program: Program): boolean {
  let good = true;
  for (const tensor of program.graph.tensors) {
    if (tensor.constant === undefined) continue;
    if (!isSmallEnough(tensor.shape)) {
      good = false;
      violate(findings, "completeness", `constant ${tensor.name} is too large`, { tensor: tensor.name });
    } else if (tensor.constant.kind === "placed") {
      good = checkPlacements(findings, `constant ${tensor.name}`, tensor, tensor.constant.placements) && good;
    }
  }
  return good;
}

/** Static completeness; true if graph, bindings and placements are sound enough to execute. */
export function checkCompleteness(findings: Findings, sites: readonly Site[]): boolean {
  const { program } = findings;
  const bindings = program.bindings.map((binding) => checkBinding(findings, binding)).every((good) => good);
  const constants = checkConstants(findings, program);
  const tensors = checkTensors(findings, program);
  checkNodes(findings, program, sites);
  checkSymbols(findings, program, sites);
  if (bindings) checkBorders(findings, program);
  if (!program.bindings.some((binding) => binding.kind === "output")) {
    violate(findings, "completeness", "the program has no outputs");
  }
  return bindings && constants && tensors;
}
