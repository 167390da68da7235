// `lpuc check`: everything that is wrong with a model at once, and what it needs; nothing is scheduled.
import type { Diagnostic } from "../../ir/diag/diagnostic.ts";
import { ok, type Result } from "../../ir/diag/diagnostic.ts";
import type { Graph } from "../../ir/graph/graph.ts";
import { canonicalOrder } from "../../passes/fold/order.ts";
import { legalise } from "../../passes/legalise/legalise.ts";
import { importFilePartly, type ModelOptions } from "../compile-model.ts";
import type { PartialImport } from "../onnx/import.ts";
import type { ModelProto } from "../onnx/model.ts";
import { dtypeOfElementType } from "../onnx/schema.ts";
import { groupedDiagnostics } from "../render.ts";
import {
  countsOf,
  type OperatorCount,
  operatorCounts,
  type Requirements,
  requirementsOf,
  type Weight,
  weightsOf,
} from "../report/requirements.ts";
import { bytes, columns, fields, grouped } from "../report/table.ts";
import { modelOptions } from "./model-options.ts";
import { observerOf, stoppedOutcome } from "./pipeline-options.ts";
import { endStage, isSet, type Outcome, operand, type Session, stage, warn } from "./session.ts";

interface Port {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
}

const ports = (graph: Graph, list: Graph["inputs"]): readonly Port[] =>
  list.map(({ name, tensor, dtype }) => ({ name, dtype, shape: graph.tensors[tensor]?.shape ?? [] }));

const portText = (list: readonly Port[]): string =>
  list.map(({ name, dtype, shape }) => `${name} ${dtype}[${shape.join("x")}]`).join(", ");

/** What was found of a model: whole where nothing is wrong with it, else as much as could be had. */
interface Findings {
  readonly problems: readonly Diagnostic[];
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  readonly nodes: number;
  readonly coreNodes: number | null;
  readonly operators: readonly OperatorCount[];
  readonly needs: Requirements;
}

/** Weights as the file stores them. */
const storedWeights = ({ graph }: ModelProto): readonly Weight[] =>
  graph.initializers.flatMap(({ dims, dataType }) => {
    const dtype = dtypeOfElementType(dataType);
    return dtype === undefined || dims.some((size) => !(size >= 0)) ? [] : [{ dtype, shape: dims }];
  });

/** Nodes that are wrong in their newest form: they were written in the version that the model imports. */
const withOpset = (problems: readonly Diagnostic[], { opsets }: ModelProto): readonly Diagnostic[] =>
  problems.map((item) => {
    const { location, message } = item;
    const domain = /^([\w.]+)\.\w+:/.exec(message)?.[1] ?? "";
    const opset = opsets.get(domain);
    return location?.kind !== "node" || opset === undefined ? item : { ...item, location: { ...location, opset } };
  });

function findingsOf(partial: PartialImport, core: Result<Graph>, options: ModelOptions): Findings {
  const { model, problems } = partial;
  const { target, precision } = options;
  if (problems.length === 0 && core.ok) {
    const { graph } = partial;
    return {
      problems,
      inputs: ports(graph, graph.inputs),
      outputs: ports(graph, graph.outputs),
      nodes: graph.nodes.length,
      coreNodes: core.value.nodes.length,
      operators: operatorCounts(graph),
      needs: requirementsOf(weightsOf(core.value), target, precision),
    };
  }
  const isOpen = problems.some(({ code }) => code === "LPU2004");
  return {
    problems: [...problems, ...(core.ok ? [] : withOpset(core.diagnostics, model))],
    inputs: isOpen ? [] : ports(partial.graph, partial.graph.inputs),
    outputs: isOpen ? [] : ports(partial.graph, partial.graph.outputs),
    nodes: model.graph.nodes.length,
    coreNodes: null,
    operators: countsOf(
      model.graph.nodes.map(({ domain, opType }) => (domain === "" ? opType : `${domain}.${opType}`)),
    ),
    needs: requirementsOf(storedWeights(model), target, precision),
  };
}

