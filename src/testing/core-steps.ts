// What a drawn step adds to a core graph: one row for each kind of step, together every core operation. Must not know how steps are drawn.
import {
  addConstant,
  addNode,
  addScalar,
  asFloat,
  asInt,
  asWhole,
  type CoreBuilder,
  drawn,
  type Known,
  mostExact,
  within,
} from "./core-builder.ts";

/** Numbers that a step makes its choices by. */
export interface Step {
  readonly kind: StepKind;
  /** Which of the values so far, counted back from the last. */
  readonly x: number;
  readonly y: number;
  readonly choice: number;
  readonly size: number;
}

export interface Scene {
  readonly builder: CoreBuilder;
  /** What steps may read. */
  readonly values: readonly Known[];
  readonly precisions: readonly ("fp16" | "fp32" | "int8")[];
  /** Differs from layer to layer, so that their constants do. */
  readonly seed: number;
  /** Elements a tensor may have. */
  readonly mostElements: number;
}

const count = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);
const lastOf = <T>(list: readonly T[], back: number): T | undefined => list.at(-1 - (back % Math.max(1, list.length)));

function pick(scene: Scene, back: number): Known {
  const found = lastOf(scene.values, back);
  if (found === undefined) throw new RangeError("a graph begins with an input");
  return found;
}

function joint(a: readonly number[], b: readonly number[]): readonly number[] | undefined {
  if (a.length !== b.length) return undefined;
  const fits = a.every((size, i) => size === b[i] || size === 1 || b[i] === 1);
  return fits ? a.map((size, i) => Math.max(size, b[i] ?? 1)) : undefined;
}

/** Another value that meets `x`, or a constant of a shape that does. */
function partner(scene: Scene, step: Step, x: Known): Known {
  const fitting = scene.values.filter((value) => {
    const shape = joint(x.shape, value.shape);
    return shape !== undefined && count(shape) <= scene.mostElements;
  });
  if (step.choice % 3 !== 0 && fitting.length > 0) {
    const found = lastOf(fitting, step.y) ?? x;
    return x.dtype === "int32" ? asInt(scene.builder, found) : asFloat(scene.builder, found);
  }
  if (step.choice % 3 === 1) return addScalar(scene.builder, x, drawn(step.choice, step.size, 3));
  const shape = x.shape.map((size, i) => (((step.y >> i) & 1) === 1 ? 1 : size));
  return addConstant(scene.builder, x.dtype === "int32" ? "int32" : "float32", shape, 3, scene.seed + step.y);
}

type Build = (scene: Scene, step: Step) => Known | undefined;

const arithmetic: Build = (scene, step) => {
  const { builder } = scene;
  const x = pick(scene, step.x);
  const y = partner(scene, step, x);
  const isWhole = x.isWhole && y.isWhole;
  const sum = x.limit + y.limit;
  const rows = [
    ["add", sum],
    ["sub", sum],
    ["mul", x.limit * y.limit],
    ["min", Math.max(x.limit, y.limit)],
    ["max", Math.max(x.limit, y.limit)],
  ] as const;
  const [op, limit] = rows[step.size % rows.length] ?? rows[0];
  const result = addNode(builder, op, [x, y], { limit, isWhole: isWhole && limit <= mostExact });
  return result.dtype === "float32" ? within(builder, result, 4096) : result;
};

const integer: Build = (scene, step) => {
  const x = asInt(scene.builder, within(scene.builder, pick(scene, step.x), 1e6));
  const y = partner(scene, step, x);
  const ops = ["and", "or", "xor", "shl", "shr", "shru", "add", "mul", "sub"] as const;
  const op = ops[step.size % ops.length] ?? "and";
  return addNode(scene.builder, op, [x, y], { limit: 2 ** 31, isWhole: true });
};

const compare: Build = (scene, step) => {
  const x = pick(scene, step.x);
  const op = (["eq", "lt", "le"] as const)[step.size % 3] ?? "eq";
  return addNode(scene.builder, op, [x, partner(scene, step, x)], { limit: 1, isWhole: true });
};

const select: Build = (scene, step) => {
  const x = pick(scene, step.x);
  const y = partner(scene, step, x);
  const condition = addNode(scene.builder, "lt", [x, addScalar(scene.builder, x, step.size % 3)], {
    limit: 1,
    isWhole: true,
  });
  const meaning = { limit: Math.max(x.limit, y.limit), isWhole: x.isWhole && y.isWhole };
  return addNode(scene.builder, "select", [condition, x, y], meaning);
};

