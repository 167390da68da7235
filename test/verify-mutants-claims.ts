// Mutants of what a program says about itself: bindings, graph, images. `completeness` for what is missing, `range` for placements outside memory,
// `operand` where graph and instructions do not compute the same, `capacity` for images that do not fit.
import { coreOps } from "../ir/graph/core-ops.ts";
import type { Binding, ImageSegment, Placement, Program } from "../ir/machine/program.ts";
import {
  editChip,
  editPlacement,
  type Mutation,
  onClaim,
  onProgram,
  pick,
  type Random,
  spotsOf,
} from "./verify-mutation.ts";

const isOutput = (binding: Binding): boolean => binding.kind === "output";
const isInput = (binding: Binding): boolean => binding.kind === "input";

function editImage(
  program: Program,
  random: Random,
  edit: (image: ImageSegment, program: Program) => readonly ImageSegment[],
): Program | undefined {
  const all = program.chips.flatMap((chip, c) => chip.images.map((image) => ({ c, image })));
  const chosen = pick(random, all);
  if (chosen === undefined) return undefined;
  return editChip(program, chosen.c, (chip) => ({
    ...chip,
    images: chip.images.flatMap((image) => (image === chosen.image ? edit(image, program) : [image])),
  }));
}

const wordKey = (chip: number, hemisphere: string, slice: number, word: number): string =>
  `${chip}${hemisphere}${slice}:${word}`;

/** Words that define constants of the graph: what they hold is right by definition. */
function definingWords(program: Program): ReadonlySet<string> {
  const words = new Set<string>();
  const add = ({ chip, slices, address, digits, extent }: Placement): void => {
    const vectors = extent.map((size, d) =>
      (digits[d] ?? []).reduce((sum, digit) => sum + Math.abs(digit.vector) * (digit.size - 1), size * 0),
    );
    const most = vectors.reduce((sum, one) => sum + one, 0);
    for (const { hemisphere, slice } of slices) {
      for (let word = 0; word <= most; word++) words.add(wordKey(chip, hemisphere, slice, address + word));
    }
  };
  for (const { constant } of program.graph.tensors) if (constant?.kind === "placed") constant.placements.forEach(add);
  return words;
}

/** Words that a read of the chip takes. */
function readWords(program: Program): ReadonlySet<string> {
  const words = new Set<string>();
  for (const { chip, unit, ins } of spotsOf(program, ["read"])) {
    if (unit.kind !== "memRead" || ins.op !== "read") continue;
    for (let i = 0; i < ins.count; i++) {
      words.add(wordKey(chip, unit.hemisphere, unit.slice, ins.address + i * ins.stride));
    }
  }
  return words;
}

/** Flips a bit of image that is no constant's: tables of ones, selections, second copies. */
function flipImage(program: Program, random: Random): Program | undefined {
  const defining = definingWords(program);
  const read = readWords(program);
  const { lanes } = program.target;
  const free = program.chips.flatMap((chip, c) =>
    chip.images.flatMap((image, i) =>
      Array.from({ length: image.byteLength / lanes }, (_, word) => word).flatMap((word) => {
        const key = wordKey(c, image.hemisphere, image.slice, image.address + word);
        return read.has(key) && !defining.has(key) ? [{ c, i, word }] : [];
      }),
    ),
  );
  const chosen = pick(random, free);
  if (chosen === undefined) return undefined;
  const from = chosen.word * lanes;
  const number = random(lanes);
  return editChip(program, chosen.c, (chip) => ({
    ...chip,
    images: chip.images.map((image, i) =>
      i === chosen.i ? { ...image, read: () => flipped(image.read(), from, from + lanes, number) } : image,
    ),
  }));
}

/** Changes one of the bytes [from, until) that are not 0; those that are mostly pad. */
function flipped(bytes: Uint8Array, from: number, until: number, number: number): Uint8Array {
  const copy = bytes.slice();
  const used = Array.from({ length: until - from }, (_, i) => from + i).filter((at) => (copy[at] ?? 0) !== 0);
  const at = used[number % Math.max(1, used.length)] ?? from + number;
  copy[at] = (copy[at] ?? 0) ^ 0x41;
  return copy;
}

