// docs/passes.md from the table of stages: what the compiler does, in the order it does it.
import type { PassName } from "../../passes/compile/pass-names.ts";
import { passText } from "../pipeline.ts";
import { code, page, table } from "./markdown.ts";

export interface StageRow {
  /** As --time-passes and `passes` of `compile --json` name it. */
  readonly name: PassName;
  readonly folders: readonly string[];
  readonly takes: string;
  readonly gives: string;
  readonly summary: string;
}

export const stageRows: readonly StageRow[] = [
  {
    name: "import",
    folders: ["src/onnx", "passes/fold"],
    takes: "a model file, sizes of its symbolic dimensions",
    gives: "a graph in ONNX form",
    summary:
      "Reads the file without copying weights, binds dimensions, inlines functions, unrolls control flow that is constant, brings every operator into its " +
      "newest form, computes what depends on constants and shapes only, drops what no output needs, and puts the rest into an order that depends on structure alone. " +
      "Everything unsupported is reported at once.",
  },
  {
    name: "legalise",
    folders: ["passes/legalise"],
    takes: "a graph in ONNX form, the precision",
    gives: "a core graph",
    summary:
      "Replaces every operator by core operations: views become index arithmetic, functions without an instruction become exp2, rsqrt, tanh and polynomials, " +
      "integers become 32 bits wide where their range allows, products of a few numbers with a long list of short columns (scores of one token over a cache) become sums, queries of one token that share keys the rows of one product. Precisions that quantise change the graph first. Ranges of tensors are remembered to choose the cheaper of equivalent forms.",
  },
  {
    name: "shard",
    folders: ["passes/shard"],
    takes: "a core graph, the number of chips that share a layer, what work and exchanges cost",
    gives: "the graph of every rank, exchanges",
    summary:
      "With tensor parallelism: finds the axis along which every operation is cut (heads, experts, hidden units, rows) so that work and exchanges together are cheapest, cuts weights, " +
      "and puts exchanges where a tensor is held in another way than it is wanted. Partial sums are added in the order of the ranks. All ranks run one graph on weights of their own. " +
      "The result is checked. Without it the graph stays as it is.",
  },
  {
    name: "blocks",
    folders: ["passes/blocks"],
    takes: "the graph of a rank",
    gives: "a chain of blocks",
    summary:
      "Finds the period with which a transformer repeats itself and cuts the graph there, and at exchanges. Blocks that are equal but for their weights are one class and are compiled once.",
  },
  {
    name: "lower",
    folders: ["passes/lower"],
    takes: "the first block of every class",
    gives: "kernels on virtual tensors with layouts",
    summary:
      "Chooses where each tensor's dimensions run (lanes or time) and turns core operations into kernels: streams of vectors from memory through the units and back.",
  },
  {
    name: "schedule",
    folders: ["passes/schedule"],
    takes: "the kernels of every class",
    gives: "bursts with issue cycles, streams and slices; cycles of every class",
    summary:
      "Places each task (a pass, a transposition, a step of an accumulation) as one rigid template against the reservations of queues, ports, banks, streams, matrix planes and accumulators: " +
      "of those whose operands are computed, the one that could start first. Several settings are " +
      "tried within a budget of placed bursts, and the shortest schedule is kept. Weights stand in a few outer columns of their own; where these do not hold them, all is scheduled once more with more columns for weights, or with weights everywhere. " +
      "A result goes to the columns of its kind, by the words that are still to be read there, and to others where these are full; where no bank has room, scheduling ends there and says what found none.",
  },
  {
    name: "partition",
    folders: ["passes/partition"],
    takes: "cycles and bytes of every block, the chips",
    gives: "the chip of every block",
    summary:
      "Splits the chain into contiguous stages: least bottleneck first, then least latency, within the memory of a chip. Costs are those of the schedule, not guesses.",
  },
  {
    name: "assemble",
    folders: ["passes/assemble", "passes/alloc"],
    takes: "all of the above, the topology",
    gives: "a program",
    summary:
      "Stamps block classes onto chips and cycles, schedules transfers and exchanges into link slots along shortest routes, gives everything a chip holds (weights, constants, state, activations, border tensors) its address in one allocation problem over the banks, checked before it is used, and writes images, bindings, " +
      "symbols and the certificate. With `--chips auto` this is tried with more chips until everything fits.",
  },
  {
    name: "encode",
    folders: ["backends/encode"],
    takes: "a program",
    gives: "the bytes of a .lpu file",
    summary: "Writes the sections one after the other; images are produced as they are written.",
  },
];

export function passesPage(): string {
  const sections = stageRows.flatMap(({ name, folders, takes, gives, summary }) => [
    `## ${name}`,
    `${folders.map(code).join(", ")}. Takes ${takes}; gives ${gives}.`,
    summary,
  ]);
  return page(
    "Passes",
    "What `lpuc compile` does, in this order. `--time-passes` says how long each stage took.",
    table(
      ["stage", "gives"],
      stageRows.map(({ name, gives }) => [code(name), gives]),
    ),
    ...sections,
    "## Pipelines as text",
    `\`--pipeline\` takes the passes in this order, separated by commas, each with its settings in braces: ${stageRows.map(({ name }) => code(passText(name))).join(", ")}. A pipeline may end early. ` +
      "`--stop-after PASS` ends it too. `--dump-ir PASS|all` writes what a pass made as `PROGRAM.ir/N.PASS.lpir`, N counting the passes as they ran; weights and images are left out.",
  );
}