const curve: Build = (scene, step) => {
  const { builder } = scene;
  const x = asFloat(builder, pick(scene, step.x));
  switch (step.size % 4) {
    case 0:
      return addNode(builder, "exp2", [within(builder, x, 8)], { limit: 256, isWhole: false });
    case 1:
      return addNode(builder, "tanh", [x], { limit: 1, isWhole: false });
    case 2: {
      const positive = addNode(builder, "max", [x, addScalar(builder, x, 1)], x);
      return addNode(builder, "rsqrt", [positive], { limit: 2, isWhole: false });
    }
    default:
      return addNode(builder, "roundF16", [within(builder, x, 2048)], { limit: 2048, isWhole: x.isWhole });
  }
};

const cast: Build = (scene, step) => {
  const { builder } = scene;
  const x = pick(scene, step.x);
  if (x.dtype === "int32") return step.size % 2 === 0 ? asFloat(builder, x) : bytesAndBack(scene, step, x);
  const mode = step.size % 2 === 0 ? "rne" : "trunc";
  const rounded = addNode(builder, "toInt", [x], { limit: x.limit, isWhole: true }, { mode });
  if (step.choice % 2 === 0) return rounded;
  // From an integer, so that the sign of zero does not show.
  const float = addNode(builder, "toFloat", [rounded], { limit: x.limit, isWhole: true });
  return addNode(builder, "bitcast", [float], { limit: 2 ** 31, isWhole: true });
};

function bytesAndBack({ builder }: Scene, step: Step, x: Known): Known {
  const to = step.choice % 2 === 0 ? "int8" : "uint8";
  const bytes = addNode(builder, "toInt8", [x], { limit: to === "int8" ? 128 : 255, isWhole: true }, { to });
  return addNode(builder, "fromInt8", [bytes], { limit: bytes.limit, isWhole: true });
}

const product: Build = (scene, step) => {
  const { builder, precisions } = scene;
  const x = pick(scene, step.x);
  const [m, k] = [x.shape.at(-2), x.shape.at(-1)];
  const precision = precisions[step.choice % Math.max(1, precisions.length)];
  if (m === undefined || k === undefined || precision === undefined) return undefined;
  const isByte = precision === "int8";
  const n = 1 + (step.size % 40);
  const batch = x.shape.slice(0, -2);
  const byX = step.y % 3 === 0;
  if (count(batch) * m * Math.max(n, k, byX ? m : 1) > scene.mostElements) return undefined;
  const most = Math.floor(Math.sqrt(Math.min(mostExact / k, 2 ** 22)));
  const lhs = isByte ? asInt(builder, x) : asWhole(builder, x, Math.min(most, 2048));
  const perm = [...x.shape.keys()].map((axis) => (axis < batch.length ? axis : 2 * x.shape.length - 3 - axis));
  const rhs = byX
    ? addNode(builder, "transpose", [lhs], lhs, { perm })
    : addConstant(
        builder,
        isByte ? "int32" : "float32",
        [...batch.map((size, i) => (((step.y >> i) & 1) === 0 ? 1 : size)), k, n],
        3,
        scene.seed + step.size,
      );
  if (!isByte)
    return addNode(builder, "matmul", [lhs, rhs], { limit: k * lhs.limit * rhs.limit, isWhole: true }, { precision });
  // The matrix unit multiplies signed bytes.
  const narrow = (value: Known): Known =>
    addNode(builder, "toInt8", [value], { limit: 128, isWhole: true }, { to: "int8" });
  return addNode(builder, "matmul", [narrow(lhs), narrow(rhs)], { limit: k * 2 ** 15, isWhole: true }, { precision });
};

const reduce: Build = (scene, step) => {
  const { builder } = scene;
  const x = pick(scene, step.x);
  const chosen = [...x.shape.keys()].filter((axis) => ((step.y >> axis) & 1) === 1);
  const axes = chosen.length > 0 ? chosen : [x.shape.length - 1];
  const items = axes.reduce((product, axis) => product * (x.shape[axis] ?? 1), 1);
  switch (step.size % 4) {
    case 0: {
      const whole = x.dtype === "int32" ? x : asWhole(builder, x, Math.floor(Math.min(4096, mostExact / items)));
      return addNode(builder, "reduceSum", [whole], { limit: whole.limit * items, isWhole: true }, { axes });
    }
    case 1:
      return addNode(builder, "reduceMax", [x], x, { axes });
    case 2:
      return addNode(builder, "reduceMin", [x], x, { axes });
    default: {
      if (items > 20) return undefined;
      const small = x.dtype === "int32" ? x : asWhole(builder, x, 2);
      return addNode(builder, "reduceProd", [small], { limit: 2 ** items, isWhole: true }, { axes });
    }
  }
};