export const images: readonly Mutation[] = [
  onProgram("image byte changes", ["operand", "completeness"], flipImage),
  onProgram("drop an image", ["operand", "completeness"], (program, random) => editImage(program, random, () => [])),
  onClaim(
    "a second place of a constant that holds something else",
    ["operand", "range", "completeness"],
    (program, random) => {
      const { tensors } = program.graph;
      const placed = tensors.flatMap(({ constant }, i) => (constant?.kind === "placed" ? [i] : []));
      const index = pick(random, placed);
      const constant = tensors[index ?? -1]?.constant;
      const copy = constant?.kind === "placed" ? pick(random, constant.placements) : undefined;
      if (constant?.kind !== "placed" || copy === undefined) return undefined;
      const placements = [
        ...constant.placements,
        { ...copy, slices: [...copy.slices].reverse(), address: copy.address + 1 },
      ];
      const changed = tensors.map((one, i) => (i === index ? { ...one, constant: { ...constant, placements } } : one));
      return { ...program, graph: { ...program.graph, tensors: changed } };
    },
  ),
  onProgram("an image twice", ["capacity"], (program, random) => editImage(program, random, (image) => [image, image])),
  onProgram("an image outside its slice", ["capacity"], (program, random) =>
    editImage(program, random, (image) => [{ ...image, address: 2 ** 20 }]),
  ),
  onProgram("an image that nothing claims", ["capacity"], (program, random) => {
    const { lanes } = program.target;
    const claimed = new Set(program.symbols.flatMap(({ slices }) => slices.map(({ slice }) => slice)));
    const slice = Array.from({ length: program.target.mem.slicesPerHemisphere }, (_, i) => i).find(
      (i) => !claimed.has(i),
    );
    const address = program.target.mem.wordsPerBank - 1;
    const hemisphere = random(2) === 0 ? "W" : "E";
    const image = {
      hemisphere,
      slice: slice ?? 0,
      address,
      byteLength: lanes,
      read: () => new Uint8Array(lanes),
    } as const;
    return editChip(program, 0, (chip) => ({ ...chip, images: [...chip.images, image] }));
  }),
];

type Node = Program["graph"]["nodes"][number];

function editNode(
  program: Program,
  random: Random,
  edit: (node: Node) => readonly Node[] | undefined,
): Program | undefined {
  const { nodes } = program.graph;
  for (let attempt = 0; attempt < 40; attempt++) {
    const index = random(nodes.length);
    const node = nodes[index];
    const changed = node === undefined ? undefined : edit(node);
    if (changed !== undefined) {
      return {
        ...program,
        graph: { ...program.graph, nodes: nodes.flatMap((one, i) => (i === index ? changed : [one])) },
      };
    }
  }
  return undefined;
}

export const graphs: readonly Mutation[] = [
  onClaim("the graph computes something else", ["operand"], (program, random) =>
    editNode(program, random, (node) => {
      const others = {
        add: "sub",
        sub: "mul",
        mul: "add",
        max: "min",
        exp2: "tanh",
        rsqrt: "exp2",
        tanh: "exp2",
      } as const;
      const op = others[node.op as keyof typeof others];
      return op === undefined ? undefined : [{ ...node, op }];
    }),
  ),
  onClaim("operands of the graph change places", ["operand"], (program, random) =>
    editNode(program, random, (node) =>
      (node.op === "sub" || node.op === "lt") && node.inputs[0] !== node.inputs[1]
        ? [{ ...node, inputs: [...node.inputs].reverse() }]
        : undefined,
    ),
  ),
  onClaim("a node is missing", ["completeness"], (program, random) => editNode(program, random, () => [])),
  onClaim("a node twice", ["completeness"], (program, random) => editNode(program, random, (node) => [node, node])),
  onClaim("a node of other shapes", ["completeness"], (program, random) =>
    editNode(program, random, (node) => {
      const [first = 0] = node.inputs;
      const other = program.graph.tensors.findIndex(
        ({ shape, constant }) => constant !== undefined && shape.length !== program.graph.tensors[first]?.shape.length,
      );
      return other < 0 || coreOps[node.op].group === "view"
        ? undefined
        : [{ ...node, inputs: [other, ...node.inputs.slice(1)] }];
    }),
  ),
  onClaim("a node nobody claims", ["completeness"], (program, random) => {
    const claimable = program.graph.nodes.filter(
      ({ op, origins }) => coreOps[op].group !== "view" && origins.length > 0,
    );
    const node = pick(random, claimable);
    if (node === undefined) return undefined;
    const notes = program.debug.notes.map((note) => ({
      ...note,
      origins: note.origins.filter((origin) => !node.origins.includes(origin)),
    }));
    return { ...program, debug: { ...program.debug, notes } };
  }),
];

