// The emitted schedule as one page that needs nothing else: a row for every unit, bursts as bars, to zoom, move and point at. Pure.
import type { Program } from "../../ir/machine/program.ts";
import { scheduleRows } from "./schedule.ts";

const style = `
body { margin: 0; font: 13px/1.4 system-ui, sans-serif; color: #222; background: #fff; }
header { padding: 8px 12px; border-bottom: 1px solid #ccc; }
h1 { font-size: 15px; margin: 0 0 2px; }
#view { position: relative; height: calc(100vh - 90px); overflow-y: auto; overflow-x: hidden; }
#space { position: absolute; top: 0; left: 0; width: 1px; }
canvas { position: sticky; top: 0; display: block; }
#told { padding: 4px 12px; height: 20px; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; border-top: 1px solid #ccc; }
`;

/** Runs in the page. `data`: head, unit rows, names, and bursts as [row, cycle, count, period, name, buffer, nodes]. */
const script = `
const { units, texts, bursts, latencyCycles } = JSON.parse(document.getElementById("data").textContent);
const view = document.getElementById("view"), canvas = document.getElementById("canvas"), told = document.getElementById("told");
const rowHeight = 16, labelWidth = 120, axisHeight = 18;
document.getElementById("space").style.height = units.length * rowHeight + axisHeight + "px";
const byRow = units.map(() => []);
for (const burst of bursts) byRow[burst[0]].push(burst);
const hue = (name) => { let h = 0; for (const c of texts[name]) h = (h * 31 + c.charCodeAt(0)) % 360; return h; };
const colours = texts.map((_, i) => "hsl(" + hue(i) + " 60% 55%)");
let from = 0, span = Math.max(1, latencyCycles);
const lastOf = (b) => b[1] + (b[2] - 1) * b[3] + 1;
function draw() {
  const ratio = window.devicePixelRatio || 1, width = view.clientWidth, height = view.clientHeight;
  canvas.width = width * ratio; canvas.height = height * ratio;
  canvas.style.width = width + "px"; canvas.style.height = height + "px";
  const c = canvas.getContext("2d");
  c.scale(ratio, ratio); c.clearRect(0, 0, width, height); c.font = "11px system-ui, sans-serif"; c.textBaseline = "middle";
  const scale = (width - labelWidth) / span, x = (cycle) => labelWidth + (cycle - from) * scale;
  const first = Math.max(0, Math.floor((view.scrollTop - axisHeight) / rowHeight));
  for (let row = first; row < units.length; row++) {
    const y = axisHeight + row * rowHeight - view.scrollTop;
    if (y > height) break;
    if (row % 2) { c.fillStyle = "#f6f6f6"; c.fillRect(0, y, width, rowHeight); }
    for (const b of byRow[row]) {
      const end = lastOf(b);
      if (end < from || b[1] > from + span) continue;
      const left = Math.max(labelWidth, x(b[1]));
      c.fillStyle = colours[b[4]];
      c.fillRect(left, y + 2, Math.max(0.5, x(end) - left), rowHeight - 4);
    }
    c.fillStyle = "#222"; c.fillText(units[row], 6, y + rowHeight / 2, labelWidth - 10);
  }
  c.fillStyle = "#fff"; c.fillRect(0, 0, width, axisHeight); c.fillStyle = "#555";
  let step = 1; while (step * scale < 90) step *= 10; if (step * scale > 450) step /= 5; else if (step * scale > 200) step /= 2;
  for (let tick = Math.ceil(from / step) * step; tick <= from + span; tick += step) {
    c.fillRect(x(tick), axisHeight - 4, 1, 4); c.fillText(tick.toLocaleString("en"), x(tick) + 3, axisHeight / 2);
  }
}
const limit = () => { span = Math.min(Math.max(span, 20), Math.max(20, latencyCycles)); from = Math.min(Math.max(from, 0), Math.max(0, latencyCycles - span)); };
const cycleAt = (event) => from + ((event.offsetX - labelWidth) / (view.clientWidth - labelWidth)) * span;
canvas.addEventListener("wheel", (event) => {
  if (!event.ctrlKey && !event.altKey && Math.abs(event.deltaX) <= Math.abs(event.deltaY) && !event.shiftKey) return;
  event.preventDefault();
  if (event.ctrlKey || event.altKey) { const at = cycleAt(event), factor = event.deltaY > 0 ? 1.25 : 0.8; from = at - (at - from) * factor; span *= factor; }
  else from += ((event.deltaX || event.deltaY) / view.clientWidth) * span;
  limit(); draw();
}, { passive: false });
let held = null;
canvas.addEventListener("mousedown", (event) => { held = event.clientX; });
window.addEventListener("mouseup", () => { held = null; });
canvas.addEventListener("mousemove", (event) => {
  if (held !== null) { from -= ((event.clientX - held) / (view.clientWidth - labelWidth)) * span; held = event.clientX; limit(); draw(); return; }
  const row = Math.floor((event.offsetY - axisHeight + view.scrollTop) / rowHeight), cycle = cycleAt(event);
  const b = (byRow[row] || []).find((one) => one[1] <= cycle && cycle < lastOf(one));
  told.textContent = b === undefined ? "" : units[row] + ": " + texts[b[4]] + ", cycles " + b[1].toLocaleString("en") + " to " + (lastOf(b) - 1).toLocaleString("en")
    + ", " + b[2].toLocaleString("en") + " issues" + (b[3] > 1 ? " every " + b[3] + " cycles" : "") + (texts[b[5]] ? ", buffer " + texts[b[5]] : "") + (texts[b[6]] ? ", nodes " + texts[b[6]] : "");
});
window.addEventListener("keydown", (event) => {
  const middle = from + span / 2;
  if (event.key === "+") { span *= 0.7; from = middle - span / 2; } else if (event.key === "-") { span /= 0.7; from = middle - span / 2; }
  else if (event.key === "ArrowLeft") from -= span / 5; else if (event.key === "ArrowRight") from += span / 5; else return;
  limit(); draw();
});
view.addEventListener("scroll", draw); window.addEventListener("resize", draw); draw();
`;

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
/** JSON that cannot end the element it stands in. */
const embedded = (value: unknown): string => JSON.stringify(value).replaceAll("<", "\\u003c");

