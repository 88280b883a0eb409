// What all charts share: the data of the page, numbers and times for people, colours, and plot. Nothing is fetched.
const D = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const css = (name) =>
  getComputedStyle(document.documentElement)
    .getPropertyValue("--" + name)
    .trim();
const alpha = (color, a) =>
  color +
  Math.round(a * 255)
    .toString(16)
    .padStart(2, "0");

const number = (v) => (v == null ? "" : v.toLocaleString("en-GB", { maximumFractionDigits: Math.abs(v) >= 100 ? 0 : Math.abs(v) >= 10 ? 1 : 2 }));
const percent = (v) =>
  v == null
    ? ""
    : (v * 100).toLocaleString("en-GB", { maximumFractionDigits: v > 0 && v < 0.001 ? 3 : v < 0.01 || (v > 0.99 && v < 1) ? 2 : 1 }) + " %";
function seconds(s) {
  if (s == null) return "";
  if (s === 0) return "0 s";
  if (s < 0.9995) return s < 0.001 ? "< 1 ms" : Math.round(s * 1000) + " ms";
  if (s < 59.95) return +s.toFixed(1) + " s";
  const two = (n) => String(n).padStart(2, "0");
  if (s < 3599.5) {
    const n = Math.round(s);
    return Math.floor(n / 60) + " m " + two(n % 60) + " s";
  }
  if (s < 86370) {
    const n = Math.round(s / 60);
    return Math.floor(n / 60) + " h " + two(n % 60) + " m";
  }
  const n = Math.round(s / 3600);
  return Math.floor(n / 24) + " d " + two(n % 24) + " h";
}
// A tick has one unit, so that it is short.
function tick(s) {
  if (s == null) return "";
  if (s < 1) return s === 0 ? "0" : +(s * 1000).toPrecision(2) + " ms";
  for (const [unit, size] of [
    ["d", 86400],
    ["h", 3600],
    ["m", 60],
  ])
    if (s >= size) return +(s / size).toPrecision(2) + " " + unit;
  return +s.toPrecision(3) + " s";
}

let zone = "UTC",
  shift = D.offset || 0;
try {
  if (D.zone) {
    new Intl.DateTimeFormat("en-GB", { timeZone: D.zone });
    zone = D.zone;
    shift = 0;
  }
} catch {
  /* the offset it is */
}
const dateIn = (options) => {
  const f = new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...options });
  return (t) => f.format(new Date((t + shift) * 1000));
};
const fullTime = dateIn({ weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const hourOf = dateIn({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const dayOf = dateIn({ day: "numeric", month: "short" });
const tzDate = (t) => uPlot.tzDate(new Date((t + shift) * 1000), zone);

const charts = [];
const font = () => "11.5px " + getComputedStyle(document.body).fontFamily;
const axis = (extra) =>
  Object.assign({ stroke: css("muted"), font: font(), grid: { stroke: css("grid"), width: 1 }, ticks: { show: false }, gap: 6, size: 30 }, extra);
const spans = [0.001, 0.005, 0.02, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 86400, 4 * 86400, 16 * 86400, 64 * 86400];
const spanSplits = (u, i, min, max) => {
  // on a logarithmic scale
  const within = (list) => list.filter((v) => v >= min * 0.999 && v <= max * 1.001);
  return within(spans).length >= 4 ? within(spans) : within(spanSteps);
};
const all = (u, splits) => splits; // uPlot would name decades only
const spanSteps = [
  0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400,
  172800, 432000, 864000, 2592000, 7776000,
];
const fromZero = (u, min, max) => [0, max > 0 ? max * 1.06 : 1];
function plot(id, options, data) {
  const box = byId(id);
  const u = new uPlot(
    Object.assign(
      {
        width: Math.max(box.clientWidth, 240),
        padding: [8, 12, 0, 0],
        legend: { markers: { width: 0, fill: (u, i) => u.series[i].mark || u.series[i].stroke(u, i) } },
      },
      options,
    ),
    data,
    box,
  );
  charts.push({ u, box });
  return u;
}