/** Vectors, lanes, slices or words of a placement that are not where the bytes are. */
function misplace(placement: Placement, random: Random): Placement {
  const { slices } = placement;
  switch (random(4)) {
    case 0:
      return { ...placement, address: placement.address + 1 };
    case 1:
      return { ...placement, slices: [...slices.slice(1), ...slices.slice(0, 1)] };
    case 2:
      return {
        ...placement,
        digits: placement.digits.map((list) => list.map((one) => ({ ...one, lane: one.lane * 2 }))),
      };
    default:
      return { ...placement, origin: placement.origin.map((from, d) => (d === 0 ? from + 1 : from)) };
  }
}

export const bindings: readonly Mutation[] = [
  onClaim("omit all outputs", ["completeness"], (program) => ({
    ...program,
    bindings: program.bindings.filter(isInput),
  })),
  onClaim("omit an output", ["completeness"], (program, random) => {
    const gone = pick(random, program.bindings.filter(isOutput));
    return { ...program, bindings: program.bindings.filter((binding) => binding !== gone) };
  }),
  onClaim("omit an input", ["completeness"], (program, random) => {
    const gone = pick(random, program.bindings.filter(isInput));
    return gone === undefined
      ? undefined
      : { ...program, bindings: program.bindings.filter((binding) => binding !== gone) };
  }),
  onClaim("an output partly placed", ["completeness"], (program, random) =>
    editPlacement(program, random, isOutput, (placement) => {
      const d = placement.extent.findIndex((size) => size > 0);
      return d < 0
        ? undefined
        : { ...placement, extent: placement.extent.map((size, i) => (i === d ? size - 1 : size)) };
    }),
  ),
  onClaim("an output in two places", ["completeness"], (program, random) => {
    const binding = pick(random, program.bindings.filter(isOutput));
    return {
      ...program,
      bindings: program.bindings.map((one) =>
        one === binding ? { ...one, placements: [...one.placements, ...one.placements.slice(0, 1)] } : one,
      ),
    };
  }),
  onProgram("an output placed wrongly", ["operand", "range", "completeness"], (program, random) =>
    editPlacement(program, random, isOutput, (placement) => misplace(placement, random)),
  ),
  onProgram("an input placed wrongly", ["operand", "range", "completeness"], (program, random) =>
    editPlacement(program, random, isInput, (placement) => misplace(placement, random)),
  ),
  onProgram("an input not in one of its places", ["operand", "completeness"], (program, random) => {
    const binding = pick(
      random,
      program.bindings.filter(({ kind, placements }) => kind === "input" && placements.length > 0),
    );
    const gone = random(binding?.placements.length ?? 1);
    return {
      ...program,
      bindings: program.bindings.map((one) =>
        one === binding ? { ...one, placements: one.placements.filter((_, i) => i !== gone) } : one,
      ),
    };
  }),
  onClaim("an output of another shape", ["completeness"], (program, random) => {
    const binding = pick(random, program.bindings.filter(isOutput));
    return {
      ...program,
      bindings: program.bindings.map((one) => (one === binding ? { ...one, shape: [...one.shape, 1] } : one)),
    };
  }),
  onClaim("an output of another type", ["completeness"], (program, random) => {
    const binding = pick(random, program.bindings.filter(isOutput));
    return {
      ...program,
      bindings: program.bindings.map((one) =>
        one === binding ? { ...one, dtype: one.dtype === "float32" ? "int32" : "float32" } : one,
      ),
    };
  }),
  onClaim("an output bound to another tensor", ["completeness", "operand"], (program, random) => {
    const binding = pick(random, program.bindings.filter(isOutput));
    const shape = binding?.shape.join();
    const other = program.graph.nodes.findIndex(
      ({ output }) => output !== binding?.tensor && program.graph.tensors[output]?.shape.join() === shape,
    );
    const tensor = program.graph.nodes[other]?.output;
    return tensor === undefined
      ? undefined
      : { ...program, bindings: program.bindings.map((one) => (one === binding ? { ...one, tensor } : one)) };
  }),
  onClaim("a buffer that nothing writes", ["completeness"], (program, random) => {
    const [first] = program.symbols;
    if (first === undefined) return undefined;
    const symbol = {
      ...first,
      name: "idle",
      role: "output",
      words: 1,
      from: 2 ** 30,
      until: 2 ** 30 + 1 + random(5),
    } as const;
    return { ...program, symbols: [...program.symbols, symbol] };
  }),
];
