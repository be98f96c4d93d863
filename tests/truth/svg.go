package main

import (
	"fmt"
	"math"
	"strings"
)

// plot is a picture of some lines over common axes.
type plot struct {
	file, title, x, y string
	logX, logY        bool
	lo, hi            float64 // of y; 0, 0 = from the lines
	lines             []line
}

// line is a series of points; a dashed one is a mark to compare with.
type line struct {
	name   string
	x, y   []float64
	dashed bool
}

// Size of the picture and of its frame, in pixels.
const (
	width, height              = 960, 420
	left, right, top, bottom   = 70, 300, 40, 50
	legendLine, pointRadius    = 20, 3
	frameWidth, frameHeight    = width - left - right, height - top - bottom
	plainFont, lineWidth, dash = 13, 2, "6 4"
)

// Colours that stay apart for most readers (Okabe and Ito), on light and dark.
var colours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"}

// axis maps values to pixels.
type axis struct {
	log            bool
	lo, hi         float64
	pixel0, pixel1 float64
}

func (a axis) at(v float64) float64 {
	lo, hi := a.lo, a.hi
	if a.log {
		v, lo, hi = math.Log(v), math.Log(lo), math.Log(hi)
	}
	return a.pixel0 + (v-lo)/(hi-lo)*(a.pixel1-a.pixel0)
}

// ticks are round values inside the axis.
func (a axis) ticks() []float64 {
	var out []float64
	if a.log {
		for decade := math.Pow(10, math.Floor(math.Log10(a.lo))); decade <= a.hi; decade *= 10 {
			for _, m := range []float64{1, 2, 5} {
				if v := decade * m; v >= a.lo*(1-1e-9) && v <= a.hi*(1+1e-9) {
					out = append(out, v)
				}
			}
		}
		return out
	}
	step := math.Pow(10, math.Floor(math.Log10((a.hi-a.lo)/4)))
	for (a.hi-a.lo)/step > 8 {
		step *= 2.5
	}
	for v := math.Ceil(a.lo/step) * step; v <= a.hi+1e-9; v += step {
		out = append(out, v)
	}
	return out
}

// svg draws the plot. The same plot gives the same text.
func (p plot) svg() string {
	x := axis{log: p.logX, lo: math.Inf(1), hi: math.Inf(-1), pixel0: left, pixel1: left + frameWidth}
	y := axis{log: p.logY, lo: math.Inf(1), hi: math.Inf(-1), pixel0: top + frameHeight, pixel1: top}
	for _, l := range p.lines {
		for i := range l.x {
			x.lo, x.hi = min(x.lo, l.x[i]), max(x.hi, l.x[i])
			y.lo, y.hi = min(y.lo, l.y[i]), max(y.hi, l.y[i])
		}
	}
	if p.lo != 0 || p.hi != 0 {
		y.lo, y.hi = p.lo, p.hi
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="%d">`+"\n", width, height, plainFont)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	text := func(x, y float64, anchor, s string) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", x, y, anchor, escape(s))
	}
	text(left, top-16, "start", p.title)
	text(left+frameWidth/2, height-12, "middle", p.x)
	fmt.Fprintf(&b, `<text transform="translate(16 %d) rotate(-90)" text-anchor="middle">%s</text>`+"\n", top+frameHeight/2, escape(p.y))
	for _, v := range x.ticks() {
		fmt.Fprintf(&b, `<path d="M%.1f %dV%d" stroke="#dddddd"/>`+"\n", x.at(v), top, top+frameHeight)
		text(x.at(v), top+frameHeight+18, "middle", number(v))
	}
	for _, v := range y.ticks() {
		fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#dddddd"/>`+"\n", left, y.at(v), left+frameWidth)
		text(left-8, y.at(v)+4, "end", number(v))
	}
	for i, l := range p.lines {
		colour, style := colours[i%len(colours)], ""
		if l.dashed {
			colour, style = "#555555", ` stroke-dasharray="`+dash+`"`
		}
		var points []string
		for k := range l.x {
			points = append(points, fmt.Sprintf("%.1f,%.1f", x.at(l.x[k]), y.at(l.y[k])))
			if !l.dashed {
				fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="%d" fill="%s"/>`+"\n", x.at(l.x[k]), y.at(l.y[k]), pointRadius, colour)
			}
		}
		fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="%d"%s/>`+"\n", strings.Join(points, " "), colour, lineWidth, style)
		p.legend(&b, i, l.name, colour, style)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// legend names a line, beside the frame.
func (p plot) legend(b *strings.Builder, i int, name, colour, style string) {
	x, y := left+frameWidth+16, top+14+i*legendLine
	fmt.Fprintf(b, `<path d="M%d %dH%d" stroke="%s" stroke-width="%d"%s/>`+"\n", x, y, x+24, colour, lineWidth, style)
	fmt.Fprintf(b, `<text x="%d" y="%d">%s</text>`+"\n", x+30, y+4, escape(name))
}

func number(v float64) string { return fmt.Sprintf("%.4g", v) }

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}
