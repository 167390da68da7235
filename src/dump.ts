// What each pass made, as text for people: the contents of `--dump-ir` files. Pure.
import { printInstruction } from "../backends/encode/text-instruction.ts";
import { programLines } from "../backends/encode/text-print.ts";
import type { GraphNode } from "../ir/graph/graph.ts";
import { printGraph } from "../ir/graph/print.ts";
import type { CompiledBlocks, LoweredBlocks } from "../passes/assemble/classes.ts";
import type { BlockChain } from "../passes/blocks/blocks.ts";
import type { Kernel, Storage } from "../passes/lower/kernel.ts";
import { printChainProblem } from "../passes/partition/problem-text.ts";
import type { Buffer } from "../passes/schedule/state.ts";
import type { ShardedGraph } from "../passes/shard/sharded.ts";
import type { ModelMade } from "./compile-model.ts";

type MadeBy<P extends ModelMade["pass"]> = Extract<ModelMade, { readonly pass: P }>;

const tensors = (ids: readonly (number | null)[]): string => ids.map((id) => (id === null ? "_" : `%${id}`)).join(" ");

const nodeLine = (node: GraphNode): string =>
  `    node ${node.id} ${node.op} ${tensors(node.inputs)} -> ${tensors(node.outputs)}`;

const dims = (shape: readonly number[]): string => `[${shape.join(",")}]`;

function* shardLines({ ways, graph, phases, exchanges, pieces }: ShardedGraph): Generator<string> {
  yield `ranks ${ways}`;
  for (const [id, { tensor, dim }] of pieces) if (dim !== null) yield `piece %${id} of %${tensor} along ${dim}`;
  const last = Math.max(0, ...phases);
  for (let phase = 0; phase <= last; phase++) {
    const nodes = graph.nodes.filter((_, i) => phases[i] === phase);
    yield `phase ${phase}: nodes ${nodes.map(({ id }) => id).join(" ")}`;
    for (const { kind, moves } of exchanges.filter((exchange) => exchange.phase === phase)) {
      yield `exchange ${kind}`;
      for (const { source, target, from, to, sourceOrigin, targetOrigin, extent } of moves)
        yield `  ${from}:%${source}${dims(sourceOrigin)} -> ${to}:%${target}${dims(targetOrigin)} of ${dims(extent)}`;
    }
  }
  yield* printGraph(graph, { elide: true }).trimEnd().split("\n");
}

function* blockLines(chain: BlockChain): Generator<string> {
  const forms = new Map<string, number>();
  yield `chain blocks=${chain.blocks.length} layers=${chain.layers}`;
  for (const block of chain.blocks) {
    const known = forms.get(block.form);
    const form = known ?? forms.size;
    forms.set(block.form, form);
    yield `block ${block.index} ${block.layer === undefined ? "once" : `layer=${block.layer}`} form=${form}`;
    yield `  in ${tensors(block.inputs)}`;
    yield `  out ${tensors(block.outputs)}`;
    yield `  constants ${tensors(block.constants)}`;
    if (known === undefined) for (const node of block.nodes) yield nodeLine(node);
  }
}

function storageLine(storage: Storage): string {
  const { id, name, type, vectors, partVectors, replicated, content, boundary } = storage;
  const marks = [
    replicated ? "in both hemispheres" : "",
    content === undefined ? "" : `holds ${content.kind === "tensor" ? `constant %${content.tensor}` : content.kind}`,
    boundary === undefined ? "" : `border ${boundary.kind} %${boundary.tensor}`,
  ].filter((mark) => mark !== "");
  return `  storage ${id} ${JSON.stringify(name)} ${type} x${vectors} in parts of ${partVectors}${marks.map((mark) => `, ${mark}`).join("")}`;
}

function kernelText(kernel: Kernel): string {
  switch (kernel.kind) {
    case "vxm": {
      const vectors = kernel.passes.reduce((sum, pass) => sum + pass.count, 0);
      const ops = kernel.passes[0]?.ops.map(({ op }) => op).join("+") ?? "";
      return `${kernel.passes.length} passes, ${vectors} vectors, ${ops}`;
    }
    case "matmul": {
      const steps = kernel.groups.reduce((sum, group) => sum + group.steps.length, 0);
      const vectors = kernel.groups.reduce((sum, group) => sum + group.steps.length * group.count, 0);
      return `${kernel.mode}, ${kernel.groups.length} sums, ${steps} tiles, ${vectors} vectors`;
    }
    case "transpose":
    case "spread":
    case "permute":
    case "gather": {
      const vectors = kernel.jobs.reduce((sum, job) => sum + job.out.vectors.length, 0);
      return `${kernel.jobs.length} jobs, ${vectors} vectors`;
    }
  }
}

