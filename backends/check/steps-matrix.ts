// Matrix plane instructions in the data-flow proof. Protocol violations are told by the schedule checks; here only values matter.
import { complain, complainTorn, type Execution, type PlaneState, type Step, takePort } from "./execution.ts";
import { laneKinds, lanesOf, splittingOf } from "./lanes.ts";
import { putSplitting } from "./registers.ts";
import type { Site } from "./report.ts";
import { modeBytes, putOf, takesOf } from "./sites.ts";
import { accumulate, loadRow, multiplyTile, newTile, readActivation } from "./tile.ts";
import { newInts } from "./vectors.ts";

function planeOf(run: Execution, site: Site): PlaneState {
  const key = "plane" in site.unit ? `${site.chip} ${site.unit.plane}` : "";
  let state = run.planes.get(key);
  if (state === undefined) {
    state = { buffer: undefined, tile: undefined, spare: undefined, flying: new Map(), entries: new Map() };
    run.planes.set(key, state);
  }
  return state;
}

export function prepareLoad(run: Execution, site: Site): Step | undefined {
  const { ins, unit } = site;
  const { target } = run.program;
  const [port] = takesOf(target, unit, ins);
  if (ins.op !== "lw" || port === undefined) return undefined;
  const spec = target.mxm.modes[ins.mode];
  if (spec === undefined) return undefined;
  const plane = planeOf(run, site);
  const bytes = ins.format === "planar" ? modeBytes[ins.mode] : 1;
  const pack = ins.format === "packed" && ins.mode !== "int8" ? spec.tileK : 0;
  const lane = ins.format === "planar" ? ins.lane : 0;
  const rowsAtOnce = ins.streams / bytes;
  return (repetition, cycle) => {
    if (plane.buffer === undefined || (ins.clear && repetition === 0)) {
      plane.buffer = newTile(ins.mode, spec.tileN, spec.tileK, plane.spare);
      plane.spare = undefined;
    }
    const first = repetition * rowsAtOnce;
    const rows = Math.min(rowsAtOnce, ins.rows - first);
    const planes = takePort(run, site, port, cycle, rows * bytes);
    if (plane.buffer.mode !== ins.mode) return;
    for (let i = 0; i < rows; i++) {
      const group = planes.slice(i * bytes, (i + 1) * bytes);
      if (loadRow(plane.buffer, ins.row + first + i, group, lane, ins.k, pack)) complainTorn(run, site, cycle, lane);
    }
  };
}

export function prepareInstall(run: Execution, site: Site): Step | undefined {
  if (site.ins.op !== "iw") return undefined;
  const plane = planeOf(run, site);
  return () => {
    plane.spare = plane.tile;
    plane.tile = plane.buffer;
    plane.buffer = undefined;
  };
}

export function prepareActivate(run: Execution, site: Site): Step | undefined {
  const { ins, unit } = site;
  const { target } = run.program;
  const [port] = takesOf(target, unit, ins);
  if (ins.op !== "abc" || port === undefined) return undefined;
  const plane = planeOf(run, site);
  const latency = target.mxm.latency.abc;
  return (_repetition, cycle) => {
    const vector = readActivation(ins.mode, takePort(run, site, port, cycle), ins.lane, ins.k);
    if (vector.torn) complainTorn(run, site, cycle, ins.lane);
    if (plane.tile !== undefined) plane.flying.set(cycle + latency, multiplyTile(plane.tile, vector, target.lanes));
  };
}

export function prepareAccumulate(run: Execution, site: Site): Step | undefined {
  const { ins, unit, chip } = site;
  const { target } = run.program;
  if (ins.op !== "acc") return undefined;
  const put = putOf(target, unit, ins);
  const plane = planeOf(run, site);
  return (repetition, cycle) => {
    const flying = plane.flying.get(cycle);
    plane.flying.delete(cycle);
    const product = flying ?? lanesOf(newInts(target.lanes), laneKinds.unknown);
    const index = ins.entry + repetition * ins.stride;
    const before = ins.init ? undefined : plane.entries.get(index);
    const sum = before === undefined ? product : accumulate(before, product);
    plane.entries.set(index, sum);
    if (put === undefined) return;
    const splitting = splittingOf(sum, ins.mode === "int8" ? "i32" : "f32");
    putSplitting(run.registers, chip, put.direction, put.stream, cycle + put.delay, put.column, splitting);
    if (flying === undefined) complain(run, "operand", site, cycle, "emits a sum to which no activation contributed");
  };
}
