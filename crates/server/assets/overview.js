// Every process in a list, what needs attention first. Only the rows in sight are in the page, so a thousand are no burden.

import { ago, amount, dynos, el, link, words } from "./dom.js";

const RANK = { urgent: 3, warning: 2, notice: 1, none: 0 };
const LABEL = { urgent: "urgent", warning: "look at it", notice: "worth knowing", none: "all well" };
const MARGIN = 6;

const cell = (name, ...children) => el("div", { role: "cell", class: name }, ...children);

const measured = (row) => row.measurements.map((m) => el("span", { class: "value" }, m.value === null ? (m.error ?? "unknown") : amount(m.value, m.unit)));

const chips = (row) => {
  const all = row.conditions.map((name) => el("span", { class: `chip ${row.attention}` }, words(name)));
  if (row.late) all.unshift(el("span", { class: "chip urgent" }, "late"));
  if (row.pause && !row.conditions.includes("paused")) all.push(el("span", { class: "chip notice" }, "paused"));
  return all;
};

const line = (row, index, top) => {
  const share = row.bounds.max > 0 ? Math.min(1, (row.dynos ?? 0) / row.bounds.max) : 0;
  const bar = el("span", { class: "bar", "aria-hidden": "true" }, el("span", { class: "full" }));
  bar.firstChild.style.width = `${share * 100}%`;
  const element = el("div", { role: "row", class: `row ${row.attention}`, "aria-rowindex": index + 2 },
    cell("what", el("span", { class: `dot ${row.attention}`, "aria-hidden": "true" }),
      el("a", { href: link(row.app, row.process) }, el("b", {}, row.app), el("span", { class: "slash" }, " / "), row.process),
      el("span", { class: "visually-hidden" }, LABEL[row.attention])),
    cell("count", el("b", {}, row.dynos ?? "?"), el("span", { class: "muted" }, ` bounds ${row.bounds.min} to ${row.bounds.max}`), bar),
    cell("measured", measured(row)),
    cell("state", chips(row), el("span", { class: "reason", title: row.reason ?? "" }, row.reason ?? "waiting for the first tick")),
    cell("when muted", row.at ? ago(row.at) : ""));
  element.style.transform = `translateY(${top}px)`;
  return element;
};

export const overview = (state) => {
  let shown = [];
  let frame = 0;
  let resort = 0;
  const summary = el("p", { class: "muted", role: "status" });
  const search = el("input", { type: "search", id: "search", placeholder: "app, process or platform", autocomplete: "off", spellcheck: "false" });
  const only = el("input", { type: "checkbox", id: "only" });
  const body = el("div", { role: "rowgroup", class: "rows" });
  const heads = ["Process", "Dynos", "Measured", "State", "Last tick"];
  const table = el("div", { role: "table", class: "table card", "aria-label": "Processes" },
    el("div", { role: "rowgroup" }, el("div", { role: "row", class: "row head", "aria-rowindex": "1" }, heads.map((head) => el("div", { role: "columnheader" }, head)))), body);
  const empty = el("div", { class: "empty card", hidden: true });
  const root = el("section", { class: "overview", "aria-labelledby": "title" },
    el("div", { class: "heading" }, el("div", {}, el("h1", { id: "title" }, "Processes"), summary),
      el("div", { class: "tools" }, el("label", { class: "search" }, el("span", { class: "visually-hidden" }, "Search"), search),
        el("label", { class: "check" }, only, " Needs attention"))),
    table, empty);

  const height = () => (matchMedia("(max-width: 760px)").matches ? 92 : 56);

  const sort = () => {
    const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    shown = [...state.rows.values()].filter((row) => {
      if (only.checked && row.attention === "none") return false;
      const text = `${row.app} ${row.process} ${row.platform}`.toLowerCase();
      return wanted.every((word) => text.includes(word));
    });
    shown.sort((a, b) => RANK[b.attention] - RANK[a.attention] || a.app.localeCompare(b.app) || a.process.localeCompare(b.process));
    const needs = [...state.rows.values()].filter((row) => RANK[row.attention] > 1).length;
    const total = state.rows.size;
    const text = `${total.toLocaleString()} ${total === 1 ? "process" : "processes"}, ${needs === 0 ? "none needs a look" : `${needs.toLocaleString()} to look at`}`;
    if (summary.textContent !== text) summary.textContent = text;
    table.hidden = shown.length === 0;
    empty.hidden = shown.length > 0;
    if (shown.length === 0) {
      const [title, more] = total === 0 ? ["No process is watched", "The settings name no process; autoscalebot check tells what is in them."]
        : only.checked && wanted.length === 0 ? ["All is well", "No process needs attention now."]
        : ["Nothing found", "No process has all of these words."];
      empty.replaceChildren(el("h2", {}, title), el("p", {}, more));
    }
    table.setAttribute("aria-rowcount", shown.length + 1);
    draw();
  };

  const draw = () => {
    const each = height();
    body.style.height = `${shown.length * each}px`;
    const above = -body.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(above / each) - MARGIN);
    const last = Math.min(shown.length, Math.ceil((above + innerHeight) / each) + MARGIN);
    // A link that has the focus keeps it, though its row is made anew.
    const focused = body.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    body.replaceChildren(...shown.slice(first, last).map((row, n) => line(row, first + n, (first + n) * each)));
    if (focused) [...body.querySelectorAll("a")].find((a) => a.getAttribute("href") === focused)?.focus({ preventScroll: true });
  };

  const soon = () => { if (!frame) frame = requestAnimationFrame(() => { frame = 0; draw(); }); };
  const later = () => { if (!resort) resort = setTimeout(() => { resort = 0; sort(); }, 700); };
  search.addEventListener("input", sort);
  only.addEventListener("change", sort);
  addEventListener("scroll", soon, { passive: true });
  addEventListener("resize", soon);
  const timer = setInterval(soon, 5000);
  queueMicrotask(sort);

  return {
    root,
    event: (kind) => { if (kind === "decided") later(); },
    refresh: sort,
    close: () => {
      removeEventListener("scroll", soon);
      removeEventListener("resize", soon);
      clearInterval(timer);
      clearTimeout(resort);
    },
  };
};
