package report

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func page1(t testing.TB) string {
	t.Helper()
	r := run(t, 1, 6000, 4, 20, 500)
	var out bytes.Buffer
	if err := r.WriteHTML(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func page2(t testing.TB) string {
	t.Helper()
	var out bytes.Buffer
	if err := compared(t).WriteHTML(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestHTMLLoadsNothing(t *testing.T) {
	loads := regexp.MustCompile(`(?i)(src|href|action|srcset|poster|data)\s*=\s*["']?(?:[a-z]+:)?//|` +
		`url\(|@import|<(script|link|img|iframe|object|embed)[^>]+(src|href)="[^d]`)
	for name, html := range map[string]string{"report": page1(t), "comparison": page2(t)} {
		if found := loads.FindString(html); found != "" {
			t.Errorf("%s loads something: %q", name, found)
		}
		if i := strings.Index(html, "://"); i >= 0 {
			t.Errorf("%s has an address: …%s…", name, html[max(i-40, 0):min(i+60, len(html))])
		}
		if !strings.Contains(html, "default-src 'none'") || !strings.Contains(html, "The MIT License") {
			t.Errorf("%s has no content security policy or no licence of what it carries", name)
		}
	}
}

func TestHTMLEscapes(t *testing.T) {
	const evil = `</script><script>alert(1)</script><img src=x onerror=alert(1)>"'&` + "\u2028"
	r := run(t, 1, 300, 0.5, 5, 50)
	r.Title, r.Runner, r.Workload.Name, r.Policies[0].Label, r.Policies[1].Timezone = evil, evil, evil, evil, evil
	r.Config = Source{Path: evil, Text: "# " + strings.ReplaceAll(evil, "\u2028", "")}
	r.Workload.Dropped[0].Reason, r.Intervals.Method = evil, evil
	for i := range r.Result.ByTag {
		r.Result.ByTag[i].Name = evil
	}
	var out bytes.Buffer
	if err := r.WriteHTML(&out); err != nil {
		t.Fatal(err)
	}
	c := compared(t)
	for i := range c.Runs {
		c.Runs[i].Name = evil
	}
	for i := range c.Pareto.Points {
		c.Pareto.Points[i].Name = evil
	}
	c.Title, c.Pareto.CostName = evil, evil
	if err := c.WriteHTML(&out); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<script>alert", "<img src=x", "alert(1)</script>"} {
		if strings.Contains(out.String(), bad) {
			t.Errorf("a user's text is markup: %q", bad)
		}
	}
	if n, want := strings.Count(out.String(), "</script>"), 2*4; n != want {
		t.Errorf("%d scripts end, want %d", n, want)
	}
}

func TestHTMLKeepsSecrets(t *testing.T) {
	html := page1(t)
	for _, secret := range []string{"verysecret", "older-secret", "hunter2", "group-secret"} {
		if strings.Contains(html, secret) {
			t.Errorf("%q is in the page", secret)
		}
	}
	if !strings.Contains(html, "idle_count = 10") {
		t.Error("the configuration is not in the page")
	}
}

// probe runs in the page after its own script: it uses the charts as a reader does, and writes down what it saw.
const probe = `<script>
(() => {
  const seen = [], say = (name, ok) => seen.push(name + "=" + (ok ? "yes" : "NO"));
  const ink = (box) => { // a number that changes with the picture, and whether there is one
    const c = box.querySelector("canvas"), d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
    let sum = 0, n = 0;
    for (let i = 0; i < d.length; i += 4) if (d[i + 3]) { n++; sum = (sum * 31 + d[i] + 256 * d[i + 1] + i) % 1000000007; }
    return { sum, n };
  };
  const later = (f) => new Promise((done) => setTimeout(() => { f(); done(); }, 60));
  const box = (id) => document.getElementById(id);
  const event = (el, type, x, extra) => {
    const r = el.getBoundingClientRect();
    const make = type === "wheel" ? WheelEvent : MouseEvent;
    el.dispatchEvent(new make(type, Object.assign({ bubbles: true, cancelable: true, view: window,
      clientX: r.left + x * r.width, clientY: r.top + r.height / 2 }, extra)));
  };
  const boxes = [...document.querySelectorAll(".chart")];
  let before, zoomed;
  later(() => {
    say("all-drawn", boxes.length > 0 && boxes.every((b) => ink(b).n > 200));
    if (!box("queue")) return;
    before = ink(box("supply"));
    const over = box("queue").querySelector(".u-over");
    event(over, "mouseenter", 0.5); event(over, "mousemove", 0.5);
  }).then(() => later(() => {
    if (!box("queue")) return;
    say("read-out", box("read").textContent.length > 10);
    say("read-out-synchronised", ["queue", "running", "supply"].every((id) =>
      [...box(id).querySelectorAll(".u-value")].slice(1).every((v) => v.textContent !== "")));
    event(box("queue").querySelector(".u-over"), "wheel", 0.5, { deltaY: -100 });
    event(box("queue").querySelector(".u-over"), "wheel", 0.5, { deltaY: -100 });
  })).then(() => later(() => {
    if (!box("queue")) return;
    zoomed = ink(box("supply"));
    say("wheel-zooms-all", zoomed.sum !== before.sum);
    const over = box("running").querySelector(".u-over");
    event(over, "mousedown", 0.6, { shiftKey: true }); event(over, "mousemove", 0.3, { shiftKey: true }); event(over, "mouseup", 0.3);
  })).then(() => later(() => {
    if (!box("queue")) return;
    say("shift-drag-pans", ink(box("supply")).sum !== zoomed.sum);
    box("reset").click();
  })).then(() => later(() => {
    if (!box("queue")) return;
    say("reset", ink(box("supply")).sum === before.sum);
    const over = box("queue").querySelector(".u-over");
    event(over, "mousedown", 0.3, { button: 0 }); event(over, "mousemove", 0.5, { movementX: 99 }); event(over, "mouseup", 0.5);
  })).then(() => later(() => {
    if (!box("queue")) return;
    say("drag-zooms", ink(box("supply")).sum !== before.sum);
    event(box("queue").querySelector(".u-over"), "dblclick", 0.5);
  })).then(() => later(() => {
    if (box("queue")) say("double-click-resets", ink(box("supply")).sum === before.sum);
  })).finally(() => { document.title = "probe: " + seen.join(" ") + " end"; });
})();
</script></body>`

func browser() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// TestBrowser opens both pages in a real browser, in the light and in the dark, and uses them.
func TestBrowser(t *testing.T) {
	path := browser()
	if path == "" {
		t.Skip("no chromium here, so nobody looked at the pages: install chromium (Debian: apt-get install chromium)")
	}
	if testing.Short() {
		t.Skip("a browser takes seconds: left out with -short")
	}
	for name, html := range map[string]string{"report": page1(t), "comparison": page2(t)} {
		for scheme, number := range map[string]int{"dark": 0, "light": 1} {
			t.Run(name+"-"+scheme, func(t *testing.T) { open(t, path, html, number, name == "report") })
		}
	}
}

func open(t *testing.T, browser, html string, scheme int, timelines bool) {
	dir := t.TempDir()
	file := filepath.Join(dir, "page.html")
	if err := os.WriteFile(file, []byte(strings.Replace(html, "</body>", probe, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--user-data-dir="+filepath.Join(dir, "profile"), "--enable-logging=stderr", "--dump-dom",
		"--virtual-time-budget=5000", "--window-size=1200,2400", fmt.Sprintf("--blink-settings=preferredColorScheme=%d", scheme), "file://"+file)
	var dom, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &dom, &log
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	for _, line := range strings.Split(log.String(), "\n") {
		if strings.Contains(line, "CONSOLE") && !strings.Contains(line, "willReadFrequently") { // that one is about the probe
			t.Errorf("the console says: %s", line)
		}
	}
	found := regexp.MustCompile(`<title>(probe: .* end)</title>`).FindStringSubmatch(dom.String())
	if found == nil {
		t.Fatalf("the probe did not end; the browser said:\n%s", log.String())
	}
	if strings.Contains(found[1], "=NO") || !strings.Contains(found[1], "all-drawn=yes") || timelines && strings.Count(found[1], "=yes") != 8 {
		t.Error(found[1])
	}
	want := map[bool]string{true: `data-charts="7"`, false: `data-charts="2"`}[timelines]
	if !strings.Contains(dom.String(), want) {
		t.Errorf("not %s", want)
	}
}
