// One process: what it does now and why, the chart, the last decisions, conditions, the schedule to come, pause and resume.

import { get, of, post } from "./api.js";
import { chart } from "./chart.js";
import { ago, amount, dynos, el, minute, say, time, words } from "./dom.js";

const RANGES = [["15m", 900, "15 min"], ["1h", 3600, "1 h"], ["6h", 21600, "6 h"], ["24h", 86400, "24 h"], ["7d", 604800, "7 days"], ["30d", 2592000, "30 days"]];
const LENGTHS = [["", "until resumed"], ["15m", "15 minutes"], ["1h", "1 hour"], ["2h", "2 hours"], ["8h", "8 hours"], ["24h", "1 day"]];
const ROWS = 25;

const stat = (name, value, more, kind) => el("div", { class: `stat ${kind ?? ""}` }, el("dt", {}, name), el("dd", {}, el("span", { class: "big" }, value), more ? el("span", { class: "muted" }, more) : null));

export const process = (state, app, name) => {
  const path = of(app, name);
  let range = "15m";
  try { range = localStorage.getItem("range") ?? range; } catch { /* private mode */ }
  if (!RANGES.some(([id]) => id === range)) range = "15m";
  let detail = null;
  let plot = null;
  let oldest = null;
  let refetch = 0;
  const abort = new AbortController();

  const now = el("div", { class: "now" });
  const why = el("p", { class: "why" });
  const pausing = el("div", { class: "pausing" });
  const chips = el("div", { class: "chips" });
  const figure = el("div", { class: "figure" }, el("div", { class: "loading", role: "status" }, el("span", { class: "spinner", "aria-hidden": "true" }), "Loading"));
  const conditions = el("ul", { class: "plain" });
  const schedule = el("ul", { class: "plain" });
  const rows = el("tbody");
  const more = el("button", { type: "button", class: "quiet", hidden: true, onclick: () => older() }, "Older decisions");
  const changes = el("input", { type: "checkbox", id: "changes" });
  const body = el("div", {});
  const error = el("p", { class: "wrong", role: "alert", hidden: true });
  const root = el("article", { class: "process", "aria-labelledby": "title" },
    state.rows.size > 1 ? el("p", { class: "back" }, el("a", { href: "#/" }, "← All processes")) : null,
    el("div", { class: "heading" }, el("div", {}, el("h1", { id: "title" }, app, el("span", { class: "slash" }, " / "), name), chips), pausing),
    error, body);

  const fail = (problem) => {
    if (problem.name === "AbortError") return;
    error.hidden = false;
    error.textContent = problem.message;
  };

  const choice = ([id, , label]) => [
    el("input", { type: "radio", name: "range", id: `range-${id}`, value: id, checked: id === range, onchange: () => pick(id) }),
    el("label", { for: `range-${id}` }, label)];

  const layout = () => {
    body.replaceChildren(now, el("section", { class: "card", "aria-labelledby": "over-time" },
      el("div", { class: "card-head" }, el("h2", { id: "over-time" }, "Over time"), el("fieldset", { class: "segments" }, el("legend", { class: "visually-hidden" }, "Range of time"), RANGES.map(choice))),
      figure,
      el("ul", { class: "legend" }, el("li", { class: "l-dynos" }, "dynos"), el("li", { class: "l-bound" }, "bounds"), el("li", { class: "l-line" }, "measured"), el("li", { class: "l-wanted" }, "wanted range"), el("li", { class: "l-up" }, "scaled up"), el("li", { class: "l-down" }, "scaled down"), el("li", { class: "l-failed" }, "failed"))),
    el("div", { class: "columns" },
      el("section", { class: "card wide", "aria-labelledby": "decisions" },
        el("div", { class: "card-head" }, el("h2", { id: "decisions" }, "Last decisions"), el("label", { class: "check" }, changes, " Only what changed")),
        el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of decisions" },
          el("table", {}, el("thead", {}, el("tr", {}, ["When", "Dynos", "Measured", "Why", "Gates"].map((head) => el("th", { scope: "col" }, head)))), rows)),
        more),
      el("div", { class: "side" },
        el("section", { class: "card", "aria-labelledby": "conditions" }, el("h2", { id: "conditions" }, "Conditions"), conditions),
        el("section", { class: "card", "aria-labelledby": "schedule" }, el("h2", { id: "schedule" }, "Schedule to come"), schedule))));
  };

  const present = (row) => {
    const stats = [stat("Dynos", row.dynos ?? "?", `bounds ${row.bounds.min} to ${row.bounds.max}`)];
    for (const m of row.measurements) {
      const value = m.value === null ? (m.error ?? "no sample yet") : amount(m.value, m.unit);
      const verdict = m.verdict ? words(m.verdict) : "";
      // What a shadow wants is recorded and changes nothing.
      if (m.shadow) stats.push(stat(`${m.name}, in the shadow`, value, `${verdict}${verdict && "; "}wants ${dynos(m.desired)}`, `shadow ${m.verdict}`));
      else stats.push(stat(m.name, value, verdict, m.verdict));
    }
    stats.push(stat("Wanted", row.desired === null ? "?" : row.desired, row.desired === null ? "nothing can be said" : row.desired === row.dynos ? "as it is" : "dynos"));
    stats.push(stat("Last tick", row.at ? ago(row.at) : "none yet", row.late ? "late" : detail ? `every ${Math.round(detail.every_secs * 10) / 10} s` : "", row.late ? "too_high" : ""));
    why.textContent = row.reason ? `${row.reason[0].toUpperCase()}${row.reason.slice(1)}.` : "Waiting for the first tick.";
    now.replaceChildren(el("dl", { class: "stats" }, stats), why);
    chips.replaceChildren(...row.conditions.map((condition) => el("span", { class: `chip ${row.attention}` }, words(condition))), ...(row.late ? [el("span", { class: "chip urgent" }, "late")] : []));
    pauseShown(row);
  };

  let shownPause = null;
  const pauseShown = (row) => {
    const text = JSON.stringify([row.pause, state.mayChange]);
    if (text === shownPause) return;
    shownPause = text;
    const parts = [];
    if (row.pause) {
      const until = row.pause.until ? `until ${minute(row.pause.until)}` : "until resumed";
      parts.push(el("p", { class: "paused" }, el("b", {}, "Paused "), until, row.pause.why ? `: ${row.pause.why}` : ""));
    }
    if (state.mayChange) {
      parts.push(row.pause ? el("button", { type: "button", class: "primary", id: "resume", onclick: resume }, "Resume")
        : el("button", { type: "button", id: "pause", onclick: ask }, "Pause"));
    }
    pausing.replaceChildren(...parts);
  };

  const set = (pause) => {
    const row = state.rows.get(`${app}\n${name}`);
    if (row) { row.pause = pause; pauseShown(row); }
  };

  const resume = async () => {
    try {
      await post(`${path}/resume`);
      set(null);
      say("resumed");
      document.getElementById("pause")?.focus();
    } catch (problem) { fail(problem); }
  };

  const ask = () => {
    const reason = el("input", { id: "pause-why", type: "text", maxlength: "500", autocomplete: "off", placeholder: "for whoever looks at it later" });
    const length = el("select", { id: "pause-for" }, LENGTHS.map(([value, label]) => el("option", { value }, label)));
    const wrong = el("p", { class: "wrong", role: "alert", hidden: true });
    const dialog = el("dialog", { "aria-labelledby": "pause-title" }, el("form", { method: "dialog" },
      el("h2", { id: "pause-title" }, `Pause ${app} / ${name}`),
      el("p", { class: "muted" }, "It keeps the dynos that it has, whatever is measured and whatever its bounds say."),
      el("label", { for: "pause-why" }, "Why"), reason, el("label", { for: "pause-for" }, "How long"), length, wrong,
      el("div", { class: "buttons" }, el("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Cancel"), el("button", { type: "submit", class: "primary", id: "pause-now" }, "Pause"))));
    dialog.querySelector("form").addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        const done = await post(`${path}/pause`, { why: reason.value || null, for: length.value || null });
        dialog.close();
        set(done.pause);
        say("paused");
        document.getElementById("resume")?.focus();
      } catch (problem) { wrong.hidden = false; wrong.textContent = problem.message; }
    });
    dialog.addEventListener("close", () => dialog.remove());
    root.append(dialog);
    dialog.showModal();
    reason.focus();
  };

  const tableRow = (record) => {
    const { before, after } = record.dynos;
    const changed = before !== after;
    const kind = record.call === "failed" ? "failed" : changed ? (after > before ? "up" : "down") : "";
    const gates = record.gates.map((gate) => el("span", { class: "gate", title: record.gates_said?.[gate] ?? "" }, words(gate)));
    return el("tr", { class: kind },
      el("td", { class: "nowrap" }, time(record.at)),
      el("td", { class: "nowrap" }, changed ? el("b", {}, `${before ?? "?"} → ${after ?? "?"}`) : String(after ?? "?"), record.call === "failed" ? el("span", { class: "chip urgent" }, "failed") : null, record.call === "dry_run" ? el("span", { class: "chip notice" }, `dry run: ${record.desired}`) : null),
      el("td", { class: "nowrap" }, record.measurements.map((m) => el("div", { class: `verdict ${m.verdict}` }, m.value === undefined || m.value === null ? (m.error ?? "unknown") : amount(m.value, m.unit)))),
      el("td", {}, record.reason, record.measurements.filter((m) => m.shadow && (m.desired ?? null) !== after).map((m) => el("div", { class: "muted" }, `In the shadow, ${m.name} wants ${dynos(m.desired)}: ${m.why}.`))),
      el("td", {}, gates.length ? gates : el("span", { class: "muted" }, "none")));
  };

  const page = async (cursor) => {
    const got = await get(`${path}/history`, { limit: ROWS, cursor, changes: changes.checked || null }, abort.signal);
    oldest = got.next;
    more.hidden = oldest === null;
    return got.records.map(tableRow);
  };
  const none = () => el("tr", {}, el("td", { colspan: "5", class: "muted" }, changes.checked ? "Nothing changed yet." : "No decision yet: the first comes with the first tick."));
  const newest = async () => { try { const made = await page(null); rows.replaceChildren(...(made.length ? made : [none()])); } catch (problem) { fail(problem); } };
  const older = async () => { try { rows.append(...await page(oldest)); } catch (problem) { fail(problem); } };
  changes.addEventListener("change", newest);

  const lists = () => {
    const row = detail;
    const items = row.conditions.map((condition, n) => el("li", {}, el("span", { class: `chip ${row.attention}` }, words(condition)), " ", row.conditions_mean[n]));
    conditions.replaceChildren(...(items.length ? items : [el("li", { class: "muted" }, "None holds: all is as it should be.")]));
    const coming = row.next_changes.map((change) => el("li", {}, el("b", {}, minute(change.at)), ` ${change.bounds.min} to ${change.bounds.max} dynos`));
    schedule.replaceChildren(...(coming.length ? coming : [el("li", { class: "muted" }, `The bounds stay at ${row.bounds.min} to ${row.bounds.max} dynos.`)]));
  };

  const series = async () => {
    try {
      const got = await get(`${path}/series`, { range, points: Math.max(120, Math.min(600, figure.clientWidth)) }, abort.signal);
      if (!plot) {
        plot = chart(new Map(detail.measurements.map((m) => [m.name, m.range])), detail.every_secs);
        figure.replaceChildren(plot.root);
      }
      plot.set(got);
    } catch (problem) { fail(problem); }
  };

  const pick = (id) => {
    range = id;
    try { localStorage.setItem("range", id); } catch { /* private mode */ }
    series();
  };

  const load = async () => {
    try {
      detail = await get(path, null, abort.signal);
      error.hidden = true;
      present(detail);
      lists();
      await Promise.all([series(), newest()]);
    } catch (problem) {
      if (problem.status === 404) body.replaceChildren(el("div", { class: "empty card" }, el("h2", {}, "No such process"), el("p", {}, `The settings have no process ${name} of an app ${app}. `, el("a", { href: "#/" }, "See all"), ".")));
      else fail(problem);
    }
  };

  layout();
  const known = state.rows.get(`${app}\n${name}`);
  if (known) present(known);
  load();
  const beat = setInterval(() => { const row = state.rows.get(`${app}\n${name}`); if (row) present(row); }, 1000);
  const whole = setInterval(series, 60000);

  return {
    root,
    event: (kind, data) => {
      const mine = kind === "decided" ? data.row : data;
      if (mine.app !== app || mine.process !== name || !detail) return;
      if (kind !== "decided") {
        clearTimeout(refetch);
        refetch = setTimeout(async () => { try { detail = await get(path, null, abort.signal); lists(); } catch (problem) { fail(problem); } }, 200);
        if (kind === "scaled") say(data.text);
        return;
      }
      present(data.row);
      plot?.add(data.record, RANGES.find(([id]) => id === range)[1]);
      const quiet = changes.checked && data.record.call === "none";
      if (!quiet) {
        if (rows.querySelector("td[colspan]")) rows.replaceChildren();
        rows.prepend(tableRow(data.record));
        if (rows.children.length > 200) rows.lastChild.remove();
      }
    },
    // The view keeps itself up to date; only after a lost connection all is asked for anew.
    refresh: (quietly) => { if (!quietly) load(); },
    close: () => { abort.abort(); clearInterval(beat); clearInterval(whole); clearTimeout(refetch); plot?.close(); },
  };
};
