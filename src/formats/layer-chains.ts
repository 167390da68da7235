// Reads layer chains as JSON: one object, or an object of such objects by name, with `weights_us` (time of each layer)
// and `param_bytes` (its bytes), in order. Pure: from a parsed JSON value to chains or to the list of all that is wrong.
// Must not know files, streams or the solver.
import { type Fault, isRecord, list, nonNegative, type Reading } from "./json-value.ts";

export type LayerChain = {
  readonly name: string;
  readonly times: readonly number[];
  readonly bytes: readonly number[];
};

export function readLayerChains(value: unknown): Reading<readonly LayerChain[]> {
  const faults: Fault[] = [];
  if (!isRecord(value) || Object.keys(value).length === 0) {
    const message = "expected a placement graph (nodes, edges, maxFPGAs) or layer chains (weights_us, param_bytes)";
    return { ok: false, faults: [{ path: "", message }] };
  }
  const chains =
    "weights_us" in value || "param_bytes" in value
      ? [readChain("chain", value, "", faults)]
      : Object.entries(value).map(([name, chain]) => readChain(name, chain, name, faults));
  return faults.length > 0 ? { ok: false, faults } : { ok: true, value: chains };
}

function readChain(name: string, value: unknown, path: string, faults: Fault[]): LayerChain {
  if (!isRecord(value)) {
    faults.push({ path, message: "expected an object with weights_us and param_bytes" });
    return { name, times: [], bytes: [] };
  }
  const numbers = (field: "weights_us" | "param_bytes") => {
    const where = path === "" ? field : `${path}.${field}`;
    return list(value[field], where, faults).map((item, i) => nonNegative(item, `${where}[${i}]`, faults));
  };
  const times = numbers("weights_us");
  const bytes = value.param_bytes === undefined ? times.map(() => 0) : numbers("param_bytes");
  if (times.length === 0 && faults.length === 0) faults.push({ path, message: "the chain has no layers" });
  if (times.length !== bytes.length)
    faults.push({ path, message: `${times.length} entries in weights_us, ${bytes.length} in param_bytes` });
  if (value.n !== undefined && value.n !== times.length)
    faults.push({ path, message: `n is ${String(value.n)}, weights_us has ${times.length} entries` });
  return { name, times, bytes };
}
