// `lpuc bisect`: the first tensor of a compiled model that leaves its reference, and the smallest model with inputs that shows it.
import { basename, join } from "node:path";
import { diagnostic } from "../../ir/diag/codes.ts";
import { fail, ok, type Result } from "../../ir/diag/diagnostic.ts";
import type { Graph } from "../../ir/graph/graph.ts";
import { bytesOf, type TensorValue, valueFromBytes } from "../../ir/graph/values.ts";
import {
  type Bisection,
  bisect,
  computedTensors,
  type Divergence,
  type Reproduction,
  referenceValues,
  type Values,
} from "../bisect.ts";
import { importFile } from "../compile-model.ts";
import { writeFileAtomic } from "../io.ts";
import { exportModel } from "../onnx/export.ts";
import { shapeAndType } from "../report/compare.ts";
import { fields, grouped, short } from "../report/table.ts";
import { givenInputs, modelInputs, type Tensors, toleranceOf, unknownInputs, valuesOf } from "./given-inputs.ts";
import { modelOptions } from "./model-options.ts";
import { isRuntimeType, runOnnxruntime } from "./onnxruntime.ts";
import { endStage, type Outcome, operand, optionValue, progress, type Session, stage, warn } from "./session.ts";
import { writeTensorAt } from "./tensors.ts";

const outputFolder = (session: Session): string =>
  optionValue(session, "reproductionDir") ??
  `${basename(operand(session, 0)).replace(/\.[^.]*$/, "") || "model"}.bisect`;

/** Inputs that the graph has and nobody gave. */
function missingInputs(graph: Graph, inputs: Tensors): Result<undefined> {
  const missing = graph.inputs.filter(({ name }) => !inputs.has(name));
  if (missing.length === 0) return ok(undefined);
  const help = `give them with -i ${missing[0]?.name}=@FILE.npy, or all inputs with --data-set DIR`;
  const names = missing.map(({ name }) => `'${name}'`).join(", ");
  return fail(diagnostic("LPU0004", `inputs are missing: ${names}`, { help }));
}

/** Every computed tensor by onnxruntime: from a model whose outputs they all are, kept beside the reproduction. */
async function runtimeValues(session: Session, graph: Graph, inputs: Tensors): Promise<Result<Values>> {
  const wanted = computedTensors(graph).filter((id) => isRuntimeType(graph.tensors[id]?.dtype ?? "bfloat16"));
  const names = new Map(wanted.map((id) => [`${graph.tensors[id]?.name}#${id}`, id]));
  const outputs = [...names].map(([name, tensor]) => ({
    name,
    tensor,
    dtype: graph.tensors[tensor]?.dtype ?? "float32",
  }));
  const path = join(outputFolder(session), "all-outputs.onnx");
  const written = writeFileAtomic(path, [exportModel({ ...graph, outputs })]);
  if (!written.ok) return written;
  const given = new Map([...inputs].filter(([name]) => graph.inputs.some((input) => input.name === name)));
  const found = await runOnnxruntime(path, given);
  if (!found.ok) return found;
  const values = new Map<Graph["outputs"][number]["tensor"], TensorValue>();
  for (const [name, id] of names) {
    const tensor = found.value.get(name);
    if (tensor !== undefined) values.set(id, valueFromBytes(tensor.dtype, tensor.shape, tensor.bytes));
  }
  for (const { name, tensor } of graph.inputs) {
    const value = inputs.get(name);
    if (value !== undefined) values.set(tensor, valueFromBytes(value.dtype, value.shape, value.bytes));
  }
  return ok(values);
}

/** model.onnx and test_data_set_0 in `folder`. */
function writeReproduction(folder: string, { graph, inputs, expected }: Reproduction): Result<unknown> {
  const model = writeFileAtomic(join(folder, "model.onnx"), [exportModel(graph)]);
  if (!model.ok) return model;
  const sets = [
    ["input", graph.inputs, inputs],
    ["output", graph.outputs, expected],
  ] as const;
  for (const [kind, ports, values] of sets) {
    for (const [i, { name }] of ports.entries()) {
      const value = values.get(name);
      if (value === undefined) continue;
      const tensor = { dtype: value.dtype, shape: value.shape, bytes: bytesOf(value) };
      const written = writeTensorAt(join(folder, "test_data_set_0", `${kind}_${i}.pb`), name, tensor);
      if (!written.ok) return written;
    }
  }
  return ok(undefined);
}

const finite = (value: number): number => (Number.isFinite(value) ? value : Number.MAX_VALUE);

