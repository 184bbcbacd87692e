// Makes elements and texts. Text is only ever set as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

const fill = (element, attributes, children) => {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
};

export const el = (name, attributes, ...children) => fill(document.createElement(name), attributes, children);
export const svg = (name, attributes, ...children) => fill(document.createElementNS(SVG, name), attributes, children);

export const say = (text) => { document.getElementById("said").textContent = text; };

// A number with as many digits as help.
const digits = (value) => {
  const places = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return String(Number(value.toFixed(places)));
};

export const amount = (value, unit) => {
  if (value === null || value === undefined) return "unknown";
  if (unit === "ms") return value >= 1000 ? `${digits(value / 1000)} s` : `${digits(value)} ms`;
  if (unit === "rps") return `${digits(value)} req/s`;
  if (unit === "count") return digits(value);
  return `${digits(value)} ${unit}`;
};

export const words = (name) => name.replaceAll("_", " ");
export const dynos = (count) => (count === null || count === undefined ? "?" : `${count} ${count === 1 ? "dyno" : "dynos"}`);

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short" });
const short = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

export const dateOf = (at) => (typeof at === "number" ? new Date(at * 1000) : new Date(at));

// The time of day; with its date where that is not today.
export const time = (at) => {
  const date = dateOf(at);
  const same = date.toDateString() === new Date().toDateString();
  return same ? clock.format(date) : `${day.format(date)}, ${clock.format(date)}`;
};
export const minute = (at) => short.format(dateOf(at));

export const ago = (at, now = Date.now()) => {
  const seconds = Math.max(0, Math.round((now - dateOf(at).getTime()) / 1000));
  if (seconds < 2) return "just now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} days ago`;
};

export const key = (app, process) => `${app}\n${process}`;
export const link = (app, process) => `#/${encodeURIComponent(app)}/${encodeURIComponent(process)}`;
