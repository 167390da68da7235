// The generated pages of docs/. A page is text made from tables; nothing here touches files.
import { opsPage } from "../../ir/graph/docs.ts";
import { expansions } from "../onnx/expand/table.ts";
import { diagnosticsPage } from "./diagnostics-page.ts";
import { isaPage } from "./isa-page.ts";
import { manPage } from "./man-page.ts";
import { passesPage } from "./passes-page.ts";

export interface GeneratedPage {
  readonly file: string;
  readonly text: () => string;
}

export const generatedPages: readonly GeneratedPage[] = [
  { file: "docs/diagnostics.md", text: diagnosticsPage },
  { file: "docs/isa.md", text: isaPage },
  { file: "docs/lpuc.1", text: manPage },
  { file: "docs/ops.md", text: () => opsPage(expansions) },
  { file: "docs/passes.md", text: passesPage },
];
