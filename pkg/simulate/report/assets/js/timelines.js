// The curves over time, with one range and one cursor.
const line = { charts: [], t0: 0, t1: 0, min: 0, max: 0 };
function setRange(min, max) {
  const least = Math.min(4 * D.step, line.t1 - line.t0);
  let span = Math.min(Math.max(max - min, least), line.t1 - line.t0);
  if (max - min < least) min = (min + max - span) / 2;
  min = Math.min(Math.max(min, line.t0), line.t1 - span);
  line.min = min;
  line.max = min + span;
  for (const u of line.charts) u.setScale("x", { min, max: min + span });
}
const zoom = (factor, at) => setRange(at - (at - line.min) * factor, at + (line.max - at) * factor);
const middle = () => (line.min + line.max) / 2;
const pan = (share) => setRange(line.min + share * (line.max - line.min), line.max + share * (line.max - line.min));
const reset = () => setRange(line.t0, line.t1);

const policyColor = (index) => (index < 0 ? css("p0") : css("p" + (1 + (index % 7))));
const policyAt = (t) => {
  let now = -1;
  for (const [at, index] of D.edges) {
    if (D.start + at > t) break;
    now = index;
  }
  return now;
};
const policyName = (index) => (index < 0 ? "no policy" : D.policies[index] || "policy " + (index + 1));

// Paints the windows in which a policy held: faint behind the curves, strong in their own strip.
function windows(u, strong) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  D.edges.forEach(([at, index], i) => {
    const from = D.start + at,
      to = i + 1 < D.edges.length ? D.start + D.edges[i + 1][0] : line.t1;
    if (to <= line.min || from >= line.max) return;
    const x = Math.max(u.valToPos(from, "x", true), bbox.left),
      end = Math.min(u.valToPos(to, "x", true), bbox.left + bbox.width);
    ctx.fillStyle = alpha(policyColor(index), strong ? 0.85 : D.policies.length > 1 || index < 0 ? 0.06 : 0);
    ctx.fillRect(x, bbox.top, end - x, bbox.height);
    if (!strong) return;
    const text = policyName(index);
    ctx.font = 11 * devicePixelRatio + "px " + getComputedStyle(document.body).fontFamily;
    if (ctx.measureText(text).width + 14 * devicePixelRatio < end - x) {
      ctx.fillStyle = css("card");
      ctx.textAlign = "left";
      ctx.textBaseline = "middle";
      ctx.fillText(text, x + 7 * devicePixelRatio, bbox.top + bbox.height / 2 + 1);
    }
  });
  if (D.warmup > 0 && !strong) {
    // not part of any figure
    ctx.fillStyle = alpha(css("muted"), 0.16);
    ctx.fillRect(bbox.left, bbox.top, u.valToPos(D.start + D.warmup, "x", true) - bbox.left, bbox.height);
  }
  ctx.restore();
}

function readout(u) {
  const i = u.cursor.idx;
  const out = byId("read");
  out.textContent = "";
  if (i == null) return;
  const b = document.createElement("b");
  b.textContent = fullTime(u.data[0][i]);
  out.append(b, " · " + policyName(policyAt(u.data[0][i])));
}

const gestures = {
  hooks: {
    ready: (u) => {
      const over = u.over;
      const at = (e) => u.posToVal(e.clientX - over.getBoundingClientRect().left, "x");
      over.addEventListener(
        "wheel",
        (e) => {
          const whole = line.max - line.min >= line.t1 - line.t0;
          if (Math.abs(e.deltaX) > Math.abs(e.deltaY)) {
            if (!whole) {
              e.preventDefault();
              pan(e.deltaX / over.clientWidth);
            }
            return;
          }
          if (e.deltaY > 0 && whole) return; // nothing to zoom out of: the page scrolls
          e.preventDefault();
          zoom(Math.exp(Math.min(Math.max(e.deltaY, -100), 100) / 300), at(e));
        },
        { passive: false },
      );
      over.addEventListener(
        "mousedown",
        (e) => {
          if (!e.shiftKey && e.button !== 1) return;
          e.preventDefault();
          e.stopImmediatePropagation();
          const x = e.clientX,
            min = line.min,
            scale = (line.max - line.min) / over.clientWidth;
          document.body.classList.add("panning");
          const move = (m) => setRange(min - (m.clientX - x) * scale, min - (m.clientX - x) * scale + scale * over.clientWidth);
          const up = () => {
            document.body.classList.remove("panning");
            removeEventListener("mousemove", move);
            removeEventListener("mouseup", up);
          };
          addEventListener("mousemove", move);
          addEventListener("mouseup", up);
        },
        { capture: true },
      );
    },
    setSelect: (u) => {
      if (u.select.width < 4) return;
      const min = u.posToVal(u.select.left, "x"),
        max = u.posToVal(u.select.left + u.select.width, "x");
      u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
      setRange(min, max);
    },
    setCursor: readout,
  },
};

