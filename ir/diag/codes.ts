// Every diagnostic code as one row: title, what `lpuc explain` says, exit code. 0xxx usage, 1xxx model, 2xxx support, 3xxx target,
// 4xxx capacity, 5xxx program file, 6xxx verification and comparison, 9xxx internal. A code keeps its meaning forever.
import type { Diagnostic, DiagnosticLocation } from "./diagnostic.ts";

export interface DiagnosticRow {
  readonly title: string;
  /** Whole sentences for people: what happened, why it is refused, what to do. */
  readonly explain: string;
  /** One line of what to do, where a diagnostic does not say better. */
  readonly help?: string;
  /** Exit code of a command that ends with it: 1 invalid, 2 usage, 3 unsupported, 4 does not fit, 5 failed check, 6 failed assert, 7 file, 70 bug. */
  readonly exit: 1 | 2 | 3 | 4 | 5 | 6 | 7 | 70;
}

export const diagnosticCodes = {
  LPU0001: {
    title: "unknown command or option",
    explain:
      "The command line has a command, option or argument that lpuc does not know, or lacks one that the command needs. `lpuc COMMAND --help` lists what there is.",
    exit: 2,
  },
  LPU0002: {
    title: "bad value of an option",
    explain: "The value of an option or argument does not have the form that its help text states.",
    exit: 2,
  },
  LPU0004: {
    title: "input or output named wrongly",
    explain:
      "An option names an input or output that the program does not have, an input was given twice or not at all, or its element type or shape is not the program's.",
    exit: 2,
  },
  LPU0005: {
    title: "optional package is not installed",
    explain:
      "`--against ort` compares with onnxruntime, which is used where it is installed: `npm install onnxruntime-node` beside lpuc. Nothing else needs it.",
    exit: 2,
  },
  LPU1001: {
    title: "file cannot be read",
    explain:
      "The file does not exist, is not a regular file, or the system refused to read it. The message holds the system's reason.",
    exit: 7,
  },
  LPU1002: {
    title: "file cannot be written",
    explain:
      "The system refused to write the file; nothing was left half written. The message holds the system's reason.",
    exit: 7,
  },
  LPU1010: {
    title: "not a valid ONNX file",
    explain:
      "The bytes are not a protobuf message of the ONNX schema: a field is cut off, is longer than the file, or has a wire type the schema never uses. The file was probably truncated, or is not an ONNX model at all.",
    help: "copy or export the file again; is it an ONNX model?",
    exit: 1,
  },
  LPU1011: {
    title: "messages nested too deeply",
    explain:
      "Graphs, functions or types of the file are nested deeper than any exporter writes. lpuc stops there rather than run out of stack.",
    exit: 1,
  },
  LPU1012: {
    title: "model has too many parts",
    explain:
      "The file lists more nodes, attributes or list elements than lpuc is willing to hold, or a text of absurd length. Weights do not count: they are read from their place in the file.",
    exit: 1,
  },
  LPU1013: {
    title: "unknown field in the model file",
    explain:
      "The file holds a field that this version's schema does not have. It is ignored, and reported because it may change what the model means.",
    exit: 1,
  },
  LPU1014: {
    title: "no graph in the model",
    explain:
      "The file decodes as a model without a graph or without outputs: there is nothing to compile. An empty file looks like this too.",
    help: "export the model again: this file holds nothing to compile",
    exit: 1,
  },
  LPU1015: {
    title: "part of the model that is not followed",
    explain:
      "The file holds device placements, sharding, quantisation annotations, training graphs or segments. They do not change what inference computes, so lpuc leaves them out; it places work on chips by itself.",
    exit: 1,
  },
  LPU1016: {
    title: "declared type differs from the computed one",
    explain:
      "The model declares an element type or shape for a tensor that its nodes do not give. lpuc goes by what the nodes compute; the declaration is probably left over from an earlier version of the graph.",
    exit: 1,
  },
  LPU1020: {
    title: "bad names in the graph",
    explain:
      "A tensor is produced twice, a node or input lacks the name it needs, or two functions share one name. Every tensor of an ONNX graph has one producer.",
    help: "rename the tensors so that each has one producer, or export the model again",
    exit: 1,
  },
  LPU1021: {
    title: "tensor without a producer",
    explain: "A node or graph output reads a tensor that no node, input or initialiser provides.",
    help: "export the model again: a node or an initialiser is missing",
    exit: 1,
  },
  LPU1022: {
    title: "graph has a cycle",
    explain: "Some nodes wait for each other's results, or a function calls itself. An ONNX graph is acyclic.",
    help: "export the model again: its nodes cannot be put into an order",
    exit: 1,
  },
  LPU1023: {
    title: "tensor contents do not fit its type and shape",
    explain:
      "An initialiser has more or fewer bytes than its shape and element type need, a negative or overflowing dimension, or its indices are outside its shape.",
    help: "export the model again: what is stored does not belong to this tensor",
    exit: 1,
  },
  LPU1024: {
    title: "external data outside the model's folder",
    explain:
      "External tensor data must lie in or below the folder of the model file. Absolute paths, `..` and links that lead elsewhere are refused, because a model file is not trusted to name files of the machine.",
    help: "put the data into the model's folder, and name it relative to that folder",
    exit: 1,
  },
  LPU1025: {
    title: "external data cannot be read",
    explain:
      "The file that holds a tensor's contents is missing or shorter than the tensor's offset and length say. Was only the .onnx file copied? With --shapes-only no weights are needed.",
    help: "copy the data files too, or plan without weights: --shapes-only",
    exit: 7,
  },
  LPU1026: {
    title: "bad opset import",
    explain: "The model does not say which version of an operator set a node uses, or names one domain twice.",
    help: "add an opset_import to the model for the operator set of this node",
    exit: 1,
  },
  LPU1030: {
    title: "graph text cannot be parsed",
    explain:
      "A line of a printed graph does not have the form that `--dump-ir` writes. Constants printed as elided<bytes> cannot be read back: print them in full.",
    exit: 1,
  },
  LPU1040: {
    title: "tensor file cannot be understood",
    explain:
      "The file given for an input, or a recorded output, is not a NumPy .npy or .npz file or an ONNX TensorProto (.pb) that lpuc can read. The message says what is wrong in it.",
    exit: 1,
  },
  LPU1041: {
    title: "problem file cannot be understood",
    explain:
      "The file given to `lpuc partition` or `lpuc alloc` is not in one of the interchange formats. The message names the place and what was expected there.",
    exit: 1,
  },
  LPU1042: {
    title: "tokenizer file cannot be understood",
    explain:
      "The file given with --tokenizer has none of the forms that lpuc reads: JSON with pieces and their scores, JSON with a vocabulary of single characters, or the binary form of llama2.c. The message says what is wrong in it.",
    exit: 1,
  },
  LPU1201: {
    title: "wrong number of inputs or outputs",
    explain:
      "The node has fewer or more inputs or outputs than its operator takes, or leaves out one that is required.",
    help: "compare the node's inputs and outputs with the operator's definition",
    exit: 1,
  },
  LPU1202: {
    title: "operator does not take this element type",
    explain:
      "An input of the node has an element type that the operator does not accept in any version, or types that must agree differ.",
    help: "cast the input in the model, or export it with another type",
    exit: 1,
  },
  LPU1203: {
    title: "shapes do not fit the operator",
    explain:
      "Ranks, sizes or axes contradict what the operator requires. The message names the shapes that were found; a --dim or --shape binding may be the cause.",
    help: "check --dim and --shape; else the exporter wrote shapes that do not fit",
    exit: 1,
  },
  LPU1204: {
    title: "bad attribute",
    explain:
      "An attribute is missing, has another type than the operator declares, a value outside its range, or a name the operator does not have.",
    help: "correct the attribute in the model, or export with another opset",
    exit: 1,
  },
  LPU2001: {
    title: "operator not supported",
    explain:
      "lpuc has no row for this operator. `lpuc ops` lists those it compiles. Operators of unknown domains need their definition as a model-local function.",
    help: "`lpuc ops` lists the operators there are; export with another opset, or the operator as a function",
    exit: 3,
  },
  LPU2002: {
    title: "opset version not supported",
    explain:
      "lpuc reads the default operator set from version 7 on. Convert the model with ONNX's version converter, or export it again.",
    exit: 3,
  },
  LPU2003: {
    title: "element type not supported",
    explain:
      "Texts, complex numbers, sequences, maps and optionals have no place in a machine of numeric streams; some operators take only some element types here.",
    help: "convert the tensor to a type of numbers before it enters the model",
    exit: 3,
  },
  LPU2004: {
    title: "dimensions without a size",
    explain:
      "The machine runs a schedule of fixed length, so every dimension needs a size before compiling. Bind symbolic dimensions with --dim NAME=SIZE, or whole inputs with --shape INPUT=1x128.",
    exit: 3,
  },
  LPU2005: {
    title: "control flow depends on data",
    explain:
      "An If, Loop or Scan whose condition or trip count is known only at run time cannot be scheduled: every cycle is fixed by the compiler. It is fine where the condition folds to a constant.",
    help: "make the condition or trip count a constant of the model",
    exit: 3,
  },
  LPU2006: {
    title: "shape or parameter depends on data",
    explain:
      "An input that determines a shape (or which elements are moved) is computed at run time. It must be a constant, or fold to one after all dimensions are bound.",
    help: "make the input a constant of the model, or bind the dimensions it comes from with --dim",
    exit: 3,
  },
  LPU2007: {
    title: "unknown dimension or input in an option",
    explain:
      "A --dim or --shape option names a dimension or input that the model does not have, or a shape that contradicts the model's.",
    exit: 2,
  },
  LPU2008: {
    title: "this form of the operator is not supported",
    explain:
      "The operator is supported, but not with this attribute, mode or number of dimensions. The message says which.",
    help: "simplify the model before exporting, or replace the node by others",
    exit: 3,
  },
  LPU2009: {
    title: "float64 needs permission to narrow",
    explain:
      "The machine computes in float32. A float64 model is compiled only with --allow-narrowing, because results lose half of their digits.",
    help: "add --allow-narrowing to compute in float32",
    exit: 3,
  },
  LPU2010: {
    title: "64-bit integer outside 32 bits",
    explain:
      "Integers are computed in 32 bits on the machine; a constant of the model does not fit. Sentinels such as the largest int64 are clamped where an operator clamps them.",
    help: "export the constant with values that fit 32 bits",
    exit: 3,
  },
  LPU2011: {
    title: "not a model that continues texts",
    explain:
      "lpuc generate runs models with one integer input of tokens, logits for each of them, and inputs whose names say that they are positions or a mask; caches come in and go out under the same name (past and present) in the same shape, and the position says where they are written. The message names the input or output that is none of these.",
    exit: 3,
  },
  LPU3001: {
    title: "unknown target",
    explain:
      "The name given with --target is neither a preset nor a file. `lpuc targets` lists the presets; a name with a slash, or one that ends in .json, is taken as a file.",
    exit: 2,
  },
  LPU3002: {
    title: "target file is not JSON",
    explain: "A target is one JSON document. The message holds what the JSON parser found.",
    exit: 2,
  },
  LPU3003: {
    title: "unknown field in a target",
    explain:
      "A target file may hold the fields of docs/machine.md only. A misspelt field would silently leave its number at a default, so it is refused.",
    exit: 2,
  },
  LPU3004: {
    title: "missing field in a target",
    explain:
      'Every number of the machine must be in the target file: there are no defaults in the code. To change a few numbers of a preset, start the file with "extends": "NAME".',
    exit: 2,
  },
  LPU3005: {
    title: "bad value in a target",
    explain:
      'The value has the wrong type or is outside the range the compiler can work with. A number may be written alone or as {"value": 44, "source": "where it comes from"}.',
    exit: 2,
  },
  LPU3006: {
    title: "target contradicts itself",
    explain:
      "Two numbers of the target do not fit each other, such as a tile that is wider than the vector. The message names both.",
    exit: 2,
  },
  LPU3007: {
    title: "target beyond this compiler",
    explain:
      "The target is consistent, but this compiler's schedules need more of it than it has, such as longer chains of vector operations. The message names the field and what is needed, or the kernel for which no schedule is found.",
    exit: 3,
  },
  LPU3010: {
    title: "chip count does not suit the topology",
    explain:
      "Some topologies exist for certain numbers of chips only: all-to-all needs a port for every other chip, torus2d needs two factors, dragonfly and switch end at the ports of the chips.",
    exit: 2,
  },
  LPU3011: {
    title: "unknown topology",
    explain:
      "A topology is one of chain, ring, all-to-all, dragonfly, switch, torus2d and edges (an explicit list in the target).",
    exit: 2,
  },
  LPU3012: {
    title: "bad edge list",
    explain:
      "With the topology `edges`, each edge joins two different chips of the system, every chip must be reachable from every other, and no chip may have more links than ports.",
    exit: 2,
  },
  LPU3020: {
    title: "unknown node",
    explain:
      "`--pin`, `--cut-after` or a placement file names a node that the model has not. Nodes go by their names in the ONNX file; `#12` is the node at place 12 of its list. Nodes that were folded into constants are not there any more.",
    exit: 2,
  },
  LPU3021: {
    title: "placement contradicts itself",
    explain:
      "Pins, cuts or the stages of a placement file cannot be had together, or name chips that are not there. Data flows from lower to higher chips, and what no cut parts is on one chip.",
    exit: 2,
  },
  LPU3022: {
    title: "placement file cannot be understood",
    explain:
      "A placement file is what `--emit-placement` writes: JSON with the number of chips and the stages in order, each with its chip and its last node. The message names the place and what was expected there.",
    exit: 1,
  },
  LPU4001: {
    title: "memory does not suffice",
    explain:
      "Weights, state, activations and program text need more memory than the chips have, in all or in some slices of one chip; or the results of a block that are still to be read fill every bank, which is seen while it is scheduled. The message lists the largest tensors and what would help, most effective first: more chips, int8 weights, shorter dimensions, tensor parallelism.",
    exit: 4,
  },
  LPU4002: {
    title: "model needs more chips",
    explain:
      "The model does not fit the chips asked for, but it fits a larger number of them, which the message names. It lists the largest tensors and what else would help, most effective first.",
    exit: 4,
  },
  LPU4003: {
    title: "no route",
    explain:
      "The links do not reach from where data is to where it is wanted. The result names the first pair that no path joins.",
    exit: 4,
  },
  LPU4004: {
    title: "layers cannot be shared",
    explain:
      "Tensor parallelism cuts the matrix products of a layer into equal shares: heads, hidden units, or rows. A dimension has to divide by the number of chips, or be a multiple of whole vectors. Take another --tensor-parallel, or pipeline stages.",
    exit: 3,
  },
  LPU4005: {
    title: "chips do not form groups",
    explain:
      "With --tensor-parallel N every pipeline stage takes N chips, so the number of chips has to be a multiple of N.",
    exit: 2,
  },
  LPU4006: {
    title: "allocator's answer is wrong",
    explain:
      "An allocator given to the compiler through the library must answer with one offset for each buffer, in their order, so that no two buffers that live at one time in one bank share an address. The message names what it broke. The compiler's own allocator is held to the same, as an invariant.",
    exit: 5,
  },
  LPU5001: {
    title: "not an lpuc program",
    explain: "The file does not start with the mark of a .lpu program. Was it written by `lpuc compile` or `lpuc asm`?",
    exit: 1,
  },
  LPU5002: {
    title: "program of another format version",
    explain:
      "The file is an lpuc program, but of a format this version of lpuc does not read. Compile the model again.",
    exit: 1,
  },
  LPU5003: {
    title: "program file is truncated or its section table is damaged",
    explain: "The sections the file announces do not fit its length. It was probably cut off while it was copied.",
    exit: 1,
  },
  LPU5004: {
    title: "checksum of a program section is wrong",
    explain: "The bytes of a section are not those that were written. Nothing in the file is trusted then.",
    exit: 1,
  },
  LPU5005: {
    title: "program section is malformed",
    explain:
      "A section's checksum is right, but its contents break the format. The message names the section, the offset and what is wrong there.",
    exit: 1,
  },
  LPU5010: {
    title: "program text cannot be parsed",
    explain:
      "A line of the text form of a program is not what `lpuc disasm` writes. The message says what was expected.",
    exit: 1,
  },
  LPU5011: {
    title: "unknown name in program text",
    explain:
      "A mnemonic, field, unit or section of the text form does not exist. docs/isa.md lists the mnemonics and their fields.",
    exit: 1,
  },
  LPU5012: {
    title: "program text is incomplete",
    explain: "The text form lacks a section that a program needs, or holds one twice.",
    exit: 1,
  },
  LPU6001: {
    title: "program breaks an invariant",
    explain:
      "The independent checker found that the program asks the machine for something it cannot do, or does not compute its graph. Programs that `lpuc compile` wrote pass; was the text form edited?",
    exit: 5,
  },
  LPU6002: {
    title: "execution fault",
    explain:
      "While it executed the program, the interpreter met something that the machine cannot do, or the program took another number of cycles than it states. `lpuc verify` says more about the cause.",
    exit: 5,
  },
  LPU6003: {
    title: "outputs differ",
    explain:
      "Outputs differ from those they were compared with by more than the tolerance (see --tolerance). Rounding differs between fp16 and fp32 programs: was the program compiled with the precision you meant?",
    exit: 5,
  },
  LPU6004: {
    title: "assertion failed",
    explain: "A figure of the compiled program is outside the bound that an --assert option states.",
    exit: 6,
  },
  LPU9001: {
    title: "bug in lpuc",
    explain:
      "lpuc broke one of its own rules; this is never the fault of your input. Run the command again with --debug, and report the printed stack together with the command and, if you can, the model.",
    exit: 70,
  },
} as const satisfies Readonly<Record<string, DiagnosticRow>>;

export type DiagnosticCode = keyof typeof diagnosticCodes;

export function isDiagnosticCode(code: string): code is DiagnosticCode {
  return Object.hasOwn(diagnosticCodes, code);
}

export interface DiagnosticDetails {
  readonly location?: DiagnosticLocation | undefined;
  readonly notes?: readonly string[] | undefined;
  readonly help?: string | undefined;
}

/** A diagnostic of a known code; absent details are left out. */
export function diagnostic(code: DiagnosticCode, message: string, details: DiagnosticDetails = {}): Diagnostic {
  const row: DiagnosticRow = diagnosticCodes[code];
  const help = details.help ?? row.help;
  return {
    code,
    message,
    ...(details.location === undefined ? {} : { location: details.location }),
    ...(details.notes === undefined ? {} : { notes: details.notes }),
    ...(help === undefined ? {} : { help }),
  };
}

/** Exit code of a command that ends with these diagnostics: the first one's; 70 for a code without a row. */
export function exitCodeOf(diagnostics: readonly Diagnostic[]): number {
  const first = diagnostics[0];
  if (first === undefined) return 0;
  return isDiagnosticCode(first.code) ? diagnosticCodes[first.code].exit : 70;
}
