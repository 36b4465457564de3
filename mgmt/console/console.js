// console.js - draws what the event stream says, once a second. Text enters the page only as
// textContent, never as markup, so nothing that a client of the box names can become code.
"use strict";

const POINTS_MAX = 600; // what the server keeps: ten minutes
const POINTS_SHOWN_MIN = 120; // a young history is not stretched over the whole width
const GAUGES = new Set();

// What the tiles show: a counter's rate, a gauge's value, or a sum of them.
const TILES = [
  { series: "PUBLISHES", label: "Published", unit: "msg/s" },
  { series: "DELIVERIES", label: "Delivered", unit: "msg/s" },
  { series: "SESSIONS", label: "Sessions", unit: "" },
  { series: "TCP_CONNECTIONS", label: "TCP connections", unit: "" },
  { series: "NIC_RX_BYTES", label: "Received", unit: "bit/s", factor: 8 },
  { series: "NIC_TX_BYTES", label: "Sent", unit: "bit/s", factor: 8 },
  { series: "TCP_RETRANSMITS", label: "Sent again", unit: "seg/s" },
  { series: "DROPS", label: "Dropped, refused", unit: "/s", alarm: true },
];

const state = {
  values: {}, // name -> newest value
  rates: {}, // name -> per second, over the last step
  points: {}, // series -> newest POINTS_MAX numbers or null
  about: new Map(), // name -> {kind, text, fault}
  nowUs: 0,
  timeMs: 0,
};

const byId = (id) => document.getElementById(id);

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function makeSvg(tag, className) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  if (className) element.setAttribute("class", className);
  return element;
}

// 1234567 -> ["1.23", "M"]; what has no prefix has at most one decimal.
function scaled(value) {
  const prefixes = ["", "k", "M", "G", "T", "P"];
  let at = 0;
  while (value >= 999.5 && at < prefixes.length - 1) {
    value /= 1000;
    at++;
  }
  if (at === 0) return [String(Number(value.toFixed(value < 10 ? 1 : 0))), ""];
  return [value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0), prefixes[at]];
}

function grouped(value) {
  const digits = value < 100 ? 1 : 0;
  return value.toLocaleString("en", { maximumFractionDigits: digits }).replaceAll(",", "\u202f");
}

// [number, unit] of a tile: counts whole as long as there is room, bits as "11.0" "Mbit/s".
function tileText(tile, value) {
  if (tile.unit === "" && value < 1e6) return [grouped(value), ""];
  const [text, prefix] = scaled(value * (tile.factor || 1));
  return tile.factor ? [text, prefix + tile.unit] : [text + prefix, tile.unit];
}

function duration(seconds) {
  if (seconds === undefined || seconds === null) return "";
  const days = Math.floor(seconds / 86400);
  const hours = Math.floor(seconds / 3600) % 24;
  const minutes = Math.floor(seconds / 60) % 60;
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  if (minutes) return `${minutes} min ${seconds % 60} s`;
  return `${seconds} s`;
}

function makeTiles() {
  for (const tile of TILES) {
    const box = make("div", "tile");
    box.append(make("div", "label", tile.label));
    const value = make("div", "value");
    tile.number = make("span", "", "\u2013");
    tile.number.dataset.series = tile.series;
    tile.scale = make("span", "unit", tile.unit);
    value.append(tile.number, tile.scale);
    const svg = makeSvg("svg");
    svg.setAttribute("viewBox", "0 0 100 40");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    tile.area = makeSvg("path", "area");
    tile.stroke = makeSvg("path", "stroke");
    svg.append(tile.area, tile.stroke);
    box.append(value, svg);
    tile.box = box;
    byId("tiles").append(box);
  }
}

// From left to right up to ten minutes; what is not known yet stays empty at the left.
function drawLine(tile, points) {
  const known = points.filter((p) => p !== null);
  const top = Math.max(1, ...known);
  const steps = Math.max(POINTS_SHOWN_MIN, points.length) - 1;
  const offset = steps + 1 - points.length;
  const spots = [];
  points.forEach((point, i) => {
    if (point !== null) {
      const x = ((offset + i) * 100) / steps;
      spots.push(`${x.toFixed(2)} ${(38 - (34 * point) / top).toFixed(2)}`);
    }
  });
  if (spots.length < 2) return;
  const line = `M${spots.join("L")}`;
  tile.stroke.setAttribute("d", line);
  tile.area.setAttribute("d", `${line}L100 40L${spots[0].split(" ")[0]} 40Z`);
}

