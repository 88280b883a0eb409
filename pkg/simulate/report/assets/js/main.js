// Draws what the page has room for, again when the colour scheme changes.
function draw() {
  for (const c of charts) c.u.destroy();
  charts.length = 0;
  timelines();
  histogram();
  distribution();
  hours();
  pareto();
  document.documentElement.dataset.charts = charts.length;
}
for (const [id, act] of [
  ["zoom-in", () => zoom(0.5, middle())],
  ["zoom-out", () => zoom(2, middle())],
  ["earlier", () => pan(-0.5)],
  ["later", () => pan(0.5)],
  ["reset", reset],
]) {
  const button = byId(id);
  if (button) button.addEventListener("click", act);
}
draw();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
let width = document.documentElement.clientWidth,
  waiting = 0;
addEventListener("resize", () => {
  if (document.documentElement.clientWidth === width) return;
  width = document.documentElement.clientWidth;
  cancelAnimationFrame(waiting);
  waiting = requestAnimationFrame(() => charts.forEach(({ u, box }) => u.setSize({ width: box.clientWidth, height: u.height })));
});
