// `lpuc ops`: the operators lpuc knows, and whether each can become instructions or only folds away.
import { ok, type Result } from "../../ir/diag/diagnostic.ts";
import { onnxOps } from "../../ir/graph/onnx-ops.ts";
import type { OpSignature } from "../../ir/graph/op-row.ts";
import { lowerings } from "../../passes/legalise/lowerings.ts";
import { expansions } from "../onnx/expand/table.ts";
import { columns } from "../report/table.ts";
import type { Outcome } from "./session.ts";

export function opsCommand(): Result<Outcome> {
  const rows: Readonly<Record<string, OpSignature>> = { ...onnxOps, ...expansions };
  const names = Object.keys(rows).sort((a, b) => (a < b ? -1 : 1));
  const operators = names.flatMap((op) => {
    const row = rows[op];
    return row === undefined
      ? []
      : [{ op, compiles: Object.hasOwn(lowerings, op) || Object.hasOwn(expansions, op), summary: row.summary }];
  });
  const table = columns(
    ["operator", "", "meaning"],
    operators.map(({ op, compiles, summary }) => [op, compiles ? "" : "constants only", summary]),
  );
  const count = operators.filter(({ compiles }) => compiles).length;
  return ok({
    json: { operators },
    text: `${table}\n\n${count} operators compile to instructions; the other ${names.length - count} fold away where their inputs are constants\n`,
  });
}
