// Every diagnostic code as one row: title, what `lpuc explain` says, exit code. 0xxx usage, 1xxx model, 2xxx support, 3xxx target,
// 4xxx capacity, 5xxx program file, 6xxx verification and comparison, 9xxx internal. A code keeps its meaning forever.
import type { Diagnostic, DiagnosticLocation } from "./diagnostic.ts";

export interface DiagnosticRow {
  readonly title: string;
  /** Whole sentences for people: what happened, why it is refused, what to do. */
  readonly explain: string;
  /** Exit code of a command that ends with it: 1 invalid, 2 usage, 3 unsupported, 4 does not fit, 5 failed check, 6 failed assert, 7 file, 70 bug. */
  readonly exit: 1 | 2 | 3 | 4 | 5 | 6 | 7 | 70;
}

export const diagnosticCodes = {
  LPU3001: {
    title: "unknown target",
    explain:
      "The name given with --target is neither a preset nor a file. `lpuc targets` lists the presets; a name with a slash, or one that ends in .json, is taken as a file.",
    exit: 2,
  },
  LPU3002: {
    title: "target file is not JSON",
    explain: "A target is one JSON document. The message holds what the JSON parser found.",
    exit: 2,
  },
  LPU3003: {
    title: "unknown field in a target",
    explain:
      "A target file may hold the fields of docs/machine.md only. A misspelt field would silently leave its number at a default, so it is refused.",
    exit: 2,
  },
  LPU3004: {
    title: "missing field in a target",
    explain:
      'Every number of the machine must be in the target file: there are no defaults in the code. To change a few numbers of a preset, start the file with "extends": "NAME".',
    exit: 2,
  },
  LPU3005: {
    title: "bad value in a target",
    explain:
      'The value has the wrong type or is outside the range the compiler can work with. A number may be written alone or as {"value": 44, "source": "where it comes from"}.',
    exit: 2,
  },
  LPU3006: {
    title: "target contradicts itself",
    explain:
      "Two numbers of the target do not fit each other, such as a tile that is wider than the vector. The message names both.",
    exit: 2,
  },
  LPU3010: {
    title: "chip count does not suit the topology",
    explain:
      "Some topologies exist for certain numbers of chips only: all-to-all needs a port for every other chip, torus2d needs two factors, dragonfly and switch end at the ports of the chips.",
    exit: 2,
  },
  LPU3011: {
    title: "unknown topology",
    explain:
      "A topology is one of chain, ring, all-to-all, dragonfly, switch, torus2d and edges (an explicit list in the target).",
    exit: 2,
  },
  LPU3012: {
    title: "bad edge list",
    explain:
      "With the topology `edges`, each edge joins two different chips of the system, every chip must be reachable from every other, and no chip may have more links than ports.",
    exit: 2,
  },
  LPU5001: {
    title: "not an lpuc program",
    explain: "The file does not start with the mark of a .lpu program. Was it written by `lpuc compile` or `lpuc asm`?",
    exit: 1,
  },
  LPU5002: {
    title: "program of another format version",
    explain:
      "The file is an lpuc program, but of a format this version of lpuc does not read. Compile the model again.",
    exit: 1,
  },
  LPU5003: {
    title: "program file is truncated or its section table is damaged",
    explain: "The sections the file announces do not fit its length. It was probably cut off while it was copied.",
    exit: 1,
  },
  LPU5004: {
    title: "checksum of a program section is wrong",
    explain: "The bytes of a section are not those that were written. Nothing in the file is trusted then.",
    exit: 1,
  },
  LPU5005: {
    title: "program section is malformed",
    explain:
      "A section's checksum is right, but its contents break the format. The message names the section, the offset and what is wrong there.",
    exit: 1,
  },
  LPU5010: {
    title: "program text cannot be parsed",
    explain:
      "A line of the text form of a program is not what `lpuc disasm` writes. The message says what was expected.",
    exit: 1,
  },
  LPU5011: {
    title: "unknown name in program text",
    explain:
      "A mnemonic, field, unit or section of the text form does not exist. docs/isa.md lists the mnemonics and their fields.",
    exit: 1,
  },
  LPU5012: {
    title: "program text is incomplete",
    explain: "The text form lacks a section that a program needs, or holds one twice.",
    exit: 1,
  },
} as const satisfies Readonly<Record<string, DiagnosticRow>>;

export type DiagnosticCode = keyof typeof diagnosticCodes;

export function isDiagnosticCode(code: string): code is DiagnosticCode {
  return Object.hasOwn(diagnosticCodes, code);
}

export interface DiagnosticDetails {
  readonly location?: DiagnosticLocation | undefined;
  readonly notes?: readonly string[] | undefined;
  readonly help?: string | undefined;
}

/** A diagnostic of a known code; absent details are left out. */
export function diagnostic(code: DiagnosticCode, message: string, details: DiagnosticDetails = {}): Diagnostic {
  return {
    code,
    message,
    ...(details.location === undefined ? {} : { location: details.location }),
    ...(details.notes === undefined ? {} : { notes: details.notes }),
    ...(details.help === undefined ? {} : { help: details.help }),
  };
}

/** Exit code of a command that ends with these diagnostics: the first one's; 70 for a code without a row. */
export function exitCodeOf(diagnostics: readonly Diagnostic[]): number {
  const first = diagnostics[0];
  if (first === undefined) return 0;
  return isDiagnosticCode(first.code) ? diagnosticCodes[first.code].exit : 70;
}
