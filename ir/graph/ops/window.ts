// Sliding windows over spatial dimensions, as convolutions and pools use them: sizes, paddings, and which elements a window sees.
import { type Attrs, int, ints, numberOf, optionalNumbers, string, stringOf } from "../attr.ts";
import { type Problem, problem } from "../op-row.ts";
import { shapeText, stridesOf } from "../shapes.ts";
import { countOf } from "../values.ts";

export const windowAttrs = {
  auto_pad: string("NOTSET"),
  kernel_shape: ints(),
  strides: ints(),
  dilations: ints(),
  pads: ints(),
} as const;

export const poolAttrs = { ...windowAttrs, ceil_mode: int(0) } as const;

export interface Windows {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Padding before each spatial dimension. */
  readonly before: readonly number[];
  /** Padding after it. */
  readonly after: readonly number[];
  readonly output: readonly number[];
}

/** Elements from the first to the last a window touches. */
const reach = (kernel: number, dilation: number): number => (kernel - 1) * dilation + 1;

function padsFor(mode: string, size: number, output: number, stride: number, span: number): readonly [number, number] {
  const total = Math.max(0, (output - 1) * stride + span - size);
  const small = Math.floor(total / 2);
  return mode === "SAME_UPPER" ? [small, total - small] : [total - small, small];
}

/** With ceil_mode a last window that would start in the padding after the data is dropped. */
function outputSize(size: number, before: number, after: number, span: number, stride: number, ceil: boolean): number {
  const room = (size + before + after - span) / stride;
  const count = (ceil ? Math.ceil(room) : Math.floor(room)) + 1;
  return ceil && (count - 1) * stride >= size + before ? count - 1 : count;
}

/** Elements of one window; every one of them is a term of each result. */
const MAX_TAPS = 2 ** 16;

export function windowsOf(spatial: readonly number[], kernel: readonly number[], attrs: Attrs): Windows | Problem {
  const rank = spatial.length;
  const ones = spatial.map(() => 1);
  const strides = optionalNumbers(attrs, "strides") ?? ones;
  const dilations = optionalNumbers(attrs, "dilations") ?? ones;
  const pads = optionalNumbers(attrs, "pads") ?? [...ones, ...ones].map(() => 0);
  const mode = stringOf(attrs, "auto_pad");
  if (!["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"].includes(mode)) return problem("attr", `auto_pad is "${mode}"`);
  if (kernel.length !== rank || strides.length !== rank || dilations.length !== rank || pads.length !== 2 * rank) {
    return problem("attr", `kernel_shape, strides, dilations and pads must fit ${rank} spatial dimensions`);
  }
  if (kernel.reduce((count, size) => count * size, 1) > MAX_TAPS) {
    return problem("unsupported", `a kernel of ${kernel.join(" x ")} elements`);
  }
  if (pads.some((size) => size < 0)) return problem("attr", `pads are [${pads.join()}], needed: 0 or more`);
  if ([...strides, ...dilations, ...kernel].some((n) => n < 1))
    return problem("attr", "a stride, dilation or kernel size is below 1");
  const ceil = attrs.ceil_mode !== undefined && numberOf(attrs, "ceil_mode") === 1;
  const rows = spatial.map((size, i) => {
    const [stride, span] = [strides[i] ?? 1, reach(kernel[i] ?? 1, dilations[i] ?? 1)];
    if (mode.startsWith("SAME")) {
      const output = Math.ceil(size / stride);
      return [...padsFor(mode, size, output, stride, span), output] as const;
    }
    const [before, after] = mode === "VALID" ? [0, 0] : [pads[i] ?? 0, pads[i + rank] ?? 0];
    return [before, after, outputSize(size, before, after, span, stride, ceil)] as const;
  });
  const output = rows.map(([, , count]) => count);
  if (output.some((count) => count < 0))
    return problem("shape", `the kernel is larger than the padded input ${shapeText(spatial)}`);
  return { kernel, strides, dilations, before: rows.map(([b]) => b), after: rows.map(([, a]) => a), output };
}

/**
 * Visits what window number `at` sees: the spatial position of each kernel element, or -1 in the padding. `padded` says whether the
 * element lies inside the padded input at all (with ceil_mode a window may stick out).
 */
export function visitWindow(
  windows: Windows,
  spatial: readonly number[],
  at: number,
  visit: (position: number, element: number, padded: boolean) => void,
): void {
  const outStrides = stridesOf(windows.output);
  const inStrides = stridesOf(spatial);
  const kernelStrides = stridesOf(windows.kernel);
  const total = countOf(windows.kernel);
  for (let element = 0; element < total; element++) {
    let [position, inside, padded] = [0, true, true];
    for (const [axis, size] of spatial.entries()) {
      const window = Math.floor(at / (outStrides[axis] ?? 1)) % (windows.output[axis] ?? 1);
      const offset = Math.floor(element / (kernelStrides[axis] ?? 1)) % (windows.kernel[axis] ?? 1);
      const place =
        window * (windows.strides[axis] ?? 1) + offset * (windows.dilations[axis] ?? 1) - (windows.before[axis] ?? 0);
      inside &&= place >= 0 && place < size;
      padded &&= place < size + (windows.after[axis] ?? 0);
      position += place * (inStrides[axis] ?? 1);
    }
    visit(inside ? position : -1, element, padded);
  }
}
