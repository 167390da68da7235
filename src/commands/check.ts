// `lpuc check`: everything that is wrong with a model at once, and what it needs; nothing is scheduled.
import { ok, type Result } from "../../ir/diag/diagnostic.ts";
import type { Graph } from "../../ir/graph/graph.ts";
import { legalise } from "../../passes/legalise/legalise.ts";
import { importFile } from "../compile-model.ts";
import { operatorCounts, requirementsOf } from "../report/requirements.ts";
import { bytes, columns, fields, grouped } from "../report/table.ts";
import { modelOptions } from "./model-options.ts";
import { observerOf, stoppedOutcome } from "./pipeline-options.ts";
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
  const observer = observerOf(session, "legalise");
  if (!options.ok || !observer.ok) {
    return { ok: false, diagnostics: [options, observer].flatMap((part) => (part.ok ? [] : part.diagnostics)) };
  }
  const { onMade } = observer.value.options;
  const path = operand(session, 0);
  stage(session, "import");
  const imported = importFile(path, options.value);
  if (!imported.ok) return imported;
  const { graph, producer, opsets, warnings } = imported.value;
  warn(session, warnings);
  const { target, precision } = options.value;
  if (onMade?.({ pass: "import", graph }) === false) return stoppedOutcome(session, observer.value);
  stage(session, "legalise");
  const core = legalise(graph, { precision, allowNarrowing: isSet(session, "allowNarrowing") });
  endStage(session);
  if (!core.ok) return core;
  onMade?.({ pass: "legalise", graph: core.value });
  const { problems, dumps } = observer.value;
  if (problems.length > 0) return { ok: false, diagnostics: problems };
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
      dumps,
    },
    text: `${[summary, table, "every operator is supported", ...(dumps.length === 0 ? [] : [dumps.join("\n")])].join("\n\n")}\n`,
  });
}
