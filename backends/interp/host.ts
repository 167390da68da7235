// What the host does before cycle 0 and after the last one: images and inputs into SRAM, outputs out of it.
import type { DType } from "../../ir/dtype.ts";
import { elementCount } from "../../ir/graph/graph.ts";
import { forEachElement, isPlaced, placementGeometry, sliceOf, wordOf } from "../../ir/machine/placement.ts";
import type { Binding, Placement, Program, ProgramConstant } from "../../ir/machine/program.ts";
import { convertTensor, fromStoredCodes, toStoredCodes } from "./convert.ts";
import { finalByte, findSlice, initialise, initialiseByte } from "./memory.ts";
import { raiseOutside } from "./raise.ts";
import type { Machine, Slice } from "./state.ts";

export interface HostTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Row-major, little endian, elements packed as ir/dtype.ts says. */
  readonly bytes: Uint8Array;
}

/** Fills every chip's memory with its image. */
export function loadImages(machine: Machine): void {
  machine.program.chips.forEach((chip, index) => {
    const memory = machine.chips[index]?.memory;
    for (const segment of chip.images) {
      const slice = memory === undefined ? undefined : findSlice(memory, segment.hemisphere, segment.slice);
      const words = segment.byteLength / machine.lanes;
      if (
        memory === undefined ||
        slice === undefined ||
        !Number.isInteger(words) ||
        !(segment.address >= 0 && segment.address + words <= memory.wordsPerSlice)
      ) {
        const where = `${segment.hemisphere}${segment.slice} word ${segment.address}, ${segment.byteLength} B`;
        raiseOutside(machine, "range", index, undefined, `an image segment (slice ${where}) does not fit into SRAM`);
        return;
      }
      initialise(memory, slice, segment.address, segment.read());
    }
  });
}

/** The slices of a placement; undefined and a fault if some are not there. */
function slicesOf(machine: Machine, name: string, placement: Placement): readonly Slice[] | undefined {
  const memory = machine.chips[placement.chip]?.memory;
  const slices: Slice[] = [];
  for (const site of placement.slices) {
    const slice = memory === undefined ? undefined : findSlice(memory, site.hemisphere, site.slice);
    if (slice !== undefined) slices.push(slice);
  }
  if (slices.length === placement.slices.length && slices.length > 0) return slices;
  raiseOutside(machine, "range", placement.chip, name, "stands in slices or on a chip that are not there");
  return undefined;
}

type VisitByte = (flat: number, byte: number, slice: Slice, address: number, lane: number) => boolean;

/** Every byte of every element of a placement, until `visit` says false. */
function visitBytes(
  machine: Machine,
  name: string,
  placement: Placement,
  shape: readonly number[],
  visit: VisitByte,
): void {
  const slices = slicesOf(machine, name, placement);
  const memory = machine.chips[placement.chip]?.memory;
  if (slices === undefined || memory === undefined) return;
  if (!isPlaced(placement, shape)) {
    raiseOutside(machine, "range", placement.chip, name, "its placement does not fit its shape");
    return;
  }
  const geometry = placementGeometry(placement);
  forEachElement(placement, shape, (flat, vector, lane) => {
    if (machine.fault !== undefined) return;
    const address = wordOf(placement, geometry, vector);
    for (let byte = 0; byte < geometry.bytes; byte += 1) {
      const slice = slices[sliceOf(geometry, vector, byte)];
      const at = lane + byte * geometry.laneStep;
      if (slice === undefined || !(at >= 0 && at < memory.lanes) || !(address >= 0 && address < memory.wordsPerSlice)) {
        raiseOutside(machine, "range", placement.chip, name, `element ${flat} stands at word ${address}, lane ${at}`);
        return;
      }
      if (!visit(flat, byte, slice, address, at)) return;
    }
  });
}

/** Puts a tensor into all of its places, or those on one chip. */
function fillPlacements(machine: Machine, binding: Binding, tensor: HostTensor, chip: number | undefined): void {
  const count = elementCount(binding.shape);
  for (const placement of binding.placements) {
    if (chip !== undefined && placement.chip !== chip) continue;
    const memory = machine.chips[placement.chip]?.memory;
    if (memory === undefined) {
      raiseOutside(machine, "range", placement.chip, binding.name, `there is no chip ${placement.chip}`);
      return;
    }
    const codes = toStoredCodes(tensor.bytes, tensor.dtype, count, placement.type);
    visitBytes(machine, binding.name, placement, binding.shape, (flat, byte, slice, address, lane) => {
      initialiseByte(memory, slice, address, lane, ((codes[flat] as number) >>> (8 * byte)) & 0xff);
      return true;
    });
  }
}

const shapeText = (dtype: DType, shape: readonly number[]): string => `${dtype}[${shape.join(",")}]`;

interface BindOptions {
  /** Places on this chip only. */
  readonly chip?: number;
  /** Inputs that are there already if they are not given. */
  readonly mayLack?: ReadonlySet<string>;
}

