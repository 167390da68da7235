// Normalisations in core ops: means by sums times 1/n, inverse deviations by rsqrt.
import { numberOf } from "../../ir/graph/attr.ts";
import type { TensorId } from "../../ir/graph/graph.ts";
import { add, mul, sub } from "./arith.ts";
import { type CoreDraft, float, shapeOf } from "./core-draft.ts";
import { rsqrt } from "./divide.ts";
import { meanOver } from "./lower-reduce.ts";
import { axisOf, type Lowered, type LoweringTable, optionalInput, type Site, typeAt } from "./site.ts";
import { reshape } from "./views.ts";

export interface Normalised {
  readonly y: TensorId;
  readonly mean: TensorId;
  readonly inverseDeviation: TensorId;
}

/** (x - mean) / sqrt(variance + epsilon) over the axes. */
export function standardise(d: CoreDraft, x: TensorId, axes: readonly number[], epsilon: number): Normalised {
  const mean = meanOver(d, x, axes);
  const centred = sub(d, x, mean);
  const variance = meanOver(d, mul(d, centred, centred), axes);
  const inverseDeviation = rsqrt(d, add(d, variance, float(d, epsilon)));
  return { y: mul(d, centred, inverseDeviation), mean, inverseDeviation };
}

/** x / sqrt(mean of squares + epsilon) over the axes. */
export function rootMeanSquare(
  d: CoreDraft,
  x: TensorId,
  axes: readonly number[],
  epsilon: number,
): Omit<Normalised, "mean"> {
  const inverseDeviation = rsqrt(d, add(d, meanOver(d, mul(d, x, x), axes), float(d, epsilon)));
  return { y: mul(d, x, inverseDeviation), inverseDeviation };
}

export function scaled(d: CoreDraft, x: TensorId, scale: TensorId | undefined, bias: TensorId | undefined): TensorId {
  const product = scale === undefined ? x : mul(d, x, scale);
  return bias === undefined ? product : add(d, product, bias);
}

const axesFrom = (axis: number, rank: number): number[] =>
  Array.from({ length: rank - axis }, (_, index) => axis + index);

function normAxes(site: Site): readonly number[] {
  const rank = typeAt(site, 0).shape.length;
  return axesFrom(axisOf(numberOf(site.attrs, "axis"), rank), rank);
}

function layerNormalization(d: CoreDraft, site: Site): Lowered {
  const { y, mean, inverseDeviation } = standardise(d, site.input(0), normAxes(site), numberOf(site.attrs, "epsilon"));
  return [scaled(d, y, optionalInput(site, 1), optionalInput(site, 2)), mean, inverseDeviation];
}

function rmsNormalization(d: CoreDraft, site: Site): Lowered {
  const { y, inverseDeviation } = rootMeanSquare(d, site.input(0), normAxes(site), numberOf(site.attrs, "epsilon"));
  const result = scaled(d, y, optionalInput(site, 1), undefined);
  return site.outputs.length > 1 ? [result, inverseDeviation] : result;
}

/** One value a channel, beside x of shape [N, C, ...]. */
function perChannel(d: CoreDraft, value: TensorId, rank: number): TensorId {
  const [channels = 1] = shapeOf(d, value);
  return reshape(d, value, [1, channels, ...new Array<number>(Math.max(0, rank - 2)).fill(1)]);
}

function groupNormalization(d: CoreDraft, site: Site, groups: number): TensorId {
  const { shape } = typeAt(site, 0);
  const [n = 1, c = 1, ...rest] = shape;
  const grouped = reshape(d, site.input(0), [n, groups, c / groups, ...rest]);
  const axes = axesFrom(2, rest.length + 3);
  const { y } = standardise(d, grouped, axes, numberOf(site.attrs, "epsilon"));
  const scale = perChannel(d, site.input(1), shape.length);
  return scaled(d, reshape(d, y, shape), scale, perChannel(d, site.input(2), shape.length));
}

function batchNormalization(d: CoreDraft, site: Site): Lowered {
  const rank = typeAt(site, 0).shape.length;
  const channel = (index: number): TensorId => perChannel(d, site.input(index), rank);
  const epsilon = numberOf(site.attrs, "epsilon");
  if (numberOf(site.attrs, "training_mode") === 1) return trainedBatch(d, site, rank, epsilon);
  const factor = mul(d, channel(1), rsqrt(d, add(d, channel(4), float(d, epsilon))));
  const offset = sub(d, channel(2), mul(d, channel(3), factor));
  return scaled(d, site.input(0), factor, offset);
}

/** Statistics of this batch, and the running ones moved towards them. */
function trainedBatch(d: CoreDraft, site: Site, rank: number, epsilon: number): Lowered {
  const x = site.input(0);
  const axes = Array.from({ length: rank }, (_, dim) => dim).filter((dim) => dim !== 1);
  const mean = meanOver(d, x, axes);
  const centred = sub(d, x, mean);
  const variance = meanOver(d, mul(d, centred, centred), axes);
  const y = mul(d, centred, rsqrt(d, add(d, variance, float(d, epsilon))));
  const momentum = numberOf(site.attrs, "momentum");
  const moved = (running: TensorId, now: TensorId): TensorId =>
    add(d, mul(d, running, float(d, momentum)), mul(d, reshape(d, now, shapeOf(d, running)), float(d, 1 - momentum)));
  const result = scaled(d, y, perChannel(d, site.input(1), rank), perChannel(d, site.input(2), rank));
  return [result, moved(site.input(3), mean), moved(site.input(4), variance)];
}

/** Sum of the first inputs and a bias, normalised; the sum is the last output. */
function skipNormalization(d: CoreDraft, site: Site, simplified: boolean): Lowered {
  const x = site.input(0);
  const bias = optionalInput(site, simplified ? 3 : 4);
  const skip = site.input(1);
  const plain = add(
    d,
    x,
    shapeOf(d, skip).length === shapeOf(d, x).length ? skip : reshape(d, skip, [1, ...shapeOf(d, skip)]),
  );
  const sum = bias === undefined ? plain : add(d, plain, bias);
  const axes = [shapeOf(d, sum).length - 1];
  const epsilon = numberOf(site.attrs, "epsilon");
  const full = simplified ? undefined : standardise(d, sum, axes, epsilon);
  const normal = full ?? rootMeanSquare(d, sum, axes, epsilon);
  const y = scaled(d, normal.y, site.input(2), simplified ? undefined : optionalInput(site, 3));
  const mean = site.wanted[1] === true ? (full?.mean ?? null) : null;
  return [y, mean, site.wanted[2] === true ? normal.inverseDeviation : null, sum];
}

export const normLowerings: LoweringTable = {
  LayerNormalization: layerNormalization,
  RMSNormalization: rmsNormalization,
  SimplifiedLayerNormalization: rmsNormalization,
  GroupNormalization: (d, site) => groupNormalization(d, site, numberOf(site.attrs, "num_groups")),
  InstanceNormalization: (d, site) => groupNormalization(d, site, typeAt(site, 0).shape[1] ?? 1),
  BatchNormalization: batchNormalization,
  "com.microsoft.SkipLayerNormalization": (d, site) => skipNormalization(d, site, false),
  "com.microsoft.SkipSimplifiedLayerNormalization": (d, site) => skipNormalization(d, site, true),
};
