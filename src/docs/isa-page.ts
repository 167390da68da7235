// docs/isa.md from the instruction table, the ALU operations and their encoding.
import { aluOpcodes, fieldLayouts, mnemonics, opcodes, smallValues } from "../../backends/encode/opcodes.ts";
import { type AluOp, aluOps, type FieldKind, isa, type UnitKind } from "../../ir/machine/isa.ts";
import { code, page, table } from "./markdown.ts";

const units: Readonly<Record<UnitKind, string>> = {
  memRead: "`MEM.W12.R`: reading port of a memory slice",
  memWrite: "`MEM.W12.W`: writing port of a memory slice",
  vxmAlu: "`VXM.A5`: one ALU of the vector unit",
  sxm: "`SXM.W0`: one lane unit of a hemisphere",
  mxmLoad: "`MXM2.L`: weight loading of a matrix plane",
  mxmActivate: "`MXM2.A`: activation input of a matrix plane",
  mxmAccumulate: "`MXM2.C`: accumulators of a matrix plane",
  linkSend: "`LINK3.S`: sending side of a port",
  linkReceive: "`LINK3.R`: receiving side of a port",
  control: "`CTL`: the chip itself",
};

const fieldKinds: Readonly<Record<FieldKind, readonly [meaning: string, encoding: string]>> = {
  word: ["word address in a slice, both banks", "varint"],
  stride: ["what is added for each repetition", "signed varint"],
  stream: ["first stream of an aligned group", "varint"],
  direction: ["the way a stream moves", "1 bit"],
  bytes: ["streams of a group", "2 bits"],
  count: ["a number of things", "varint"],
  lane: ["a lane", "varint"],
  flag: ["no or yes", "1 bit"],
  index: ["a row, accumulator entry or lane map", "varint"],
  mode: ["element type of the matrix unit", "2 bits"],
  format: ["how the bytes of an element lie on streams", "1 bit"],
  aluOp: ["a vector operation, see below", "1 byte"],
  operand: ["where an ALU takes a value", "tag byte, then numbers"],
  output: ["where an ALU puts its result", "tag byte, then a number"],
};

function instructionSection(name: (typeof mnemonics)[number]): string {
  const { unit, summary, fields } = isa[name];
  const rows = Object.entries(fields).map(([field, kind]) => [code(field), kind, fieldKinds[kind as FieldKind][0]]);
  const parts = [
    `### ${name}`,
    `Opcode ${opcodes[name]}. Unit ${units[unit]}.`,
    `${summary.charAt(0).toUpperCase()}${summary.slice(1)}${summary.endsWith(".") ? "" : "."}`,
  ];
  if (rows.length > 0) parts.push(table(["field", "kind", "meaning"], rows));
  const { small, wide } = fieldLayouts[name];
  const packed = small.map((field) => `${field.name} (bits ${field.shift}-${field.shift + field.bits - 1})`);
  const order = [
    ...(packed.length > 0 ? [`one byte with ${packed.join(", ")}`] : []),
    ...wide.map((field) => field.name),
  ];
  if (order.length > 0) parts.push(`Field bytes: ${order.join("; ")}.`);
  return parts.join("\n\n");
}

const encoding = `A queue is its unit, the number of its instructions, and the instructions in issue order. An instruction is

1. its opcode in one byte, with bit 7 set if it repeats;
2. the cycles between the queue's last issue and its first one, less one, as a signed varint (the NOPs between them);
3. if it repeats: \`count\` and \`period\`, varints;
4. its fields: the small ones packed into one byte, low bits first, then the others in the order of the table.

A varint has seven bits a byte, low ones first; a signed one counts 0, -1, 1, -2, ... Every number has one encoding only. The bytes of a
queue, rounded up to whole fetches (\`instructionFetchBytes\`), are what program text takes of SRAM. Notes and symbols of an instruction are
kept in other sections of the file: they are not executed.`;

const operands = `| text | operand |
| --- | --- |
| \`-\` | none |
| \`self\` | this ALU's previous result |
| \`E4:f32@2\` | the group at stream 4 going east, taken as float32, as it passed 2 cycles before issue |
| \`A5@1\` | the result ALU 5 produced 1 cycle before issue |
| \`#3f800000\` | the same 32 bits in all lanes |

An output is \`-\` (only other ALUs take it) or a stream group with its type, such as \`W0:f16\`.`;

export function isaPage(): string {
  const kinds = Object.entries(fieldKinds).map(([kind, [meaning, bits]]) => {
    const values = Object.hasOwn(smallValues, kind) ? smallValues[kind as keyof typeof smallValues].join(", ") : "";
    return [kind, meaning, bits, values];
  });
  const operations = (Object.keys(aluOps) as AluOp[]).map((name) => {
    const row = aluOps[name];
    return [
      code(name),
      String(aluOpcodes[name]),
      String(row.operands),
      row.type,
      row.latency,
      row.large ? "yes" : "",
      row.summary,
    ];
  });
  return page(
    "Instruction set",
    "The machine these instructions run on is described in [machine.md](machine.md). An instruction is a burst: it issues `count` times, " +
      "`period` cycles apart, and a field with a stride advances by it each time. In text it reads",
    "```\n1204: MEM.W12.R read address=17 stride=1 stream=E4 x128/1 ; @3 #5\n```",
    "issue cycle, unit, instruction, fields, `xCOUNT/PERIOD` if it repeats, then the buffer it belongs to (`@`) and the kernel (`#`). " +
      "A stream that has a direction field is written with it: `E4`.",
    "## Units",
    table(
      ["kind", "queue"],
      Object.entries(units).map(([kind, text]) => [code(kind), text]),
    ),
    "## Instructions",
    ...mnemonics.map(instructionSection),
    "## Field kinds",
    table(["kind", "meaning", "encoding", "values"], kinds),
    "## Vector operations",
    table(["operation", "number", "operands", "lanes", "latency", "large ALUs only", "result"], operations),
    "## ALU operands in text",
    operands,
    "## Encoding",
    encoding,
  );
}
