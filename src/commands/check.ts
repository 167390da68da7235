// `lpuc check`: everything that is wrong with a model at once, and what it needs; nothing is scheduled.
import { ok, type Result } from "../../ir/diag/diagnostic.ts";
import type { Graph } from "../../ir/graph/graph.ts";
import { legalise } from "../../passes/legalise/legalise.ts";
import { importFile } from "../compile-model.ts";
import { operatorCounts, requirementsOf } from "../report/requirements.ts";
import { bytes, columns, fields, grouped } from "../report/table.ts";
import { modelOptions } from "./model-options.ts";
import { endStage, isSet, type Outcome, operand, type Session, stage, warn } from "./session.ts";

const ports = (
  graph: Graph,
  list: Graph["inputs"],
): readonly { name: string; dtype: string; shape: readonly number[] }[] =>
  list.map(({ name, tensor, dtype }) => ({ name, dtype, shape: graph.tensors[tensor]?.shape ?? [] }));

const portText = (list: ReturnType<typeof ports>): string =>
  list.map(({ name, dtype, shape }) => `${name} ${dtype}[${shape.join("x")}]`).join(", ");

export function checkCommand(session: Session): Result<Outcome> {
  const options = modelOptions(session);
  if (!options.ok) return options;
  const path = operand(session, 0);
  stage(session, "import");
  const imported = importFile(path, options.value);
  if (!imported.ok) return imported;
  const { graph, producer, opsets, warnings } = imported.value;
  warn(session, warnings);
  const { target, precision } = options.value;
  stage(session, "legalise");
  const core = legalise(graph, { precision, allowNarrowing: isSet(session, "allowNarrowing") });
  endStage(session);
  if (!core.ok) return core;
  const needs = requirementsOf(core.value, target, precision);
  const operators = operatorCounts(graph);
  const [inputs, outputs] = [ports(graph, graph.inputs), ports(graph, graph.outputs)];
  const { weightBytesAtLeast, capacityBytesPerChip, chipsAtLeast, parameters } = needs;
  const summary = fields([
    ["model", `${graph.name}, written by ${producer === "" ? "an unnamed exporter" : producer}`],
    ["inputs", portText(inputs)],
    ["outputs", portText(outputs)],
    ["nodes", `${graph.nodes.length} after folding, ${core.value.nodes.length} core operations`],
    ["parameters", grouped(parameters)],
    [
      "weights",
      `at least ${bytes(weightBytesAtLeast)} in ${precision}; a chip of ${target.name} holds ${bytes(capacityBytesPerChip)}`,
    ],
    ["chips", `at least ${chipsAtLeast}, by weights alone`],
  ]);
  const table = columns(
    ["operator", "nodes"],
    operators.map(({ op, count }) => [op, `${count}`]),
    [1],
  );
  const opsetList = Object.fromEntries(opsets);
  return ok({
    json: {
      model: path,
      target: target.name,
      precision,
      supported: true,
      producer,
      opsets: opsetList,
      inputs,
      outputs,
      nodes: graph.nodes.length,
      coreNodes: core.value.nodes.length,
      operators,
      ...needs,
      warnings,
    },
    text: `${summary}\n\n${table}\n\nevery operator is supported\n`,
  });
}
