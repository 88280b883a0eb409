// The charts of the waits.
const bars = uPlot.paths.bars({ size: [0.82, 64], radius: 0.12 });
const ordinal = (n) => ({ time: false, range: [-0.6, n - 0.4] });
const cursor = () => ({ drag: { x: false, y: false }, y: false, points: { show: false } });
function histogram() {
  if (!byId("histogram") || !D.histogram) return;
  const total = D.histogram.reduce((n, b) => n + b.jobs, 0) || 1;
  const h = D.histogram.filter((b) => b.to > 0); // those that did not wait would dwarf the others: the title counts them
  const label = (b) => (b.from === 0 ? "up to " + seconds(b.to) : seconds(b.from) + " to " + seconds(b.to));
  plot(
    "histogram",
    {
      height: 230,
      scales: { x: ordinal(h.length), y: { range: fromZero } },
      cursor: cursor(),
      axes: [
        axis({
          grid: { show: false },
          splits: () => h.map((_, i) => i),
          values: (u, s) => s.map((i) => (h.length > 9 && i % 2 ? "" : h[i].from === 0 ? "< 1 s" : tick(h[i].from))),
        }),
        axis({ size: 52, values: (u, splits) => splits.map(percent) }),
      ],
      series: [
        { label: "wait", value: (u, v, s, i) => (i == null ? "" : label(h[i])) },
        {
          label: "jobs",
          stroke: css("queue"),
          fill: css("queue"),
          width: 0,
          paths: bars,
          points: { show: false },
          value: (u, v, s, i) => (i == null ? "" : number(h[i].jobs) + " (" + percent(v) + ")"),
        },
      ],
    },
    [h.map((_, i) => i), h.map((b) => b.jobs / total)],
  );
}
const runColor = (i) => css("p" + (1 + (i % 7)));
function distribution() {
  if (!byId("cdf") || !D.cdf || !D.cdf.x.length) return;
  plot(
    "cdf",
    {
      height: D.cdf.runs.length > 1 ? 280 : 230,
      cursor: { drag: { x: false, y: false }, y: false, points: { size: 6 } },
      scales: {
        x: { time: false, distr: 3, range: [D.cdf.x[0], D.cdf.x[D.cdf.x.length - 1]] },
        y: { range: (u, min) => [Math.max(0, 1 - (1 - min) * 1.15), 1] },
      },
      axes: [
        axis({ splits: spanSplits, filter: all, values: (u, splits) => splits.map(tick) }),
        axis({ size: 52, values: (u, splits) => splits.map((v) => (v > 1 ? "" : percent(v))) }),
      ],
      series: [
        { label: "waited at most", value: (u, v) => seconds(v) },
        ...D.cdf.runs.map((run, i) => ({
          label: run.name || "jobs",
          stroke: D.cdf.runs.length > 1 ? runColor(i) : css("accent"),
          width: 2,
          points: { show: false },
          fill: D.cdf.runs.length > 1 ? undefined : alpha(css("accent"), 0.1),
          value: (u, v) => percent(v),
        })),
      ],
    },
    [D.cdf.x, ...D.cdf.runs.map((run) => run.y)],
  );
}
function hours() {
  if (!byId("hours") || !D.hours || !D.hours.length) return;
  const h = D.hours;
  plot(
    "hours",
    {
      height: 210,
      scales: { x: ordinal(h.length), y: { range: fromZero }, jobs: { range: (u, min, max) => [0, max * 1.06 || 1] } },
      cursor: cursor(),
      axes: [
        axis({ grid: { show: false }, splits: () => h.map((_, i) => i), values: (u, s) => s.map((i) => (i % 3 ? "" : h[i].name)) }),
        axis({ size: 60, incrs: spanSteps, values: (u, splits) => splits.map(tick) }),
        axis({ scale: "jobs", side: 1, size: 56, grid: { show: false }, values: (u, splits) => splits.map(number) }),
      ],
      series: [
        { label: "arrived at", value: (u, v, s, i) => (i == null ? "" : h[i].name) },
        {
          label: "p95 wait",
          mark: alpha(css("queue"), 0.4),
          stroke: css("queue"),
          fill: alpha(css("queue"), 0.4),
          width: 0,
          paths: bars,
          points: { show: false },
          value: (u, v) => seconds(v),
        },
        { label: "mean wait", stroke: css("queue"), width: 2, points: { show: true, size: 5, fill: css("card") }, value: (u, v) => seconds(v) },
        {
          label: "jobs (right)",
          scale: "jobs",
          stroke: css("muted"),
          width: 1.5,
          dash: [4, 4],
          points: { show: false },
          value: (u, v) => number(v),
        },
      ],
    },
    [h.map((_, i) => i), h.map((b) => b.p95), h.map((b) => b.mean), h.map((b) => b.jobs)],
  );
}
