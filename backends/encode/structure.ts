// What must hold in any program before someone may follow its indices: tables are referred to inside their bounds, units and slices exist, images
// fit their slice. Says nothing of whether the schedule is legal (the verifier does). Reads data only, reports in words.

import { byteLengthOf } from "../../ir/dtype.ts";
import { elementCount } from "../../ir/graph/graph.ts";
import type { Binding, ChipProgram, Placement, Program, Unit } from "../../ir/machine/program.ts";
import { unitName } from "../../ir/machine/program.ts";
import { wordsPerSlice } from "../../ir/target/geometry.ts";
import type { Target } from "../../ir/target/target.ts";

/** More problems than this help nobody. */
const mostProblems = 20;

type Report = (message: string) => void;

const within = (index: number, length: number): boolean => index >= 0 && index < length;

function unitExists(unit: Unit, target: Target): boolean {
  switch (unit.kind) {
    case "memRead":
    case "memWrite":
      return within(unit.slice, target.mem.slicesPerHemisphere);
    case "vxmAlu":
      return within(unit.alu, target.vxm.alus);
    case "sxm":
      return within(unit.index, target.sxm.unitsPerHemisphere);
    case "mxmLoad":
    case "mxmActivate":
    case "mxmAccumulate":
      return within(unit.plane, target.mxm.planes);
    case "linkSend":
    case "linkReceive":
      return within(unit.port, target.link.portsPerChip);
    case "control":
      return true;
  }
}

function checkChip(program: Program, chip: ChipProgram, where: string, report: Report): void {
  const { target, symbols, debug } = program;
  const seen = new Set<string>();
  for (const queue of chip.queues) {
    const name = unitName(queue.unit);
    if (!unitExists(queue.unit, target)) report(`${where}: the target has no unit ${name}`);
    if (seen.has(name)) report(`${where}: two queues of ${name}`);
    seen.add(name);
    const bad = queue.instructions.find(
      ({ note, symbol }) => note < -1 || note >= debug.notes.length || symbol < -1 || symbol >= symbols.length,
    );
    if (bad !== undefined) {
      report(`${where}, ${name}, cycle ${bad.cycle}: note ${bad.note} or symbol ${bad.symbol} does not exist`);
    }
  }
  for (const image of chip.images) {
    const words = image.byteLength / target.lanes;
    const fits = Number.isSafeInteger(words) && image.address + words <= wordsPerSlice(target);
    if (!fits || !within(image.slice, target.mem.slicesPerHemisphere)) {
      report(
        `${where}: an image of ${image.byteLength} bytes at ${image.hemisphere}${image.slice} word ${image.address} is outside memory`,
      );
    }
  }
  for (const [index, map] of chip.laneMaps.entries()) {
    if (map.length !== target.lanes || map.some((lane) => lane >= target.lanes)) {
      report(`${where}: lane map ${index} is not one of ${target.lanes} lanes`);
    }
  }
}

function checkPlacement(program: Program, rank: number, placement: Placement, where: string, report: Report): void {
  const { origin, extent, digits } = placement;
  if (!within(placement.chip, program.chips.length)) report(`${where}: there is no chip ${placement.chip}`);
  if (origin.length !== rank || extent.length !== rank || digits.length !== rank) {
    report(`${where}: a placement of ${origin.length}, ${extent.length} and ${digits.length} dimensions for ${rank}`);
  }
  checkSlices(program.target, placement.slices, where, report);
}

function checkSlices(target: Target, slices: Placement["slices"], where: string, report: Report): void {
  const bad = slices.find(({ slice }) => !within(slice, target.mem.slicesPerHemisphere));
  if (bad !== undefined) report(`${where}: there is no slice ${bad.hemisphere}${bad.slice}`);
}

function checkBinding(program: Program, binding: Binding, where: string, report: Report): void {
  const tensor = program.graph.tensors[binding.tensor];
  if (tensor === undefined) report(`${where}: there is no tensor ${binding.tensor}`);
  for (const placement of binding.placements) {
    checkPlacement(program, tensor?.shape.length ?? 0, placement, where, report);
  }
  if (binding.renews === undefined) return;
  const input = program.bindings[binding.renews];
  const isState =
    binding.kind === "output" &&
    input?.kind === "input" &&
    input.dtype === binding.dtype &&
    input.shape.join() === binding.shape.join();
  if (!isState) report(`${where}: renews binding ${binding.renews}, which is no input of its type and shape`);
}

function checkGraph(program: Program, report: Report): void {
  const { tensors, nodes } = program.graph;
  const { origins, notes } = program.debug;
  for (const [index, tensor] of tensors.entries()) {
    const where = `tensor ${index}`;
    const { constant, dtype, shape } = tensor;
    if (constant?.kind === "inline" && constant.bytes.length !== byteLengthOf(dtype, elementCount(shape))) {
      report(`${where}: ${constant.bytes.length} bytes for ${dtype} [${shape.join(",")}]`);
    }
    if (constant?.kind !== "placed") continue;
    for (const placement of constant.placements) checkPlacement(program, shape.length, placement, where, report);
  }
  for (const [index, node] of nodes.entries()) {
    const bad = [...node.inputs, node.output].find((tensor) => !within(tensor, tensors.length));
    if (bad !== undefined) report(`node ${index}: there is no tensor ${bad}`);
    if (node.origins.some((origin) => !within(origin, origins.length))) report(`node ${index}: unknown origin`);
  }
  for (const [index, note] of notes.entries()) {
    if (note.origins.some((origin) => !within(origin, origins.length))) report(`note ${index}: unknown origin`);
  }
}

/** What is wrong, in words; empty for a sound program. */
export function structureProblems(program: Program): readonly string[] {
  const problems: string[] = [];
  const report: Report = (message) => {
    if (problems.length < mostProblems) problems.push(message);
  };
  const chips = program.chips.length;
  const ports = program.target.link.portsPerChip;
  for (const [index, chip] of program.chips.entries()) checkChip(program, chip, `chip ${index}`, report);
  for (const [index, link] of program.links.entries()) {
    const joins = within(link.from, chips) && within(link.to, chips);
    if (!joins || !within(link.fromPort, ports) || !within(link.toPort, ports)) {
      report(`link ${index} joins ${link.from}.${link.fromPort} and ${link.to}.${link.toPort}, which do not exist`);
    }
  }
  for (const [index, stage] of program.stages.entries()) {
    if (!within(stage.chip, chips)) report(`stage ${index}: there is no chip ${stage.chip}`);
  }
  for (const [index, symbol] of program.symbols.entries()) {
    if (!within(symbol.chip, chips)) report(`symbol ${index}: there is no chip ${symbol.chip}`);
    checkSlices(program.target, symbol.slices, `symbol ${index}`, report);
  }
  for (const [index, binding] of program.bindings.entries()) {
    checkBinding(program, binding, `binding ${index}`, report);
  }
  checkGraph(program, report);
  return problems;
}