const reshape: Build = (scene, step) => {
  const x = pick(scene, step.x);
  const all = count(x.shape);
  const first = [1, 2, 3, 4, 5, 6, 8].filter((size) => all % size === 0);
  const rows = first[step.size % first.length] ?? 1;
  const shapes = [[all], [rows, all / rows], [all / rows, rows], [1, rows, all / rows], [rows, 1, all / rows]];
  return addNode(scene.builder, "reshape", [x], x, {}, shapes[step.choice % shapes.length] ?? [all]);
};

const transpose: Build = (scene, step) => {
  const x = pick(scene, step.x);
  const perm = [...x.shape.keys()];
  for (let i = perm.length - 1, rest = step.size; i > 0; i--) {
    const j = rest % (i + 1);
    rest = Math.floor(rest / (i + 1));
    [perm[i], perm[j]] = [perm[j] ?? 0, perm[i] ?? 0];
  }
  return addNode(scene.builder, "transpose", [x], x, { perm });
};

const expand: Build = (scene, step) => {
  const x = pick(scene, step.x);
  const shape = x.shape.map((size, i) =>
    size === 1 && i === step.size % x.shape.length ? 1 + (step.choice % 5) : size,
  );
  return count(shape) > scene.mostElements ? undefined : addNode(scene.builder, "expand", [x], x, {}, shape);
};

const slice: Build = (scene, step) => {
  const x = pick(scene, step.x);
  const axis = step.choice % x.shape.length;
  const size = x.shape[axis] ?? 1;
  const stride = 1 + (step.y % 3);
  const start = step.size % size;
  const isBack = step.x % 2 === 1;
  const room = isBack ? start + 1 : size - start;
  const kept = Math.ceil(room / stride);
  const starts = x.shape.map((_, i) => (i === axis ? start : 0));
  const steps = x.shape.map((_, i) => (i === axis ? (isBack ? -stride : stride) : 1));
  return addNode(scene.builder, "slice", [x], x, { starts, steps }, x.shape.with(axis, kept));
};

const concat: Build = (scene, step) => {
  const x = pick(scene, step.x);
  const axis = step.choice % x.shape.length;
  const fits = (value: Known): boolean =>
    value.dtype === x.dtype &&
    value.shape.length === x.shape.length &&
    value.shape.every((size, i) => i === axis || size === x.shape[i]);
  const y = lastOf(scene.values.filter(fits), step.y) ?? x;
  if (count(x.shape) + count(y.shape) > scene.mostElements) return undefined;
  const meaning = { limit: Math.max(x.limit, y.limit), isWhole: x.isWhole && y.isWhole };
  return addNode(scene.builder, "concat", [x, y], meaning, { axis });
};

const pad: Build = (scene, step) => {
  const x = pick(scene, step.x);
  const axis = step.choice % x.shape.length;
  const at = (n: number): number[] => x.shape.map((_, i) => (i === axis ? n : 0));
  const value = (step.size % 5) - 2;
  if (count(x.shape) * 3 > scene.mostElements) return undefined;
  const meaning = { limit: Math.max(x.limit, 2), isWhole: x.isWhole };
  return addNode(scene.builder, "pad", [x], meaning, { before: at(step.x % 3), after: at(step.y % 3), value });
};

const gather: Build = (scene, step) => {
  const { builder } = scene;
  const x = pick(scene, step.x);
  const axis = step.choice % x.shape.length;
  const size = x.shape[axis] ?? 1;
  const found = lastOf(
    scene.values.filter((value) => value.dtype === "int32" && count(value.shape) <= 8),
    step.y,
  );
  if (found === undefined || (count(x.shape) / size) * count(found.shape) > scene.mostElements) return undefined;
  const low = addNode(builder, "max", [found, addScalar(builder, found, 0)], found);
  const indices = addNode(builder, "min", [low, addScalar(builder, low, size - 1)], found);
  return addNode(builder, "gather", [x, indices], x, { axis });
};

const steps = {
  arithmetic,
  integer,
  compare,
  select,
  curve,
  cast,
  product,
  reduce,
  reshape,
  transpose,
  expand,
  slice,
  concat,
  pad,
  gather,
} as const satisfies Record<string, Build>;

export type StepKind = keyof typeof steps;
export const stepKinds: readonly StepKind[] = [
  "arithmetic",
  "product",
  "reduce",
  "curve",
  "select",
  "compare",
  "cast",
  "integer",
  "reshape",
  "transpose",
  "expand",
  "slice",
  "concat",
  "pad",
  "gather",
];

/** What the step gives; undefined where it does not fit the values there are. */
export function takeStep(scene: Scene, step: Step): Known | undefined {
  return steps[step.kind](scene, step);
}