function drawTiles() {
  for (const tile of TILES) {
    const points = state.points[tile.series] || [];
    const newest = points.length ? points[points.length - 1] : null;
    if (newest !== null) {
      [tile.number.textContent, tile.scale.textContent] = tileText(tile, newest);
    }
    tile.box.classList.toggle("alarm", Boolean(tile.alarm) && newest > 0);
    drawLine(tile, points);
  }
  const seconds = Math.max(POINTS_SHOWN_MIN, (state.points.PUBLISHES || []).length);
  byId("window").textContent = `Lines: the last ${Math.round(seconds / 60)} minutes`;
}

// One row a key, made once and then only changed: a page of counters a second costs little.
class Rows {
  constructor(table, columns) {
    this.body = table.tBodies[0];
    this.columns = columns; // class names
    this.rows = new Map();
  }

  put(key, cells) {
    let row = this.rows.get(key);
    if (!row) {
      row = make("tr");
      for (const name of this.columns) row.append(make("td", name));
      this.rows.set(key, row);
      this.body.append(row);
    }
    cells.forEach((cell, i) => {
      if (cell instanceof Node) row.cells[i].replaceChildren(cell);
      else if (row.cells[i].textContent !== cell) row.cells[i].textContent = cell;
    });
    return row;
  }

  keepFirst(count) {
    for (const key of [...this.rows.keys()].slice(count)) {
      this.rows.get(key).remove();
      this.rows.delete(key);
    }
  }
}

let workers, processes, drops, counters;

function drawWorkers(list) {
  list.forEach((worker, i) => {
    const bar = make("div", "bar");
    const fill = make("span");
    fill.style.width = `${worker.busy_percent}%`;
    bar.append(fill);
    const age = worker.heartbeat_age_ms;
    const beat = age < 0 ? "never" : `${grouped(age)} ms ago`;
    const row = workers.put(i, [String(i), bar, `${worker.busy_percent} %`, beat]);
    row.cells[3].classList.toggle("late", age < 0 || age > 2000);
  });
  workers.keepFirst(list.length);
}

function drawHealth(health) {
  const pill = byId("health");
  pill.textContent = health.status === "ok" ? "healthy" : health.status;
  pill.className = `pill ${health.status === "ok" ? "ok" : "down"}`;
  const list = byId("reasons");
  list.hidden = health.reasons.length === 0;
  list.replaceChildren(...health.reasons.map((r) => make("li", "", r.text)));
}

function drawCounters() {
  let dropped = 0;
  for (const [name, about] of state.about) {
    const value = state.values[name];
    if (value === undefined) continue;
    const rate = state.rates[name] || 0;
    const perSecond = about.kind === "gauge" ? "" : grouped(rate);
    if (about.kind === "error" && value > 0) {
      drops.put(name, [name.slice(4), about.text, about.fault, grouped(value), perSecond]);
      dropped++;
    }
    counters.put(name, [name, about.text, grouped(value), perSecond]);
  }
  byId("drops").hidden = dropped === 0;
  byId("no-drops").hidden = dropped > 0;
}

function filterCounters() {
  const wanted = byId("filter").value.trim().toLowerCase();
  const zeros = byId("zeros").checked || wanted !== "";
  for (const [name, row] of counters.rows) {
    const text = `${name} ${state.about.get(name).text}`.toLowerCase();
    row.hidden = !text.includes(wanted) || (!zeros && state.values[name] === 0);
  }
}

function pushPoint(series, value) {
  const points = (state.points[series] = state.points[series] || []);
  points.push(value);
  if (points.length > POINTS_MAX) points.splice(0, points.length - POINTS_MAX);
}

