// A worker thread of a conformance run: runs the case folders it is sent, one at a time, and sends back what came of them.
import { parentPort, workerData } from "node:worker_threads";
import { type CaseOptions, runCase } from "./conformance.ts";

const options: CaseOptions = workerData;
parentPort?.on("message", (folder: string) => parentPort?.postMessage(runCase(folder, options)));