/** The page, a piece at a time: a long schedule is never one text. */
export function* schedulePage(program: Program): Generator<string> {
  const { modelName, target, latencyCycles, chips } = program;
  const microseconds = (latencyCycles * 1e6) / target.clockHz;
  const title = `${modelName} on ${chips.length} ${chips.length === 1 ? "chip" : "chips"} of ${target.name}`;
  yield `<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>${escaped(title)}</title>`;
  yield `<style>${style}</style>\n</head>\n<body>`;
  const figures = `${latencyCycles} cycles = ${microseconds.toPrecision(4)} us at ${target.clockHz / 1e6} MHz`;
  yield `<header><h1>${escaped(title)}</h1>${figures}. Drag to move, Ctrl or Alt and the wheel (or + and -) to zoom, point at a bar for what it is.</header>`;
  yield `<div id="view"><div id="space"></div><canvas id="canvas"></canvas></div>\n<div id="told"></div>`;
  yield `<script type="application/json" id="data">{"latencyCycles":${latencyCycles},"bursts":[`;
  const units = new Map<string, number>();
  const texts = new Map<string, number>();
  const numberIn = (map: Map<string, number>, text: string): number => {
    const before = map.get(text);
    if (before !== undefined) return before;
    map.set(text, map.size);
    return map.size - 1;
  };
  let comma = "";
  for (const { chip, unit, op, cycle, count, period, buffer, kernel, nodes } of scheduleRows(program)) {
    const row = numberIn(units, `${chip} ${unit}`);
    const name = numberIn(texts, kernel === "" ? op : `${op} ${kernel}`);
    yield `${comma}[${row},${cycle},${count},${period},${name},${numberIn(texts, buffer)},${numberIn(texts, nodes.join(" "))}]`;
    comma = ",";
  }
  yield `],"units":${embedded([...units.keys()])},"texts":${embedded([...texts.keys()])}}</script>`;
  yield `<script>${script}</script>\n</body>\n</html>`;
}
