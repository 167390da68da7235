// What a model may be compiled in. `fp16` and `fp32`: the operands of matrix products. `int8` and `w8a16`: constant matrices become bytes in the
// graph before anything else sees it, and what multiplies them is quantised too (`int8`) or stays in fp16 (`w8a16`).

export const modelPrecisions = ["fp16", "fp32", "int8", "w8a16"] as const;
export type ModelPrecision = (typeof modelPrecisions)[number];
