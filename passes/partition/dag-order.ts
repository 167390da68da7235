// Orders of all items that respect the model's order, from several simple rules. A pipeline cut along an order is a
// placement; different graphs like different rules. Must not know devices.
import { type Model, row } from "./dag-model.ts";

/** Orders worth cutting, the plainest first. */
export function candidateOrders(model: Model): readonly (readonly number[])[] {
  return [
    byIndex(model),
    depthFirst(model),
    backwards(model, depthFirst),
    narrowCut(model),
    backwards(model, narrowCut),
  ];
}

function byIndex(model: Model): readonly number[] {
  const lowest = model.nodes.map((nodes) =>
    nodes.reduce((least, node) => Math.min(least, node), Number.MAX_SAFE_INTEGER),
  );
  const waitsFor = Int32Array.from({ length: model.count }, (_, item) => row(model.predecessors, item).length);
  const heap: number[] = [];
  const isBefore = (a: number, b: number): boolean => (lowest[heap[a] ?? 0] ?? 0) < (lowest[heap[b] ?? 0] ?? 0);
  const swap = (a: number, b: number): void => {
    [heap[a], heap[b]] = [heap[b] ?? 0, heap[a] ?? 0];
  };
  const push = (item: number): void => {
    heap.push(item);
    for (let at = heap.length - 1; at > 0 && isBefore(at, (at - 1) >> 1); at = (at - 1) >> 1) swap(at, (at - 1) >> 1);
  };
  for (let item = 0; item < model.count; item++) if (waitsFor[item] === 0) push(item);
  const order: number[] = [];
  while (heap.length > 0) {
    swap(0, heap.length - 1);
    const item = heap.pop() ?? 0;
    for (let at = 0; ; ) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      const child = right < heap.length && isBefore(right, left) ? right : left;
      if (child >= heap.length || !isBefore(child, at)) break;
      swap(at, child);
      at = child;
    }
    order.push(item);
    for (const next of row(model.successors, item)) {
      const left = (waitsFor[next] ?? 0) - 1;
      waitsFor[next] = left;
      if (left === 0) push(next);
    }
  }
  return order;
}

/** What became ready last comes first. */
function depthFirst(model: Model): readonly number[] {
  return schedule(model, (ready) => ready.length - 1);
}

/** Ready items looked at in one step of `narrowCut`: the newest and the oldest ones. */
const NEWEST = 40;
const OLDEST = 8;

/** Keeps the cost of the nets that are open between done and not done items small. */
function narrowCut(model: Model): readonly number[] {
  const inside = new Int32Array(model.netCost.length);
  const growth = (item: number) => {
    let sum = 0;
    for (const net of row(model.itemNets, item)) {
      const size = (model.netItems.start[net + 1] ?? 0) - (model.netItems.start[net] ?? 0);
      if (inside[net] === 0) sum += model.netCost[net] ?? 0;
      if ((inside[net] ?? 0) + 1 === size) sum -= model.netCost[net] ?? 0;
    }
    return sum;
  };
  return schedule(model, (ready) => {
    let best = ready.length - 1;
    let least = growth(ready[best] ?? 0);
    for (let r = ready.length - 2; r >= 0; r--) {
      if (r >= OLDEST && r < ready.length - NEWEST) r = OLDEST - 1;
      const sum = growth(ready[r] ?? 0);
      if (sum < least) {
        least = sum;
        best = r;
      }
    }
    for (const net of row(model.itemNets, ready[best] ?? 0)) inside[net] = (inside[net] ?? 0) + 1;
    return best;
  });
}

/** A rule applied to the reversed graph, from the last item to the first. */
function backwards(model: Model, rule: (reversed: Model) => readonly number[]): readonly number[] {
  const reversed = { ...model, predecessors: model.successors, successors: model.predecessors };
  return [...rule(reversed)].reverse();
}

/** Repeats: `choose` names a place in the list of ready items, that item is done. The list keeps its order. */
function schedule(model: Model, choose: (ready: readonly number[]) => number): readonly number[] {
  const waitsFor = Int32Array.from({ length: model.count }, (_, item) => row(model.predecessors, item).length);
  const ready: number[] = [];
  for (let item = model.count - 1; item >= 0; item--) if (waitsFor[item] === 0) ready.push(item);
  const order: number[] = [];
  while (ready.length > 0) {
    const [item = 0] = ready.splice(choose(ready), 1);
    order.push(item);
    for (const next of row(model.successors, item)) {
      const left = (waitsFor[next] ?? 0) - 1;
      waitsFor[next] = left;
      if (left === 0) ready.push(next);
    }
  }
  return order;
}

/** The items stage after stage, inside a stage as in `order`. */
export function orderOfStages(order: readonly number[], stageOf: Int32Array): readonly number[] {
  const place = new Int32Array(order.length);
  order.forEach((item, i) => {
    place[item] = i;
  });
  return [...order].sort((a, b) => (stageOf[a] ?? 0) - (stageOf[b] ?? 0) || (place[a] ?? 0) - (place[b] ?? 0));
}
