// The chart of one process: dynos with their bounds above, each measurement with its wanted range below, on one time axis; the
// decisions are marks that tell their reason when hovered over, tapped, or reached by the arrow keys.

import { amount, dateOf, dynos, el, svg, time } from "./dom.js";

const LEFT = 58;
const RIGHT = 14;
const TOP = 26;
const DYNOS = 132;
const MEASURED = 138;
const GAP = 34;
const AXIS = 26;
const NEAR = 12;

// Ticks at round numbers, at most about `count`.
const rounds = (most, count, whole) => {
  const raw = most / count;
  const power = 10 ** Math.floor(Math.log10(raw || 1));
  let step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= raw) ?? 1;
  if (whole) step = Math.max(1, Math.ceil(step));
  const all = [];
  for (let value = 0; value <= most * 1.0001; value += step) all.push(value);
  return all;
};

const STEPS = [10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 432000];
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const clockSeconds = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const date = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

const instants = (from, to, count) => {
  const step = STEPS.find((s) => s >= (to - from) / count) ?? 432000;
  const zone = new Date(to * 1000).getTimezoneOffset() * 60;
  const all = [];
  for (let at = Math.ceil((from - zone) / step) * step + zone; at <= to; at += step) all.push(at);
  const name = step >= 86400 ? date : step < 60 ? clockSeconds : clock;
  return all.map((at) => [at, name.format(new Date(at * 1000))]);
};

// The last index whose instant is not after `at`; -1 where there is none.
const before = (list, at) => {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle] <= at) low = middle + 1; else high = middle;
  }
  return low - 1;
};

const kindOf = (mark) => (mark.call === "failed" ? "failed" : mark.call === "dry_run" ? "dry" : (mark.after ?? 0) >= (mark.before ?? 0) ? "up" : "down");

const told = (mark) => {
  const what = mark.call === "failed" ? `could not scale, still ${dynos(mark.before)}`
    : mark.call === "dry_run" ? `dry run: would set ${dynos(mark.desired)}`
    : `${mark.before ?? "?"} → ${mark.after ?? "?"} dynos`;
  return { what, why: mark.reason };
};

