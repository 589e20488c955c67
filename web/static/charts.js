// The two charts of the overview, drawn by ECharts on a canvas: its SVG renderer
// writes style attributes, which our content security policy forbids. For the
// same reason tooltips are built as DOM nodes and not as HTML text.

const echarts = window.echarts;
const probe = document.createElement("i");
probe.hidden = true;
document.body.append(probe);

/** The colour of a custom property in the theme that is shown. */
function colour(name, alpha = 100) {
  probe.style.color = alpha === 100 ? `var(${name})` : `color-mix(in srgb, var(${name}) ${alpha}%, transparent)`;
  // Through a canvas, because ECharts reads rgb() but not color().
  pen.clearRect(0, 0, 1, 1);
  pen.fillStyle = getComputedStyle(probe).color;
  pen.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
  return `rgba(${r},${g},${b},${(a / 255).toFixed(3)})`;
}
const pen = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const number = (v) => (v == null ? "–" : (Math.abs(v) < 10 ? fine : whole).format(v));

function time(ms, long) {
  const iso = new Date(ms).toISOString();
  return long ? `${iso.slice(0, 10)} ${iso.slice(11, 16)}` : iso.slice(11, 16);
}

/** One chart in an element; lines are {name, key, colour, dash, fill, width}. */
export class Chart {
  constructor(element, unit, lines) {
    this.unit = unit;
    this.lines = lines;
    this.chart = echarts.init(element, null, { renderer: "canvas" });
    new ResizeObserver(() => this.chart.resize()).observe(element);
    document.addEventListener("theme", () => this.numbers && this.draw(this.numbers));
  }

  draw(numbers) {
    this.numbers = numbers;
    this.chart.setOption(this.option(numbers), { notMerge: false, lazyUpdate: true });
  }

  option({ series, from, to, step_seconds: step }) {
    const ink = colour("--ink-2");
    const font = getComputedStyle(document.body).fontFamily;
    const days = Date.parse(to) - Date.parse(from) > 2 * 86400e3;
    const first = Date.parse(series[0]?.at ?? from);
    const last = Date.parse(series.at(-1)?.at ?? to);
    const some = series.some((p) => this.lines.some((l) => p[l.key]));
    return {
      animation: false, // the numbers move by themselves; a line in motion shows what is not so
      textStyle: { fontFamily: font, fontSize: 12, color: ink },
      grid: { left: 4, right: 8, top: 10, bottom: 4, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
      tooltip: {
        trigger: "axis", confine: true, transitionDuration: 0, padding: [8, 12], borderWidth: 1,
        backgroundColor: colour("--surface"), borderColor: colour("--line"), textStyle: { color: colour("--ink"), fontSize: 13 },
        axisPointer: { lineStyle: { color: ink, type: "solid", opacity: 0.5 } },
        formatter: (points) => this.tip(points, step),
      },
      xAxis: {
        type: "time", min: first, max: last, splitNumber: 5,
        axisLine: { lineStyle: { color: colour("--line") } }, axisTick: { show: false },
        axisLabel: { color: ink, hideOverlap: true, formatter: (v) => (days ? time(v, true).slice(5, 10) : time(v)) },
        splitLine: { show: false },
      },
      yAxis: {
        type: "value", min: 0, max: some ? null : 1, splitNumber: 4, minInterval: 0,
        axisLabel: { color: ink, formatter: number, show: some },
        splitLine: { show: some, lineStyle: { color: colour("--line"), opacity: 0.8 } },
      },
      series: this.lines.map((line) => this.line(line, some ? series : [])),
    };
  }

  line(line, series) {
    const ink = colour(line.colour);
    return {
      name: line.name, type: "line", data: series.map((p) => [Date.parse(p.at), p[line.key]]),
      showSymbol: false, symbol: "circle", symbolSize: 7, connectNulls: false, smooth: 0.15, smoothMonotone: "x",
      lineStyle: { color: ink, width: line.width ?? 2, type: line.dash ?? "solid" }, itemStyle: { color: ink },
      areaStyle: line.fill ? { color: colour(line.colour, line.fill) } : undefined, emphasis: { disabled: true },
    };
  }

  // A node and not HTML text: text would need style attributes to look right.
  tip(points, step) {
    const box = document.createElement("div");
    box.className = "tip";
    const head = document.createElement("div");
    head.className = "tip-head";
    const at = points[0].value[0];
    head.textContent = `${time(at, true)} UTC, ${step < 3600 ? `${step / 60} min` : `${step / 3600} h`}`;
    box.append(head);
    for (const p of points) {
      const row = document.createElement("div");
      const key = document.createElement("i");
      key.style.background = p.color;
      const name = document.createElement("span");
      name.textContent = p.seriesName;
      const value = document.createElement("b");
      value.textContent = `${number(p.value[1])} ${this.unit}`;
      row.append(key, name, value);
      box.append(row);
    }
    return box;
  }
}