function divergenceJson({ tensor, node, comparison, exposed }: Divergence): Readonly<Record<string, unknown>> {
  const { name, dtype, shape } = tensor;
  const { maxAbs, maxUlp, cosine, argmaxAgreement, scale } = comparison;
  const metrics = { maxAbs: finite(maxAbs), maxUlp: finite(maxUlp), cosine: finite(cosine), argmaxAgreement, scale };
  return { tensor: name, dtype, shape, op: node.op, nodes: node.origins, exposed, ...metrics };
}

function divergenceText(found: Divergence, tolerance: number): string {
  const { tensor, node, comparison, exposed } = found;
  const origins = node.origins.map(({ name, index, opType }) => `${index} '${name}' (${opType})`).join(", ");
  return fields([
    ["first tensor", `'${tensor.name}' ${shapeAndType(tensor)}`],
    ["made by", `node ${origins}`],
    ["max abs", `${short(comparison.maxAbs)}, allowed ${short(tolerance * Math.max(1, comparison.scale))}`],
    ["largest", short(comparison.scale)],
    ["max ULP", grouped(comparison.maxUlp)],
    ["cosine", String(Number(comparison.cosine.toPrecision(6)))],
    ...(exposed ? [] : [["note", "it shows only while the tensors before it are not looked at"] as const]),
  ]);
}

/** What to type to see it again. */
function commandOf(session: Session, folder: string, precision: string, tolerance: number): string {
  const set = join(folder, "test_data_set_0");
  const target = optionValue(session, "target");
  const more = target === undefined ? "" : ` --target ${target}`;
  return `lpuc run ${join(folder, "model.onnx")} --data-set ${set} --against ${set} --precision ${precision} --tolerance ${tolerance}${more}`;
}

export async function bisectCommand(session: Session): Promise<Result<Outcome>> {
  const path = operand(session, 0);
  const options = modelOptions(session);
  const names = modelInputs(path);
  if (!options.ok) return options;
  if (!names.ok) return names;
  const { precision, dims, shapes } = options.value;
  const tolerance = toleranceOf(session, precision);
  const inputs = givenInputs(session, names.value);
  if (!tolerance.ok) return tolerance;
  if (!inputs.ok) return inputs;
  const unknown = unknownInputs(names.value, inputs.value);
  if (unknown.length > 0) return fail(...unknown);
  stage(session, "import");
  const imported = importFile(path, { dims, shapes, values: valuesOf(inputs.value) });
  if (!imported.ok) return imported;
  warn(session, imported.value.warnings);
  const { graph } = imported.value;
  const complete = missingInputs(graph, inputs.value);
  if (!complete.ok) return complete;
  stage(session, "reference");
  const reference =
    optionValue(session, "reference") === "ort"
      ? await runtimeValues(session, graph, inputs.value)
      : ok(referenceValues(graph, valuesOf(inputs.value)));
  if (!reference.ok) return reference;
  stage(session, "bisect");
  const settings = { compile: options.value, tolerance: tolerance.value };
  const found = bisect(graph, reference.value, { ...settings, progress: (text) => progress(session, text) });
  endStage(session);
  return found.ok ? outcome(session, found.value, precision, tolerance.value) : found;
}

function outcome(session: Session, found: Bisection, precision: string, tolerance: number): Result<Outcome> {
  const folder = outputFolder(session);
  const { first, reproduction, compared } = found;
  const common = { model: operand(session, 0), precision, tolerance, compared };
  const reference = optionValue(session, "reference") ?? "graph";
  if (first === undefined) {
    const text = `all ${grouped(compared)} tensors agree within ${short(tolerance)}\n`;
    return ok({ json: { ...common, reference, first: null, reproduction: null }, text });
  }
  if (reproduction !== undefined) {
    const written = writeReproduction(folder, reproduction);
    if (!written.ok) return written;
  }
  const command = commandOf(session, folder, precision, tolerance);
  const nodes = reproduction?.graph.nodes.length ?? 0;
  const parts = [
    divergenceText(first, tolerance),
    reproduction === undefined
      ? "no part of the model shows it alone"
      : `${folder}: ${nodes} node${nodes === 1 ? "" : "s"} and their inputs show it alone:\n  ${command}`,
  ];
  return ok({
    json: {
      ...common,
      reference,
      first: divergenceJson(first),
      reproduction: reproduction === undefined ? null : { folder, nodes, command },
    },
    text: `${parts.join("\n\n")}\n`,
    problems: [diagnostic("LPU6003", `tensor '${first.tensor.name}' is the first to leave the tolerance`)],
  });
}