function* lowerLines(blocks: LoweredBlocks): Generator<string> {
  for (const [index, { first, lowered }] of blocks.classes.entries()) {
    yield `class ${index} from block ${first.index}, blocks ${blocks.classOf.flatMap((c, i) => (c === index ? [i] : [])).join(" ")}`;
    for (const storage of lowered.storages) yield storageLine(storage);
    for (const [number, kernel] of lowered.kernels.entries()) {
      yield `  kernel ${number} ${kernel.kind} ${JSON.stringify(kernel.name)} nodes ${kernel.origins.join(" ")}: ${kernelText(kernel)}`;
    }
  }
}

function bufferLine(buffer: Buffer): string {
  const { id, name, hemisphere, slices, bank, words, firstWrite, lastRead } = buffer;
  const isWritten = firstWrite <= lastRead;
  const life = buffer.content.kind === "tile" ? "tile" : `${isWritten ? `from ${firstWrite} ` : ""}until ${lastRead}`;
  return `  buffer ${id} ${JSON.stringify(name)} MEM.${hemisphere}${slices.join(",")} bank ${bank} x${words} ${life}`;
}

function* scheduleLines({ blocks, weights }: MadeBy<"schedule">): Generator<string> {
  yield `weights ${weights}`;
  for (const { index, cycles, schedule } of blocks.classes) {
    const { buffers, bursts } = schedule.state;
    yield `class ${index} cycles=${cycles} bursts=${bursts.length}`;
    for (const buffer of buffers) yield bufferLine(buffer);
    for (const { unit, instruction, buffer } of [...bursts].sort((a, b) => a.instruction.cycle - b.instruction.cycle)) {
      const remark = [buffer < 0 ? "" : (buffers[buffer]?.name ?? ""), schedule.notes[instruction.note]?.kernel ?? ""];
      yield `  ${printInstruction(unit, { ...instruction, symbol: buffer }, remark.filter((word) => word !== "").join(" "))}`;
    }
  }
}

function* partitionLines({ problem, chipOf }: MadeBy<"partition">): Generator<string> {
  yield printChainProblem(problem).trimEnd();
  for (const [layer, chip] of chipOf.entries()) yield `chip ${layer}=${chip}`;
}

/** Lines of the dump of what a pass made. Large constants and images are left out. */
export function dumpLines(made: ModelMade): Iterable<string> {
  switch (made.pass) {
    case "import":
    case "legalise":
      return printGraph(made.graph, { elide: true }).trimEnd().split("\n");
    case "shard":
      return shardLines(made.sharded);
    case "blocks":
      return blockLines(made.chain);
    case "lower":
      return lowerLines(made.blocks);
    case "schedule":
      return scheduleLines(made);
    case "partition":
      return partitionLines(made);
    case "assemble":
      return programLines({ ...made.program, chips: made.program.chips.map((chip) => ({ ...chip, images: [] })) });
  }
}

const cyclesOf = (blocks: CompiledBlocks): string => blocks.classes.map(({ cycles }) => cycles).join(", ");

/** One line about what a pass made. */
export function madeText(made: ModelMade): string {
  switch (made.pass) {
    case "import":
    case "legalise":
      return `${made.graph.nodes.length} nodes, ${made.graph.tensors.length} tensors`;
    case "shard":
      return made.sharded.ways === 1
        ? "as it was"
        : `${made.sharded.ways} ranks, ${made.sharded.exchanges.length} exchanges`;
    case "blocks":
      return `${made.chain.blocks.length} blocks, ${made.chain.layers} layers, ${new Set(made.chain.blocks.map(({ form }) => form)).size} forms`;
    case "lower":
      return `${made.blocks.classes.length} classes, ${made.blocks.classes.map(({ lowered }) => lowered.kernels.length).join(", ")} kernels`;
    case "schedule":
      return `${made.blocks.classes.length} classes, ${cyclesOf(made.blocks)} cycles, weights ${made.weights}`;
    case "partition":
      return `${new Set(made.chipOf).size} of ${made.problem.chips} chips have layers`;
    case "assemble":
      return `${made.program.latencyCycles} cycles`;
  }
}
