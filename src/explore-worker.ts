// A worker thread of an exploration: compiles the points it is sent, one at a time, and sends back their figures.
import { parentPort, workerData } from "node:worker_threads";
import { type PointOptions, runPoint } from "./explore.ts";

const path: string = workerData;
parentPort?.on("message", (options: PointOptions) => parentPort?.postMessage(runPoint(path, options)));
