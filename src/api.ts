// What programs that use lpuc as a library may import. Everything else may change at any time.
export type { InvariantReport, VerifyReport, Violation } from "../backends/check/report.ts";
export { verifyProgram } from "../backends/check/verify.ts";
export { decodeProgram } from "../backends/encode/decode.ts";
export { encodedBytes, encodeProgram } from "../backends/encode/encode.ts";
export { parseProgramText } from "../backends/encode/text-parse.ts";
export { programLines } from "../backends/encode/text-print.ts";
export { describeFault, type Fault } from "../backends/interp/fault.ts";
export type { HostTensor } from "../backends/interp/host.ts";
export { type InterpretOptions, type InterpretResult, interpret } from "../backends/interp/interpret.ts";
export type { Diagnostic, DiagnosticLocation, Result } from "../ir/diag/diagnostic.ts";
export type { Binding, Program } from "../ir/machine/program.ts";
export { parseTarget } from "../ir/target/schema.ts";
export type { Target, TopologySpec } from "../ir/target/target.ts";
export {
  type BankAllocator,
  type BankedBuffer,
  type CompiledModel,
  compileModel,
  type ModelOptions,
} from "./compile-model.ts";
export { renderDiagnostics } from "./render.ts";
export { type ProgramReport, programReport } from "./report/program-report.ts";
export { defaultTargetName, presetDocuments, presetNames, presetTarget } from "./targets/presets.ts";