function timeAxis(show) {
  return axis({
    show,
    size: 30,
    space: 70,
    values: (u, splits, i, space, incr) => splits.map((t) => (incr >= 86400 || hourOf(t) === "00:00" ? dayOf(t) : hourOf(t))),
  });
}
function timeline(id, height, series, data, options) {
  const u = plot(
    id,
    Object.assign(
      {
        height,
        tzDate,
        padding: [8, 12, 7, 0],
        plugins: [gestures],
        scales: { x: { time: true, auto: false, min: line.t0, max: line.t1 }, y: { range: fromZero } },
        axes: [timeAxis(false), axis({ size: 52, values: (u, splits) => splits.map(number) })],
        series: [{}, ...series],
        hooks: { drawClear: [(u) => windows(u, false)] },
        cursor: {
          sync: { key: "timeline", scales: ["x", null] },
          drag: { x: true, y: false, setScale: false },
          y: false,
          points: { size: 6 },
          bind: {
            dblclick: () => () => {
              reset();
              return null;
            },
          },
        },
      },
      options,
    ),
    data,
  );
  line.charts.push(u);
  return u;
}
const stepped = uPlot.paths.stepped({ align: 1 });
const curve = (label, color, extra) =>
  Object.assign({ label, stroke: color, width: 1.5, paths: stepped, points: { show: false }, value: (u, v) => number(v) }, extra);

function timelines() {
  if (!D.queue || !D.queue.length || !byId("queue")) return;
  const x = D.queue.map((_, i) => D.start + i * D.step);
  line.t0 = D.start;
  line.t1 = D.start + D.queue.length * D.step;
  line.charts = [];
  if (!line.max) {
    line.min = line.t0;
    line.max = line.t1;
  }
  timeline(
    "queue",
    170,
    [curve("largest in the step", alpha(css("queue"), 0.45), { width: 1 }), curve("waiting", css("queue"), { fill: alpha(css("queue"), 0.22) })],
    [x, D.peak, D.queue],
  );
  timeline("running", 140, [curve("running", css("busy"), { fill: alpha(css("busy"), 0.14) })], [x, D.running]);
  // Stacked: each curve is drawn with all below it, the highest first.
  const states = [
    ["busy", D.busy],
    ["idle", D.idle],
    ["boot", D.booting],
    ["drain", D.drain],
  ];
  const sums = [];
  let below = x.map(() => 0);
  for (const [, values] of states) {
    below = below.map((v, i) => v + values[i]);
    sums.push(below);
  }
  const names = { busy: "busy", idle: "idle", boot: "booting", drain: "draining" };
  timeline(
    "supply",
    210,
    [
      ...states
        .map(([name, values], k) =>
          curve(names[name], css(name), { fill: css(name), width: 0, value: (u, v, s, i) => (i == null ? "" : number(values[i])) }),
        )
        .reverse(),
      curve("all", "transparent", { width: 0, points: { show: false } }),
    ],
    [x, ...sums.slice().reverse(), below],
  );
  timeline("policy", 66, [curve("policy", "transparent", { width: 0 })], [x, x.map(() => 0.5)], {
    scales: { x: { time: true, auto: false, min: line.t0, max: line.t1 }, y: { range: [0, 1] } },
    axes: [
      Object.assign(timeAxis(true), { grid: { show: false } }),
      axis({ size: 52, grid: { show: false }, values: (u, splits) => splits.map(() => "") }),
    ],
    hooks: { drawClear: [(u) => windows(u, true)] },
  });
  setRange(line.min, line.max);
}
