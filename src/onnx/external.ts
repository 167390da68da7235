// External tensor files of a model: opened once each, only inside the model's folder.
import { dirname, isAbsolute, resolve, sep } from "node:path";
import { type OpenByteSource, openByteSource, realPath } from "../io.ts";
import type { ExternalFile } from "./tensor-data.ts";

export interface ExternalFolder {
  readonly open: (location: string) => ExternalFile;
  readonly close: () => void;
}

/** Whether `path` is `folder` or lies below it; both absolute. */
const isInside = (folder: string, path: string): boolean =>
  path.startsWith(folder.endsWith(sep) ? folder : folder + sep);

function openInside(folder: string, location: string, sources: OpenByteSource[]): ExternalFile {
  if (isAbsolute(location) || location.includes("\0")) return { refused: "the path is absolute", outside: true };
  const path = resolve(folder, location);
  if (!isInside(folder, path)) return { refused: "the path leaves the model's folder", outside: true };
  const real = realPath(path);
  if (real === undefined) return { refused: "the file does not exist", outside: false };
  if (!isInside(realPath(folder) ?? folder, real))
    return { refused: "a link leads out of the model's folder", outside: true };
  const source = openByteSource(real);
  if (!source.ok) return { refused: source.diagnostics[0]?.message ?? "it cannot be opened", outside: false };
  sources.push(source.value);
  return { source: source.value };
}

/** Files beside the model at `modelPath`. */
export function openExternalFolder(modelPath: string): ExternalFolder {
  const folder = resolve(dirname(modelPath));
  const files = new Map<string, ExternalFile>();
  const sources: OpenByteSource[] = [];
  const open = (location: string): ExternalFile => {
    const known = files.get(location);
    if (known !== undefined) return known;
    const file = openInside(folder, location, sources);
    files.set(location, file);
    return file;
  };
  const close = (): void => {
    for (const source of sources) source.close();
  };
  return { open, close };
}