function summaryText(found: Findings, { graph, producer }: ModelProto, { target, precision }: ModelOptions): string {
  const { needs, nodes, coreNodes, inputs, outputs } = found;
  const { weightBytesAtLeast, capacityBytesPerChip, chipsAtLeast, parameters } = needs;
  return fields([
    ["model", `${graph.name}, written by ${producer === "" ? "an unnamed exporter" : producer}`],
    ...(inputs.length === 0 ? [] : [["inputs", portText(inputs)] as const]),
    ...(outputs.length === 0 ? [] : [["outputs", portText(outputs)] as const]),
    ["nodes", coreNodes === null ? `${nodes}` : `${nodes} after folding, ${coreNodes} core operations`],
    ["parameters", grouped(parameters)],
    [
      "weights",
      `at least ${bytes(weightBytesAtLeast)} in ${precision}; a chip of ${target.name} holds ${bytes(capacityBytesPerChip)}`,
    ],
    ["chips", `at least ${chipsAtLeast}, by weights alone`],
  ]);
}

function verdict(problems: readonly Diagnostic[]): string {
  if (problems.length === 0) return "every operator is supported";
  const causes = groupedDiagnostics(problems).length;
  const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? "" : "s"}`;
  return `${count(problems.length, "problem")}, ${count(causes, "cause")}`;
}

const causesJson = (problems: readonly Diagnostic[]) =>
  groupedDiagnostics(problems).map(({ first, items }) => ({
    code: first.code,
    message: first.message,
    count: items.length,
    nodes: items.flatMap(({ location }) => (location?.kind === "node" ? [location.index] : [])),
  }));

export function checkCommand(session: Session): Result<Outcome> {
  const options = modelOptions(session);
  const observer = observerOf(session, "legalise");
  if (!options.ok || !observer.ok) {
    return { ok: false, diagnostics: [options, observer].flatMap((part) => (part.ok ? [] : part.diagnostics)) };
  }
  const { onMade } = observer.value.options;
  const path = operand(session, 0);
  stage(session, "import");
  const imported = importFilePartly(path, options.value);
  if (!imported.ok) return imported;
  const { model, warnings } = imported.value;
  const isWhole = imported.value.problems.length === 0;
  const partial = isWhole ? { ...imported.value, graph: canonicalOrder(imported.value.graph) } : imported.value;
  warn(session, warnings);
  if (isWhole && onMade?.({ pass: "import", graph: partial.graph }) === false) {
    return stoppedOutcome(session, observer.value);
  }
  stage(session, "legalise");
  const { precision, target } = options.value;
  const core = legalise(partial.graph, {
    precision,
    lanes: target.lanes,
    allowNarrowing: isSet(session, "allowNarrowing"),
  });
  endStage(session);
  if (isWhole && core.ok) onMade?.({ pass: "legalise", graph: core.value });
  const { problems: failures, dumps } = observer.value;
  if (failures.length > 0) return { ok: false, diagnostics: failures };
  const found = findingsOf(partial, core, options.value);
  const { problems, inputs, outputs, nodes, coreNodes, operators, needs } = found;
  const table = columns(
    ["operator", "nodes"],
    operators.map(({ op, count }) => [op, `${count}`]),
    [1],
  );
  const summary = summaryText(found, model, options.value);
  const text = [summary, table, verdict(problems), ...(dumps.length === 0 ? [] : [dumps.join("\n")])];
  return ok({
    json: {
      model: path,
      target: target.name,
      precision,
      supported: problems.length === 0,
      causes: causesJson(problems),
      producer: model.producer,
      opsets: Object.fromEntries(model.opsets),
      inputs,
      outputs,
      nodes,
      coreNodes,
      operators,
      ...needs,
      warnings,
      dumps,
    },
    text: `${text.join("\n\n")}\n`,
    problems,
  });
}