/** Checks the inputs against the bindings and places them. */
export function bindInputs(
  machine: Machine,
  inputs: ReadonlyMap<string, HostTensor>,
  { chip, mayLack }: BindOptions = {},
): void {
  const { bindings } = machine.program;
  const wanted = bindings.filter((binding) => binding.kind === "input");
  for (const name of inputs.keys()) {
    if (wanted.some((binding) => binding.name === name)) continue;
    const names = wanted.map((binding) => binding.name).join(", ");
    raiseOutside(machine, "binding", 0, name, `the program has no such input; it has ${names === "" ? "none" : names}`);
  }
  for (const binding of wanted) {
    const tensor = inputs.get(binding.name);
    const expected = shapeText(binding.dtype, binding.shape);
    if (tensor === undefined && mayLack?.has(binding.name)) continue;
    if (tensor === undefined) {
      raiseOutside(machine, "binding", 0, binding.name, `the input is missing (${expected})`);
    } else if (shapeText(tensor.dtype, tensor.shape) !== expected) {
      raiseOutside(
        machine,
        "binding",
        0,
        binding.name,
        `is ${shapeText(tensor.dtype, tensor.shape)}, must be ${expected}`,
      );
    } else fillPlacements(machine, binding, tensor, chip);
    if (machine.fault !== undefined) return;
  }
}

/** Stored codes of a tensor gathered from its places; a fault if a word was never written. */
function collect(
  machine: Machine,
  name: string,
  placements: readonly Placement[],
  shape: readonly number[],
): Int32Array {
  const placed = placements.reduce((sum, { extent }) => sum + elementCount(extent), 0);
  if (placed < elementCount(shape)) {
    raiseOutside(machine, "binding", 0, name, `${placed} of ${elementCount(shape)} elements stand somewhere`);
    return new Int32Array(0);
  }
  const codes = new Int32Array(elementCount(shape));
  const covered = new Uint8Array(codes.length);
  for (const placement of placements) {
    const memory = machine.chips[placement.chip]?.memory;
    if (memory === undefined) {
      raiseOutside(machine, "range", placement.chip, name, `there is no chip ${placement.chip}`);
      return codes;
    }
    visitBytes(machine, name, placement, shape, (flat, byte, slice, address, lane) => {
      const value = finalByte(memory, slice, address, lane);
      if (value < 0) {
        raiseOutside(machine, "poison", placement.chip, name, `word ${address} was never written`);
        return false;
      }
      if (byte === 0) codes[flat] = 0;
      codes[flat] = (codes[flat] as number) | (value << (8 * byte));
      covered[flat] = 1;
      return true;
    });
  }
  const missing = covered.indexOf(0);
  if (missing >= 0) raiseOutside(machine, "binding", 0, name, `element ${missing} stands nowhere`);
  return codes;
}

function splat(dtype: DType, bits: number, count: number): Uint8Array {
  const one = new Uint8Array(4);
  new DataView(one.buffer).setUint32(0, bits >>> 0, true);
  const type = dtype === "float32" ? "f32" : "i32";
  return fromStoredCodes(new Int32Array(count).fill(bits | 0), type, dtype);
}

function constantBytes(
  machine: Machine,
  name: string,
  constant: ProgramConstant,
  dtype: DType,
  shape: readonly number[],
): Uint8Array {
  switch (constant.kind) {
    case "inline":
      return constant.bytes;
    case "splat":
      return splat(dtype, constant.bits, elementCount(shape));
    case "placed": {
      const codes = collect(machine, name, constant.placements, shape);
      return fromStoredCodes(codes, constant.placements[0]?.type ?? "f32", dtype);
    }
  }
}

/** Elements; constants that are outputs need no memory of a chip, so their size is bounded here. */
const LARGEST_CONSTANT = 2 ** 28;

function readOutput(machine: Machine, program: Program, binding: Binding): Uint8Array {
  const tensor = program.graph.tensors[binding.tensor];
  const first = binding.placements[0];
  if (first !== undefined) {
    const codes = collect(machine, binding.name, binding.placements, binding.shape);
    return fromStoredCodes(codes, first.type, binding.dtype);
  }
  const count = elementCount(binding.shape);
  if (tensor?.constant === undefined) {
    if (count > 0) raiseOutside(machine, "binding", 0, binding.name, "the output stands nowhere and is no constant");
    return new Uint8Array(0);
  }
  if (count > LARGEST_CONSTANT) {
    raiseOutside(machine, "range", 0, binding.name, `a constant of ${count} elements, more than any memory holds`);
    return new Uint8Array(0);
  }
  const bytes = constantBytes(machine, binding.name, tensor.constant, tensor.dtype, binding.shape);
  return machine.fault === undefined ? convertTensor(bytes, tensor.dtype, binding.dtype, count) : bytes;
}

/** Reads every output that is wanted. */
export function readOutputs(
  machine: Machine,
  isWanted: (name: string) => boolean = () => true,
): ReadonlyMap<string, HostTensor> {
  const outputs = new Map<string, HostTensor>();
  for (const binding of machine.program.bindings) {
    if (binding.kind !== "output" || machine.fault !== undefined || !isWanted(binding.name)) continue;
    const bytes = readOutput(machine, machine.program, binding);
    outputs.set(binding.name, { dtype: binding.dtype, shape: binding.shape, bytes });
  }
  return outputs;
}
