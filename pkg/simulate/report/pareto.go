package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Point is a candidate: its cost, and how long jobs wait with it.
type Point struct {
	Name    string
	Cost    float64
	P95Wait float64 // seconds
	Today   bool    // the current configuration
	Chosen  bool    // the recommended configuration
}

// Pareto holds the candidates of a search, to show how cost and waits depend on each other.
type Pareto struct {
	Points   []Point
	CostName string // the unit of Cost; empty: "cost"
}

// dominates reports whether p is at least as good as q in both cost and wait, and better in one of them.
func (p Point) dominates(q Point) bool {
	return p.Cost <= q.Cost && p.P95Wait <= q.P95Wait && (p.Cost < q.Cost || p.P95Wait < q.P95Wait)
}

// front returns the indexes of the points that no other point dominates, the cheapest first.
func (p *Pareto) front() []int {
	order := make([]int, len(p.Points))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch x, y := p.Points[a], p.Points[b]; {
		case x.Cost < y.Cost || x.Cost == y.Cost && x.P95Wait < y.P95Wait:
			return -1
		case x.Cost == y.Cost && x.P95Wait == y.P95Wait:
			return 0
		}
		return 1
	})
	var front []int
	least := math.Inf(1)
	for _, i := range order {
		q := p.Points[i]
		twin := len(front) > 0 && p.Points[front[len(front)-1]].Cost == q.Cost && p.Points[front[len(front)-1]].P95Wait == q.P95Wait
		if q.P95Wait < least || twin {
			front = append(front, i)
			least = q.P95Wait
		}
	}
	return front
}

func (p *Pareto) costName() string {
	if p.CostName == "" {
		return "cost"
	}
	return p.CostName
}

// Verdict says whether today's configuration is on the front, or which points are better. It is empty if today's configuration is not among
// the points.
func (p *Pareto) Verdict() string {
	n := slices.IndexFunc(p.Points, func(q Point) bool { return q.Today })
	if n < 0 {
		return ""
	}
	today := p.Points[n]
	front := p.front()
	if slices.Contains(front, n) {
		return "Today's configuration is on the front: no tried configuration is cheaper without longer waits."
	}
	var cheaper, faster *Point
	for _, i := range front {
		q := &p.Points[i]
		if !q.dominates(today) {
			continue
		}
		if cheaper == nil || q.Cost < cheaper.Cost {
			cheaper = q
		}
		if faster == nil || q.P95Wait < faster.P95Wait {
			faster = q
		}
	}
	text := fmt.Sprintf("Today's configuration is not on the front: %s has a p95 wait of %s instead of %s and %s of %s instead of %s", cheaper.Name,
		seconds(cheaper.P95Wait), seconds(today.P95Wait), p.costName(), money(cheaper.Cost), money(today.Cost))
	if today.Cost > 0 && cheaper.Cost < today.Cost {
		text += " (" + signed(cheaper.Cost/today.Cost-1, percent) + ")"
	}
	if faster != cheaper {
		text += fmt.Sprintf("; for %s, %s brings it to %s", money(faster.Cost), faster.Name, seconds(faster.P95Wait))
	}
	return text + "."
}

type paretoDoc struct {
	CostName string     `json:"cost_name"`
	Points   []pointDoc `json:"points"`
	Verdict  string     `json:"verdict,omitempty"`
}

type pointDoc struct {
	Name    string `json:"name"`
	Cost    num    `json:"cost"`
	P95Wait num    `json:"p95_wait"`
	OnFront bool   `json:"on_front"`
	Today   bool   `json:"today"`
	Chosen  bool   `json:"chosen"`
}

func (p *Pareto) document() *paretoDoc {
	doc := &paretoDoc{CostName: p.costName(), Points: []pointDoc{}, Verdict: p.Verdict()}
	front := p.front()
	for i, q := range p.Points {
		doc.Points = append(doc.Points, pointDoc{Name: q.Name, Cost: num(q.Cost), P95Wait: num(q.P95Wait), OnFront: slices.Contains(front, i),
			Today: q.Today, Chosen: q.Chosen})
	}
	return doc
}

// plot draws the points in columns × rows of characters, cost to the right and the wait upwards: · a candidate, ● on the front, ◆ chosen, ✕
// today. The wait has a logarithmic scale above one second if it spans more than a factor of 20.
func (p *Pareto) plot(columns, rows int) []string {
	if len(p.Points) == 0 {
		return nil
	}
	front := p.front()
	lo, hi := p.Points[0], p.Points[0]
	for _, q := range p.Points {
		lo.Cost, hi.Cost = min(lo.Cost, q.Cost), max(hi.Cost, q.Cost)
		lo.P95Wait, hi.P95Wait = min(lo.P95Wait, q.P95Wait), max(hi.P95Wait, q.P95Wait)
	}
	scale := func(v float64) float64 { return v }
	if hi.P95Wait > 20*max(lo.P95Wait, 1) {
		scale = func(v float64) float64 { return math.Log1p(v) }
	}
	place := func(v, from, to float64, cells int) int {
		if to <= from {
			return 0
		}
		return int(math.Round((v - from) / (to - from) * float64(cells-1)))
	}
	grid := make([][]rune, rows)
	for i := range grid {
		grid[i] = []rune(strings.Repeat(" ", columns))
	}
	for pass := range 4 { // the most important marks are drawn last
		for i, q := range p.Points {
			mark, at := '·', 0
			switch {
			case q.Today:
				mark, at = '✕', 3
			case q.Chosen:
				mark, at = '◆', 2
			case slices.Contains(front, i):
				mark, at = '●', 1
			}
			if at == pass {
				y := place(scale(q.P95Wait), scale(lo.P95Wait), scale(hi.P95Wait), rows)
				grid[rows-1-y][place(q.Cost, lo.Cost, hi.Cost, columns)] = mark
			}
		}
	}
	var lines []string
	for i, cells := range grid {
		label := ""
		switch i {
		case 0:
			label = seconds(hi.P95Wait)
		case rows - 1:
			label = seconds(lo.P95Wait)
		}
		lines = append(lines, padLeft(label, 10)+" │"+string(cells))
	}
	left, right := money(lo.Cost), money(hi.Cost)
	lines = append(lines, strings.Repeat(" ", 10)+" └"+strings.Repeat("─", columns),
		strings.Repeat(" ", 12)+left+padLeft(right, columns-len([]rune(left))))
	return lines
}