export const chart = (ranges, everySecs) => {
  const tip = el("div", { class: "tip", role: "tooltip", id: "tip", hidden: true });
  const stage = el("div", { class: "stage" });
  const root = el("div", { class: "chart" }, stage, tip);
  let data = null;
  let scale = null;
  let chosen = -1;

  // While somebody reads, the picture holds still; what came meanwhile is drawn after.
  let waiting = false;
  const hide = () => {
    tip.hidden = true;
    stage.querySelector(".cross")?.setAttribute("visibility", "hidden");
    if (waiting) draw();
  };

  const place = (x, y) => {
    tip.hidden = false;
    const width = tip.offsetWidth;
    const left = Math.min(Math.max(4, x + 14), stage.clientWidth - width - 4);
    tip.style.left = `${x + 14 + width > stage.clientWidth ? Math.max(4, x - width - 14) : left}px`;
    tip.style.top = `${Math.max(0, y)}px`;
    const cross = stage.querySelector(".cross");
    cross?.setAttribute("transform", `translate(${x},0)`);
    cross?.setAttribute("visibility", "visible");
  };

  const describe = (at, mark) => {
    const rows = [];
    const step = before(data.steps.at, at);
    if (step >= 0) {
      rows.push(["dynos", data.steps.dynos[step] ?? "unknown"]);
      rows.push(["bounds", `${data.steps.min[step]} to ${data.steps.max[step]}`]);
    }
    for (const line of data.measurements) {
      const index = before(line.at, at);
      if (index < 0) continue;
      const more = line.width_secs > 0 && line.p95[index] !== null ? `, p95 ${amount(line.p95[index], line.unit)}` : "";
      rows.push([line.name, line.median[index] === null ? "no value" : amount(line.median[index], line.unit) + more]);
    }
    const said = mark ? told(mark) : null;
    tip.replaceChildren(el("div", { class: "tip-at" }, time(at)),
      ...(said ? [el("div", { class: `tip-what ${kindOf(mark)}` }, said.what), el("div", { class: "tip-why" }, said.why)] : []),
      el("dl", {}, rows.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])));
  };

  const choose = (index, focus) => {
    const marks = [...stage.querySelectorAll(".mark")];
    if (marks.length === 0) return;
    chosen = Math.min(Math.max(0, index), marks.length - 1);
    marks.forEach((mark, n) => mark.setAttribute("tabindex", n === chosen ? "0" : "-1"));
    if (focus) marks[chosen].focus();
  };

  const over = (event) => {
    if (!scale) return;
    const box = stage.getBoundingClientRect();
    const x = event.clientX - box.left;
    if (x < LEFT - 4 || x > scale.right + 8) { hide(); return; }
    let best = null;
    for (const mark of data.marks) {
      const far = Math.abs(scale.x(mark.at) - x);
      if (far <= NEAR && (!best || far < best.far)) best = { mark, far };
    }
    const at = best ? best.mark.at : scale.from + (x - LEFT) / (scale.right - LEFT) * (scale.to - scale.from);
    describe(at, best?.mark);
    place(scale.x(at), event.clientY - box.top + 14);
  };
  stage.addEventListener("pointermove", over);
  stage.addEventListener("pointerdown", over);
  stage.addEventListener("pointerleave", hide);

  const plot = (top, height, most, ticks, label, text) => {
    const y = (value) => top + height - Math.min(value, most) / most * height;
    const parts = ticks.map((value) => [
      svg("line", { class: "grid", x1: LEFT, x2: scale.right, y1: y(value), y2: y(value) }),
      svg("text", { class: "tick", x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, text(value)),
    ]);
    parts.push(svg("text", { class: "title", x: LEFT, y: top - 9 }, label));
    return { y, parts: parts.flat() };
  };

  // A path that keeps each value until the next.
  const stairs = (values, y) => {
    const { at } = data.steps;
    let path = "";
    at.forEach((instant, index) => {
      const value = values[index];
      if (value === null) return;
      const x = scale.x(Math.max(instant, scale.from));
      const until = scale.x(Math.min(at[index + 1] ?? scale.to, scale.to));
      if (until < x) return;
      const known = path && values[index - 1] !== null && values[index - 1] !== undefined;
      path += `${known ? "L" : "M"}${x.toFixed(1)},${y(value).toFixed(1)}L${until.toFixed(1)},${y(value).toFixed(1)}`;
    });
    return path;
  };

  const drawDynos = (top) => {
    const { steps } = data;
    const most = Math.max(1, ...steps.max.filter((max) => max < 10000), ...steps.dynos.map((n) => n ?? 0)) + 0.4;
    const { y, parts } = plot(top, DYNOS, most, rounds(most, 4, true), "dynos", String);
    const inside = svg("g", { "clip-path": "url(#plot)" });
    const max = stairs(steps.max, y);
    const min = stairs(steps.min, y);
    const line = stairs(steps.dynos, y);
    inside.append(svg("path", { class: "bound", d: max }), svg("path", { class: "bound", d: min }));
    // Below the line, closed at both ends of each known stretch.
    const floor = y(0).toFixed(1);
    const area = line.split("M").filter(Boolean).map((part) => {
      const points = part.split("L");
      return `M${points[0].split(",")[0]},${floor}L${part}L${points.at(-1).split(",")[0]},${floor}Z`;
    }).join("");
    inside.append(svg("path", { class: "dynos-area", d: area }), svg("path", { class: "dynos-line", d: line }));
    return { y, parts: [...parts, inside] };
  };

  const drawLine = (line, range, top) => {
    const known = line.p95.filter((value) => value !== null);
    const most = Math.max(1e-9, ...known, (range?.high ?? 0) * 1.25) * 1.05;
    const { y, parts } = plot(top, MEASURED, most, rounds(most, 4, false), `${line.name}${line.width_secs > 0 ? ", median and p95" : ""}`, (value) => amount(value, line.unit));
    const inside = svg("g", { "clip-path": "url(#plot)" });
    if (range?.low !== null || range?.high !== null) {
      const high = y(range.high ?? most);
      const low = y(range.low ?? 0);
      inside.append(svg("rect", { class: "wanted", x: LEFT, width: scale.right - LEFT, y: high, height: Math.max(0, low - high) }));
      for (const [value, name] of [[range.high, "too high above"], [range.low, "too low below"]]) {
        if (value === null || value > most) continue;
        inside.append(svg("line", { class: "threshold", x1: LEFT, x2: scale.right, y1: y(value), y2: y(value) }));
        inside.append(svg("text", { class: "threshold-name", x: LEFT + 6, y: y(value) - 4 }, `${name} ${amount(value, line.unit)}`));
      }
    }
    const gap = Math.max(3 * line.width_secs, 3.5 * everySecs, 5);
    let path = "";
    let upper = [];
    let lower = [];
    let area = "";
    const flush = () => {
      if (upper.length > 1) area += `M${upper.join("L")}L${lower.reverse().join("L")}Z`;
      upper = [];
      lower = [];
    };
    line.at.forEach((at, index) => {
      const value = line.median[index];
      const x = scale.x(at + line.width_secs / 2).toFixed(1);
      if (value === null) {
        const width = Math.max(3, scale.x(at + line.width_secs) - scale.x(at));
        inside.append(svg("rect", { class: "unknown", x, width, y: y(0) - 5, height: 5 }));
        flush();
        return;
      }
      const joined = index > 0 && line.median[index - 1] !== null && at - line.at[index - 1] <= gap;
      if (!joined) flush();
      path += `${joined ? "L" : "M"}${x},${y(value).toFixed(1)}`;
      // A sample alone would be no line.
      if (!joined && (line.median[index + 1] ?? null) === null) path += "h0.1";
      if (line.width_secs > 0) {
        upper.push(`${x},${y(line.p95[index]).toFixed(1)}`);
        lower.push(`${x},${y(value).toFixed(1)}`);
      }
    });
    flush();
    inside.append(svg("path", { class: "spread", d: area }), svg("path", { class: "line", d: path }));
    return [...parts, inside];
  };

  const drawMarks = (y, bottom) => data.marks.filter((mark) => mark.at >= scale.from && mark.at <= scale.to).map((mark, index) => {
    const kind = kindOf(mark);
    const [x, at] = [scale.x(mark.at), y(mark.after ?? mark.before ?? 0)];
    const shape = { up: "M0,-7L7,5H-7Z", down: "M0,7L7,-5H-7Z", failed: "M-5,-5L5,5M5,-5L-5,5", dry: "M0,-6L6,0L0,6L-6,0Z" }[kind];
    const said = told(mark);
    return svg("g", {
      class: `mark ${kind}`, role: "img", tabindex: index === chosen ? "0" : "-1", "aria-label": `${time(mark.at)}: ${said.what}. ${said.why}`,
      onfocus: () => { chosen = index; describe(mark.at, mark); place(x, at + 16); },
      onblur: hide,
    }, svg("line", { class: "drop", x1: x, x2: x, y1: TOP, y2: bottom }), svg("circle", { class: "halo", cx: x, cy: at, r: 13 }),
    svg("path", { class: "shape", d: shape, transform: `translate(${x.toFixed(1)},${at.toFixed(1)})` }));
  });

  const draw = (now) => {
    if (!data) return;
    if (!tip.hidden && !now) { waiting = true; return; }
    waiting = false;
    const width = Math.max(280, stage.clientWidth || root.clientWidth || 800);
    const { to } = data;
    // Where the past begins inside the range, the picture begins there: a young program would show mostly nothing.
    const first = Math.min(data.steps.at[0] ?? to, ...data.measurements.map((line) => line.at[0] ?? to));
    const from = Math.max(data.from, Math.min(first - (to - first) * 0.03, to - 30));
    const right = width - RIGHT;
    scale = { from, to, right, x: (at) => LEFT + (at - from) / (to - from) * (right - LEFT) };
    const count = data.measurements.length;
    const bottom = TOP + DYNOS + count * (GAP + MEASURED);
    const height = bottom + AXIS;
    const focused = stage.contains(document.activeElement);
    const picture = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "Dynos, bounds and measurements over time. The arrow keys go from decision to decision." });
    picture.append(svg("clipPath", { id: "plot" }, svg("rect", { x: LEFT, y: 0, width: right - LEFT, height })));
    for (const [at, name] of instants(from, to, Math.max(2, Math.floor(width / 110)))) {
      picture.append(svg("line", { class: "grid", x1: scale.x(at), x2: scale.x(at), y1: TOP, y2: bottom }), svg("text", { class: "tick", x: scale.x(at), y: bottom + 18, "text-anchor": "middle" }, name));
    }
    const above = drawDynos(TOP);
    picture.append(...above.parts);
    data.measurements.forEach((line, index) => {
      const range = ranges.get(line.name) ?? { low: null, high: null };
      picture.append(...drawLine(line, range, TOP + DYNOS + GAP + index * (GAP + MEASURED)));
    });
    picture.append(svg("g", { class: "cross", visibility: "hidden" }, svg("line", { x1: 0, x2: 0, y1: TOP, y2: bottom })));
    picture.append(...drawMarks(above.y, bottom));
    picture.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
      if (move === undefined) { if (event.key === "Escape") hide(); return; }
      event.preventDefault();
      choose(move === -Infinity ? 0 : move === Infinity ? 1e9 : chosen + move, true);
    });
    stage.replaceChildren(picture);
    const marks = stage.querySelectorAll(".mark").length;
    const keep = chosen < 0 || chosen >= marks ? marks - 1 : chosen;
    choose(keep, focused && marks > 0);
  };

  const watch = new ResizeObserver(() => draw(true));
  watch.observe(stage);

  return {
    root,
    set: (series) => {
      data = { ...series, from: dateOf(series.from).getTime() / 1000, to: dateOf(series.to).getTime() / 1000 };
      draw();
    },
    // A tick: added to what is shown, and the window moves on.
    add: (record, span) => {
      if (!data) return;
      const at = dateOf(record.at).getTime() / 1000;
      data.to = Math.max(at, Date.now() / 1000);
      data.from = data.to - span;
      const { steps } = data;
      const [count, min, max] = [record.dynos.after, record.bounds.min, record.bounds.max];
      if (steps.dynos.at(-1) !== count || steps.min.at(-1) !== min || steps.max.at(-1) !== max) {
        steps.at.push(at); steps.dynos.push(count); steps.min.push(min); steps.max.push(max);
      }
      for (const m of record.measurements) {
        if (!m.sampled_at) continue;
        let line = data.measurements.find((known) => known.name === m.name);
        if (!line) {
          line = { name: m.name, unit: m.unit, width_secs: 0, at: [], median: [], p95: [], highest: [] };
          data.measurements.push(line);
        }
        const taken = dateOf(m.sampled_at).getTime() / 1000;
        // In buckets, the newest comes with the next reading of the whole.
        if (line.width_secs > 0 || taken <= (line.at.at(-1) ?? 0)) continue;
        line.at.push(taken);
        for (const column of [line.median, line.p95, line.highest]) column.push(m.value ?? null);
      }
      if (record.call !== "none" && at > (data.marks.at(-1)?.at ?? 0)) {
        const { before: was, after } = record.dynos;
        data.marks.push({ at, before: was, after, desired: record.desired, call: record.call, reason: record.reason, gates: record.gates });
      }
      draw();
    },
    close: () => watch.disconnect(),
  };
};
