// Cost against waiting.
function pareto() {
  if (!byId("pareto") || !D.pareto) return;
  const points = D.pareto.points.slice().sort((a, b) => a.cost - b.cost); // uPlot wants x ascending
  const pick = (test) => points.map((p) => (test(p) ? p.p95_wait : null));
  const none = () => null;
  const dots = (size, shape) => (u, s) => {
    // draws a mark at every point of the series; returns no path of its own
    const { ctx } = u;
    const r = size * devicePixelRatio;
    ctx.save();
    ctx.beginPath();
    ctx.rect(u.bbox.left - r, u.bbox.top - r, u.bbox.width + 2 * r, u.bbox.height + 2 * r);
    ctx.clip();
    ctx.fillStyle = u.series[s].mark;
    ctx.strokeStyle = css("card");
    ctx.lineWidth = 1.5 * devicePixelRatio;
    u.data[s].forEach((v, i) => {
      if (v == null) return;
      const x = u.valToPos(u.data[0][i], "x", true),
        y = u.valToPos(v, "y", true);
      ctx.beginPath();
      if (shape === "diamond") {
        ctx.moveTo(x, y - 1.3 * r);
        ctx.lineTo(x + 1.3 * r, y);
        ctx.lineTo(x, y + 1.3 * r);
        ctx.lineTo(x - 1.3 * r, y);
        ctx.closePath();
      } else if (shape === "square") ctx.rect(x - r, y - r, 2 * r, 2 * r);
      else ctx.arc(x, y, r, 0, 2 * Math.PI);
      ctx.fill();
      ctx.stroke();
    });
    ctx.restore();
    return null;
  };
  const marks = (label, color, size, shape) => ({
    label,
    stroke: color,
    fill: color,
    mark: color,
    points: { show: false },
    paths: dots(size, shape),
    value: none,
  });
  const front = points.filter((p) => p.on_front);
  const waits = points.map((p) => p.p95_wait),
    costs = points.map((p) => p.cost);
  const top = Math.max(...waits),
    low = Math.min(...waits),
    log = low > 0 && top > 20 * low;
  const margin = (Math.max(...costs) - Math.min(...costs)) * 0.04 || Math.max(...costs) * 0.05 || 1;
  const u = plot(
    "pareto",
    {
      height: 380,
      padding: [12, 16, 0, 0],
      cursor: { drag: { x: false, y: false }, points: { show: false }, x: false, y: false },
      scales: {
        x: { time: false, range: [Math.min(...costs) - margin, Math.max(...costs) + margin] },
        y: log ? { distr: 3, range: [low / 1.4, top * 1.4] } : { range: [0, top * 1.08 || 1] },
      },
      axes: [
        axis({ label: D.pareto.cost_name, labelFont: font(), labelSize: 22, values: (u, s) => s.map(number) }),
        axis(
          Object.assign(
            { size: 60, label: "p95 wait", labelFont: font(), labelSize: 22, values: (u, s) => s.map(tick) },
            log ? { splits: spanSplits, filter: all } : { incrs: spanSteps },
          ),
        ),
      ],
      series: [
        { label: "cost", value: none },
        marks("tried", alpha(css("muted"), 0.55), 3),
        marks("on the front", css("accent"), 4.5),
        marks("recommended", css("good"), 6, "diamond"),
        marks("today", css("queue"), 5.5, "square"),
      ],
      hooks: {
        drawAxes: [
          (u) => {
            // the front, as the staircase that it is
            const { ctx } = u;
            ctx.save();
            ctx.strokeStyle = alpha(css("accent"), 0.5);
            ctx.lineWidth = 1.5 * devicePixelRatio;
            ctx.beginPath();
            front.forEach((p, i) => {
              const x = u.valToPos(p.cost, "x", true),
                y = u.valToPos(p.p95_wait, "y", true);
              if (i) ctx.lineTo(x, u.valToPos(front[i - 1].p95_wait, "y", true));
              else ctx.moveTo(x, y);
              ctx.lineTo(x, y);
            });
            ctx.stroke();
            ctx.restore();
          },
        ],
        setCursor: [
          (u) => {
            const { left, top: y } = u.cursor;
            const out = byId("point");
            let best = null,
              least = 24;
            if (left >= 0)
              for (const p of points) {
                const d = Math.hypot(u.valToPos(p.cost, "x") - left, u.valToPos(p.p95_wait, "y") - y);
                if (d < least) {
                  least = d;
                  best = p;
                }
              }
            out.textContent = best
              ? best.name +
                ": p95 wait " +
                seconds(best.p95_wait) +
                ", " +
                D.pareto.cost_name +
                " " +
                number(best.cost) +
                (best.today ? " (today)" : best.chosen ? " (recommended)" : "")
              : "Point at a mark to see its policy.";
          },
        ],
      },
    },
    [costs, pick(() => true), pick((p) => p.on_front), pick((p) => p.chosen), pick((p) => p.today)],
  );
  return u;
}