// Values that an event does not name have not changed: their rate is 0.
function takeEvent(event, whole) {
  const seconds = (event.now_us - state.nowUs) / 1e6;
  const first = state.nowUs === 0 || seconds <= 0;
  const isNewPoint = event.time_ms > state.timeMs;
  let dropRate = 0;
  state.rates = {};
  for (const [name, value] of Object.entries(event.values)) {
    const before = state.values[name];
    if (!first && before !== undefined && value !== before) {
      // A counter that went back was restarted from 0.
      state.rates[name] = (value >= before ? value - before : value) / seconds;
      if (name.startsWith("ERR_")) dropRate += state.rates[name];
    }
    state.values[name] = value;
  }
  state.nowUs = event.now_us;
  state.timeMs = event.time_ms;
  if (!isNewPoint || (whole && first)) return;
  for (const tile of TILES) {
    if (tile.series === "DROPS") pushPoint("DROPS", dropRate);
    else if (GAUGES.has(tile.series)) pushPoint(tile.series, state.values[tile.series]);
    else pushPoint(tile.series, state.rates[tile.series] || 0);
  }
}

function draw(event) {
  drawHealth(event.health);
  drawWorkers(event.workers);
  drawTiles();
  drawCounters();
  filterCounters();
}

function listen() {
  const source = new EventSource("/api/v1/monitor/events");
  const stream = byId("stream");
  const on = (whole) => (message) => {
    const event = JSON.parse(message.data);
    takeEvent(event, whole);
    draw(event);
    stream.textContent = "live";
    stream.classList.add("live");
  };
  source.addEventListener("all", on(true));
  source.addEventListener("changes", on(false));
  source.addEventListener("error", () => {
    stream.textContent = "reconnecting";
    stream.classList.remove("live");
  });
}

async function get(path) {
  const answer = await fetch(path, { cache: "no-store" });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

const END = { signal: "killed by signal", exit: "ended with" };

function drawOverview(overview) {
  const facts = [`version ${overview.version}`];
  if (overview.uptime_s !== null) facts.push(`up ${duration(overview.uptime_s)}`);
  const known = overview.facts;
  if (known) facts.push(`MQTT at ${known.address}:${known.mqtt_port} (${known.nic})`);
  byId("facts").textContent = facts.join(" \u00b7 ");
  const impaired = byId("impaired");
  impaired.hidden = !known || known.impair === "off";
  if (known) impaired.textContent = `impaired: ${known.impair}`;
  for (const [name, p] of Object.entries(overview.processes)) {
    const text = p.state || (p.ready ? "ready" : "unknown");
    const cells = [name, text, duration(p.uptime_s), p.generation, p.restarts];
    const row = processes.put(name, cells.map((c) => (c === undefined ? "\u2013" : String(c))));
    row.title = p.last_end ? `last: ${END[p.last_end.by]} ${p.last_end.code}` : "";
    row.cells[1].classList.toggle("late", p.state !== undefined && p.state !== "runs");
  }
}

// Facts that change rarely are asked for every few seconds; the stream carries the rest.
async function watchOverview() {
  try {
    drawOverview(await get("/api/v1/monitor/overview"));
  } catch {
    // The stream's state already says that nobody answers.
  }
  setTimeout(watchOverview, 5000);
}

async function start() {
  try {
    const [all, history] = await Promise.all([
      get("/api/v1/monitor/counters"),
      get("/api/v1/monitor/history"),
    ]);
    for (const row of all.counters) {
      state.about.set(row.name, { kind: row.kind, text: row.text, fault: row.fault || "" });
      if (row.kind === "gauge") GAUGES.add(row.name);
    }
    state.points = history.series;
    state.timeMs = history.times_ms.length ? history.times_ms[history.times_ms.length - 1] : 0;
  } catch {
    setTimeout(start, 2000);
    return;
  }
  drawTiles();
  watchOverview();
  listen();
}

document.addEventListener("DOMContentLoaded", () => {
  workers = new Rows(byId("workers"), ["", "busy", "number", "number"]);
  processes = new Rows(byId("processes"), ["", "", "number", "number", "number"]);
  drops = new Rows(byId("drops"), ["name", "wide", "wide", "number", "number"]);
  counters = new Rows(byId("counters"), ["name", "wide", "number", "number"]);
  byId("filter").addEventListener("input", filterCounters);
  byId("zeros").addEventListener("input", filterCounters);
  makeTiles();
  start();
});
