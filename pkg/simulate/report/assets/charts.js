// Draws the charts of a report from the data in the page, with uPlot. Nothing is fetched.
(function () {
  "use strict";
  const D = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const alpha = (color, a) => color + Math.round(a * 255).toString(16).padStart(2, "0");

  // ---- how numbers are written: the same as in the rest of the report ----
  const number = (v) => v == null ? "" : v.toLocaleString("en-GB", { maximumFractionDigits: Math.abs(v) >= 100 ? 0 : Math.abs(v) >= 10 ? 1 : 2 });
  const percent = (v) => v == null ? "" : (v * 100).toLocaleString("en-GB", { maximumFractionDigits: v > 0 && v < 0.001 ? 3 : v < 0.01 || v > 0.99 && v < 1 ? 2 : 1 }) + " %";
  function seconds(s) {
    if (s == null) return "";
    if (s === 0) return "0 s";
    if (s < 0.9995) return s < 0.001 ? "< 1 ms" : Math.round(s * 1000) + " ms";
    if (s < 59.95) return +s.toFixed(1) + " s";
    const two = (n) => String(n).padStart(2, "0");
    if (s < 3599.5) { const n = Math.round(s); return Math.floor(n / 60) + " m " + two(n % 60) + " s"; }
    if (s < 86370) { const n = Math.round(s / 60); return Math.floor(n / 60) + " h " + two(n % 60) + " m"; }
    const n = Math.round(s / 3600);
    return Math.floor(n / 24) + " d " + two(n % 24) + " h";
  }
  // A tick has one unit, so that it is short.
  function tick(s) {
    if (s == null) return "";
    if (s < 1) return s === 0 ? "0" : +(s * 1000).toPrecision(2) + " ms";
    for (const [unit, size] of [["d", 86400], ["h", 3600], ["m", 60]]) if (s >= size) return +(s / size).toPrecision(2) + " " + unit;
    return +s.toPrecision(3) + " s";
  }

  // ---- the zone of the run; a zone that the browser does not know is shown by its offset ----
  let zone = "UTC", shift = D.offset || 0;
  try { if (D.zone) { new Intl.DateTimeFormat("en-GB", { timeZone: D.zone }); zone = D.zone; shift = 0; } } catch { /* the offset it is */ }
  const dateIn = (options) => { const f = new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...options }); return (t) => f.format(new Date((t + shift) * 1000)); };
  const fullTime = dateIn({ weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const hourOf = dateIn({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const dayOf = dateIn({ day: "numeric", month: "short" });
  const tzDate = (t) => uPlot.tzDate(new Date((t + shift) * 1000), zone);

  // ---- what all charts share ----
  const charts = [];
  const font = () => "11.5px " + getComputedStyle(document.body).fontFamily;
  const axis = (extra) => Object.assign({ stroke: css("muted"), font: font(), grid: { stroke: css("grid"), width: 1 }, ticks: { show: false }, gap: 6, size: 30 }, extra);
  const spans = [0.001, 0.005, 0.02, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 86400, 4 * 86400, 16 * 86400, 64 * 86400];
  const spanSplits = (u, i, min, max) => { // on a logarithmic scale
    const within = (list) => list.filter((v) => v >= min * 0.999 && v <= max * 1.001);
    return within(spans).length >= 4 ? within(spans) : within(spanSteps);
  };
  const all = (u, splits) => splits; // uPlot would name decades only
  const spanSteps = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800,
    86400, 172800, 432000, 864000, 2592000, 7776000];
  const fromZero = (u, min, max) => [0, max > 0 ? max * 1.06 : 1];
  function plot(id, options, data) {
    const box = byId(id);
    const u = new uPlot(Object.assign({
      width: Math.max(box.clientWidth, 240), padding: [8, 12, 0, 0],
      legend: { markers: { width: 0, fill: (u, i) => u.series[i].mark || u.series[i].stroke(u, i) } },
    }, options), data, box);
    charts.push({ u, box });
    return u;
  }

  // ---- timelines: one range and one cursor for all ----
  const line = { charts: [], t0: 0, t1: 0, min: 0, max: 0 };
  function setRange(min, max) {
    const least = Math.min(4 * D.step, line.t1 - line.t0);
    let span = Math.min(Math.max(max - min, least), line.t1 - line.t0);
    if (max - min < least) min = (min + max - span) / 2;
    min = Math.min(Math.max(min, line.t0), line.t1 - span);
    line.min = min; line.max = min + span;
    for (const u of line.charts) u.setScale("x", { min, max: min + span });
  }
  const zoom = (factor, at) => setRange(at - (at - line.min) * factor, at + (line.max - at) * factor);
  const middle = () => (line.min + line.max) / 2;
  const pan = (share) => setRange(line.min + share * (line.max - line.min), line.max + share * (line.max - line.min));
  const reset = () => setRange(line.t0, line.t1);

  const policyColor = (index) => index < 0 ? css("p0") : css("p" + (1 + index % 7));
  const policyAt = (t) => { let now = -1; for (const [at, index] of D.edges) { if (D.start + at > t) break; now = index; } return now; };
  const policyName = (index) => index < 0 ? "no policy" : D.policies[index] || "policy " + (index + 1);

  // Paints the windows in which a policy held: faint behind the curves, strong in their own strip.
  function windows(u, strong) {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath(); ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height); ctx.clip();
    D.edges.forEach(([at, index], i) => {
      const from = D.start + at, to = i + 1 < D.edges.length ? D.start + D.edges[i + 1][0] : line.t1;
      if (to <= line.min || from >= line.max) return;
      const x = Math.max(u.valToPos(from, "x", true), bbox.left), end = Math.min(u.valToPos(to, "x", true), bbox.left + bbox.width);
      ctx.fillStyle = alpha(policyColor(index), strong ? 0.85 : D.policies.length > 1 || index < 0 ? 0.06 : 0);
      ctx.fillRect(x, bbox.top, end - x, bbox.height);
      if (!strong) return;
      const text = policyName(index);
      ctx.font = 11 * devicePixelRatio + "px " + getComputedStyle(document.body).fontFamily;
      if (ctx.measureText(text).width + 14 * devicePixelRatio < end - x) {
        ctx.fillStyle = css("card"); ctx.textAlign = "left"; ctx.textBaseline = "middle";
        ctx.fillText(text, x + 7 * devicePixelRatio, bbox.top + bbox.height / 2 + 1);
      }
    });
    if (D.warmup > 0 && !strong) { // not part of any figure
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
        over.addEventListener("wheel", (e) => {
          const whole = line.max - line.min >= line.t1 - line.t0;
          if (Math.abs(e.deltaX) > Math.abs(e.deltaY)) { if (!whole) { e.preventDefault(); pan(e.deltaX / over.clientWidth); } return; }
          if (e.deltaY > 0 && whole) return; // nothing to zoom out of: the page scrolls
          e.preventDefault();
          zoom(Math.exp(Math.min(Math.max(e.deltaY, -100), 100) / 300), at(e));
        }, { passive: false });
        over.addEventListener("mousedown", (e) => {
          if (!e.shiftKey && e.button !== 1) return;
          e.preventDefault(); e.stopImmediatePropagation();
          const x = e.clientX, min = line.min, scale = (line.max - line.min) / over.clientWidth;
          document.body.classList.add("panning");
          const move = (m) => setRange(min - (m.clientX - x) * scale, min - (m.clientX - x) * scale + scale * over.clientWidth);
          const up = () => { document.body.classList.remove("panning"); removeEventListener("mousemove", move); removeEventListener("mouseup", up); };
          addEventListener("mousemove", move); addEventListener("mouseup", up);
        }, { capture: true });
      },
      setSelect: (u) => {
        if (u.select.width < 4) return;
        const min = u.posToVal(u.select.left, "x"), max = u.posToVal(u.select.left + u.select.width, "x");
        u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        setRange(min, max);
      },
      setCursor: readout,
    },
  };

  function timeAxis(show) {
    return axis({
      show, size: 30, space: 70,
      values: (u, splits, i, space, incr) => splits.map((t) => incr >= 86400 || hourOf(t) === "00:00" ? dayOf(t) : hourOf(t)),
    });
  }
  function timeline(id, height, series, data, options) {
    const u = plot(id, Object.assign({
      height, tzDate, padding: [8, 12, 7, 0], plugins: [gestures],
      scales: { x: { time: true, auto: false, min: line.t0, max: line.t1 }, y: { range: fromZero } },
      axes: [timeAxis(false), axis({ size: 52, values: (u, splits) => splits.map(number) })],
      series: [{}, ...series],
      hooks: { drawClear: [(u) => windows(u, false)] },
      cursor: {
        sync: { key: "timeline", scales: ["x", null] }, drag: { x: true, y: false, setScale: false }, y: false, points: { size: 6 },
        bind: { dblclick: () => () => { reset(); return null; } },
      },
    }, options), data);
    line.charts.push(u);
    return u;
  }
  const stepped = uPlot.paths.stepped({ align: 1 });
  const curve = (label, color, extra) => Object.assign({ label, stroke: color, width: 1.5, paths: stepped, points: { show: false }, value: (u, v) => number(v) }, extra);

  function timelines() {
    if (!D.queue || !D.queue.length || !byId("queue")) return;
    const x = D.queue.map((_, i) => D.start + i * D.step);
    line.t0 = D.start; line.t1 = D.start + D.queue.length * D.step; line.charts = [];
    if (!line.max) { line.min = line.t0; line.max = line.t1; }
    timeline("queue", 170, [
      curve("largest in the step", alpha(css("queue"), 0.45), { width: 1 }),
      curve("waiting", css("queue"), { fill: alpha(css("queue"), 0.22) }),
    ], [x, D.peak, D.queue]);
    timeline("running", 140, [curve("running", css("busy"), { fill: alpha(css("busy"), 0.14) })], [x, D.running]);
    // Stacked: each curve is drawn with all below it, the highest first.
    const states = [["busy", D.busy], ["idle", D.idle], ["boot", D.booting], ["drain", D.drain]];
    const sums = []; let below = x.map(() => 0);
    for (const [, values] of states) { below = below.map((v, i) => v + values[i]); sums.push(below); }
    const names = { busy: "busy", idle: "idle", boot: "booting", drain: "draining" };
    timeline("supply", 210, [
      ...states.map(([name, values], k) => curve(names[name], css(name), { fill: css(name), width: 0, value: (u, v, s, i) => i == null ? "" : number(values[i]) })).reverse(),
      curve("all", "transparent", { width: 0, points: { show: false } }),
    ], [x, ...sums.slice().reverse(), below]);
    timeline("policy", 66, [curve("policy", "transparent", { width: 0 })], [x, x.map(() => 0.5)], {
      scales: { x: { time: true, auto: false, min: line.t0, max: line.t1 }, y: { range: [0, 1] } },
      axes: [Object.assign(timeAxis(true), { grid: { show: false } }), axis({ size: 52, grid: { show: false }, values: (u, splits) => splits.map(() => "") })],
      hooks: { drawClear: [(u) => windows(u, true)] },
    });
    setRange(line.min, line.max);
  }

  // ---- waits ----
  const bars = uPlot.paths.bars({ size: [0.82, 64], radius: 0.12 });
  const ordinal = (n) => ({ time: false, range: [-0.6, n - 0.4] });
  const cursor = () => ({ drag: { x: false, y: false }, y: false, points: { show: false } });
  function histogram() {
    if (!byId("histogram") || !D.histogram) return;
    const total = D.histogram.reduce((n, b) => n + b.jobs, 0) || 1;
    const h = D.histogram.filter((b) => b.to > 0); // those that did not wait would dwarf the others: the title counts them
    const label = (b) => b.from === 0 ? "up to " + seconds(b.to) : seconds(b.from) + " to " + seconds(b.to);
    plot("histogram", {
      height: 230, scales: { x: ordinal(h.length), y: { range: fromZero } }, cursor: cursor(),
      axes: [
        axis({ grid: { show: false }, splits: () => h.map((_, i) => i), values: (u, s) => s.map((i) => h.length > 9 && i % 2 ? "" : h[i].from === 0 ? "< 1 s" : tick(h[i].from)) }),
        axis({ size: 52, values: (u, splits) => splits.map(percent) }),
      ],
      series: [
        { label: "wait", value: (u, v, s, i) => i == null ? "" : label(h[i]) },
        { label: "jobs", stroke: css("queue"), fill: css("queue"), width: 0, paths: bars, points: { show: false }, value: (u, v, s, i) => i == null ? "" : number(h[i].jobs) + " (" + percent(v) + ")" },
      ],
    }, [h.map((_, i) => i), h.map((b) => b.jobs / total)]);
  }
  const runColor = (i) => css("p" + (1 + i % 7));
  function distribution() {
    if (!byId("cdf") || !D.cdf || !D.cdf.x.length) return;
    plot("cdf", {
      height: D.cdf.runs.length > 1 ? 280 : 230,
      cursor: { drag: { x: false, y: false }, y: false, points: { size: 6 } },
      scales: { x: { time: false, distr: 3, range: [D.cdf.x[0], D.cdf.x[D.cdf.x.length - 1]] }, y: { range: (u, min) => [Math.max(0, 1 - (1 - min) * 1.15), 1] } },
      axes: [
        axis({ splits: spanSplits, filter: all, values: (u, splits) => splits.map(tick) }),
        axis({ size: 52, values: (u, splits) => splits.map((v) => v > 1 ? "" : percent(v)) }),
      ],
      series: [
        { label: "waited at most", value: (u, v) => seconds(v) },
        ...D.cdf.runs.map((run, i) => ({ label: run.name || "jobs", stroke: D.cdf.runs.length > 1 ? runColor(i) : css("accent"), width: 2, points: { show: false },
          fill: D.cdf.runs.length > 1 ? undefined : alpha(css("accent"), 0.1), value: (u, v) => percent(v) })),
      ],
    }, [D.cdf.x, ...D.cdf.runs.map((run) => run.y)]);
  }
  function hours() {
    if (!byId("hours") || !D.hours || !D.hours.length) return;
    const h = D.hours;
    plot("hours", {
      height: 210, scales: { x: ordinal(h.length), y: { range: fromZero }, jobs: { range: (u, min, max) => [0, max * 1.06 || 1] } }, cursor: cursor(),
      axes: [
        axis({ grid: { show: false }, splits: () => h.map((_, i) => i), values: (u, s) => s.map((i) => i % 3 ? "" : h[i].name) }),
        axis({ size: 60, incrs: spanSteps, values: (u, splits) => splits.map(tick) }),
        axis({ scale: "jobs", side: 1, size: 56, grid: { show: false }, values: (u, splits) => splits.map(number) }),
      ],
      series: [
        { label: "arrived at", value: (u, v, s, i) => i == null ? "" : h[i].name },
        { label: "p95 wait", mark: alpha(css("queue"), 0.4), stroke: css("queue"), fill: alpha(css("queue"), 0.4), width: 0, paths: bars, points: { show: false }, value: (u, v) => seconds(v) },
        { label: "mean wait", stroke: css("queue"), width: 2, points: { show: true, size: 5, fill: css("card") }, value: (u, v) => seconds(v) },
        { label: "jobs (right)", scale: "jobs", stroke: css("muted"), width: 1.5, dash: [4, 4], points: { show: false }, value: (u, v) => number(v) },
      ],
    }, [h.map((_, i) => i), h.map((b) => b.p95), h.map((b) => b.mean), h.map((b) => b.jobs)]);
  }

  // ---- cost against waiting ----
  function pareto() {
    if (!byId("pareto") || !D.pareto) return;
    const points = D.pareto.points.slice().sort((a, b) => a.cost - b.cost); // uPlot wants x ascending
    const pick = (test) => points.map((p) => test(p) ? p.p95_wait : null);
    const none = () => null;
    const dots = (size, shape) => (u, s) => { // draws a mark at every point of the series; returns no path of its own
      const { ctx } = u; const r = size * devicePixelRatio;
      ctx.save();
      ctx.beginPath(); ctx.rect(u.bbox.left - r, u.bbox.top - r, u.bbox.width + 2 * r, u.bbox.height + 2 * r); ctx.clip();
      ctx.fillStyle = u.series[s].mark; ctx.strokeStyle = css("card"); ctx.lineWidth = 1.5 * devicePixelRatio;
      u.data[s].forEach((v, i) => {
        if (v == null) return;
        const x = u.valToPos(u.data[0][i], "x", true), y = u.valToPos(v, "y", true);
        ctx.beginPath();
        if (shape === "diamond") { ctx.moveTo(x, y - 1.3 * r); ctx.lineTo(x + 1.3 * r, y); ctx.lineTo(x, y + 1.3 * r); ctx.lineTo(x - 1.3 * r, y); ctx.closePath(); }
        else if (shape === "square") ctx.rect(x - r, y - r, 2 * r, 2 * r);
        else ctx.arc(x, y, r, 0, 2 * Math.PI);
        ctx.fill(); ctx.stroke();
      });
      ctx.restore();
      return null;
    };
    const marks = (label, color, size, shape) => ({ label, stroke: color, fill: color, mark: color, points: { show: false }, paths: dots(size, shape), value: none });
    const front = points.filter((p) => p.on_front);
    const waits = points.map((p) => p.p95_wait), costs = points.map((p) => p.cost);
    const top = Math.max(...waits), low = Math.min(...waits), log = low > 0 && top > 20 * low;
    const margin = (Math.max(...costs) - Math.min(...costs)) * 0.04 || Math.max(...costs) * 0.05 || 1;
    const u = plot("pareto", {
      height: 380, padding: [12, 16, 0, 0],
      cursor: { drag: { x: false, y: false }, points: { show: false }, x: false, y: false },
      scales: { x: { time: false, range: [Math.min(...costs) - margin, Math.max(...costs) + margin] },
        y: log ? { distr: 3, range: [low / 1.4, top * 1.4] } : { range: [0, top * 1.08 || 1] } },
      axes: [axis({ label: D.pareto.cost_name, labelFont: font(), labelSize: 22, values: (u, s) => s.map(number) }),
        axis(Object.assign({ size: 60, label: "p95 wait", labelFont: font(), labelSize: 22, values: (u, s) => s.map(tick) }, log ? { splits: spanSplits, filter: all } : { incrs: spanSteps }))],
      series: [
        { label: "cost", value: none },
        marks("tried", alpha(css("muted"), 0.55), 3), marks("on the front", css("accent"), 4.5),
        marks("recommended", css("good"), 6, "diamond"), marks("today", css("queue"), 5.5, "square"),
      ],
      hooks: {
        drawAxes: [(u) => { // the front, as the staircase that it is
          const { ctx } = u;
          ctx.save(); ctx.strokeStyle = alpha(css("accent"), 0.5); ctx.lineWidth = 1.5 * devicePixelRatio; ctx.beginPath();
          front.forEach((p, i) => {
            const x = u.valToPos(p.cost, "x", true), y = u.valToPos(p.p95_wait, "y", true);
            if (i) ctx.lineTo(x, u.valToPos(front[i - 1].p95_wait, "y", true)); else ctx.moveTo(x, y);
            ctx.lineTo(x, y);
          });
          ctx.stroke(); ctx.restore();
        }],
        setCursor: [(u) => {
          const { left, top: y } = u.cursor; const out = byId("point");
          let best = null, least = 24;
          if (left >= 0) for (const p of points) {
            const d = Math.hypot(u.valToPos(p.cost, "x") - left, u.valToPos(p.p95_wait, "y") - y);
            if (d < least) { least = d; best = p; }
          }
          out.textContent = best ? best.name + ": p95 wait " + seconds(best.p95_wait) + ", " + D.pareto.cost_name + " " + number(best.cost) +
            (best.today ? " (today)" : best.chosen ? " (recommended)" : "") : "Point at a mark to see its policy.";
        }],
      },
    }, [costs, pick(() => true), pick((p) => p.on_front), pick((p) => p.chosen), pick((p) => p.today)]);
    return u;
  }

  function draw() {
    for (const c of charts) c.u.destroy();
    charts.length = 0;
    timelines(); histogram(); distribution(); hours(); pareto();
    document.documentElement.dataset.charts = charts.length;
  }
  for (const [id, act] of [["zoom-in", () => zoom(0.5, middle())], ["zoom-out", () => zoom(2, middle())], ["earlier", () => pan(-0.5)],
    ["later", () => pan(0.5)], ["reset", reset]]) {
    const button = byId(id);
    if (button) button.addEventListener("click", act);
  }
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  let width = document.documentElement.clientWidth, waiting = 0;
  addEventListener("resize", () => {
    if (document.documentElement.clientWidth === width) return;
    width = document.documentElement.clientWidth;
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(() => charts.forEach(({ u, box }) => u.setSize({ width: box.clientWidth, height: u.height })));
  });
})();
