/* global document, matchMedia, ResizeObserver, uPlot, window */
;(() => {
  'use strict'

  const PRINT_WIDTH = 680
  const FONT = '12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif'
  /** Lines differ by more than their colours. */
  const DASHES = [[], [6, 4], [2, 3], [10, 3, 2, 3], [14, 4], [1, 4]]
  const SVG = 'http://www.w3.org/2000/svg'

  const root = document.documentElement
  const charts = JSON.parse(document.getElementById('charts').textContent)

  const colour = (name) => window.getComputedStyle(root).getPropertyValue(`--${name}`).trim()

  function figure(value, unit) {
    const shown = unit === 'share' ? value * 100 : value
    if (unit === 'count' || Math.abs(shown) >= 100) return Math.round(shown).toLocaleString('en-US')
    return String(Number(shown.toPrecision(3)))
  }

  function withUnit(value, unit) {
    if (value === null || value === undefined) return 'n/a'
    const after = { count: '', perSecond: '/s', ms: ' ms', percent: ' %', share: ' %', ratio: '' }
    return `${figure(value, unit)}${after[unit]}`
  }

  /** A position on the x axis as text. */
  function place(value, kind) {
    if (kind === 'nines') {
      const percent = 100 * (1 - 10 ** -value)
      return `${Number(percent.toFixed(Math.max(1, Math.ceil(value))))} %`
    }
    if (kind === 'rounds') return Number.isInteger(value) ? `round ${value}` : ''
    return `${Number(value.toFixed(2))} s`
  }

  function axes({ unit, scale, x: { kind, values } }) {
    const common = {
      font: FONT,
      stroke: () => colour('quiet'),
      grid: { stroke: () => colour('grid'), width: 1 },
      ticks: { stroke: () => colour('grid'), width: 1 },
    }
    const last = values[values.length - 1]
    const nines = [0, Math.log10(2), ...Array.from({ length: 9 }, (_, at) => at + 1)]
    const bottom =
      kind === 'nines'
        ? {
            splits: () => nines.filter((each) => each <= last),
            values: (_, splits) => splits.map((each) => place(each, kind)),
          }
        : { space: 70, values: (_, splits) => splits.map((each) => place(each, kind)) }
    const left = {
      size: (_, texts) => 18 + 7.5 * Math.max(0, ...(texts ?? []).map((text) => text.length)),
      values: (_, splits) =>
        splits.map((each) => (each === null ? '' : withUnit(each, unit).replace('/s', ''))),
      ...(scale === 'log' ? { filter: decades } : {}),
    }
    return [
      { ...common, ...bottom },
      { ...common, ...left },
    ]
  }

  /** Labels of a logarithmic axis: the powers of ten. */
  function decades(_, splits) {
    return splits.map((each) => (Math.abs(Math.log10(each) % 1) < 1e-6 ? each : null))
  }

  function scales({ scale, x: { kind, values } }) {
    const first = values[0]
    const last = values[values.length - 1]
    return {
      x: {
        time: false,
        // All of a run begins with its start, not with the first snapshot. The user may choose other ranges.
        range: (_, min, max) => {
          if (min > first || max < last) return [min, max]
          if (kind === 'rounds') return [first, Math.max(last, first + 1)]
          return [0, last > 0 ? last : 1]
        },
      },
      y:
        scale === 'log'
          ? {
              distr: 3,
              range: (_, min, max) => [
                10 ** Math.floor(Math.log10(min)),
                10 ** Math.ceil(Math.log10(max) + 1e-9),
              ],
            }
          : { range: (_, min, max) => [0, max > 0 ? max * 1.08 : 1] },
    }
  }

  /** Draws the seconds in which the run did not measure. */
  function shade(plot, ranges) {
    const { ctx, bbox } = plot
    ctx.save()
    ctx.fillStyle = colour('shade')
    for (const [from, to] of ranges) {
      const left = Math.max(bbox.left, plot.valToPos(from, 'x', true))
      const right = Math.min(bbox.left + bbox.width, plot.valToPos(to, 'x', true))
      if (right > left) ctx.fillRect(left, bbox.top, right - left, bbox.height)
    }
    ctx.restore()
  }

  function swatch(line) {
    const svg = document.createElementNS(SVG, 'svg')
    svg.setAttribute('viewBox', '0 0 32 10')
    svg.setAttribute('aria-hidden', 'true')
    const stroke = document.createElementNS(SVG, 'line')
    const attributes = { x1: 0, y1: 5, x2: 32, y2: 5, 'stroke-width': 3 }
    for (const [name, value] of Object.entries(attributes)) stroke.setAttribute(name, value)
    stroke.setAttribute('stroke', `var(--line-${line + 1})`)
    stroke.setAttribute('stroke-dasharray', DASHES[line].join(' '))
    svg.append(stroke)
    return svg
  }

  /** Buttons that show and hide the lines, and the values at the cursor. */
  function legendOf(chart, onToggle) {
    const list = document.createElement('ul')
    list.className = 'legend'
    list.setAttribute('aria-label', `Lines of the chart: ${chart.title}`)
    const now = chart.lines.map(({ name }, line) => {
      const button = document.createElement('button')
      button.type = 'button'
      button.setAttribute('aria-pressed', 'true')
      const value = document.createElement('span')
      value.className = 'now'
      button.append(swatch(line), name, value)
      button.addEventListener('click', () => {
        const isShown = button.getAttribute('aria-pressed') !== 'true'
        button.setAttribute('aria-pressed', String(isShown))
        onToggle(line, isShown)
      })
      const item = document.createElement('li')
      item.append(button)
      list.append(item)
      return value
    })
    const at = document.createElement('li')
    at.className = 'at'
    list.append(at)
    return {
      list,
      show: (index) => {
        const isAt = index !== null && index !== undefined
        at.textContent = isAt ? `at ${place(chart.x.values[index], chart.x.kind)}` : ''
        chart.lines.forEach(({ values }, line) => {
          now[line].textContent = isAt ? withUnit(values[index], chart.unit) : ''
        })
      },
    }
  }

  class Drawn {
    constructor(chart) {
      this.chart = chart
      this.hidden = new Set()
      this.at = undefined
      this.container = document.getElementById(`${chart.id}-chart`)
      this.container.hidden = false
      this.legend = legendOf(chart, (line, isShown) => {
        if (isShown) this.hidden.delete(line)
        else this.hidden.add(line)
        this.plot.setSeries(line + 1, { show: isShown })
      })
      this.container.before(this.legend.list)
      this.makeSlider()
      this.draw()
      this.width = this.container.clientWidth
      new ResizeObserver(() => {
        if (root.dataset.print !== undefined || this.container.clientWidth === this.width) return
        this.width = this.container.clientWidth
        this.draw()
      }).observe(this.container)
    }

    /** The arrow keys move the cursor, and a screen reader speaks the values there. */
    makeSlider() {
      const { container, chart } = this
      const last = chart.x.values.length - 1
      const attributes = {
        role: 'slider',
        tabindex: 0,
        'aria-label': `Chart: ${chart.title}. Position`,
        'aria-valuemin': 0,
        'aria-valuemax': last,
      }
      for (const [name, value] of Object.entries(attributes)) container.setAttribute(name, value)
      this.speak(0)
      container.addEventListener('keydown', (event) => {
        const big = Math.max(1, Math.round(last / 10))
        const steps = {
          ArrowLeft: -1,
          ArrowDown: -1,
          ArrowRight: 1,
          ArrowUp: 1,
          PageDown: -big,
          PageUp: big,
          Home: -Infinity,
          End: Infinity,
        }
        const step = steps[event.key]
        if (step === undefined || event.altKey || event.ctrlKey || event.metaKey) return
        event.preventDefault()
        const from = this.at ?? (step > 0 ? -1 : last + 1)
        this.moveTo(Math.max(0, Math.min(last, from + step)))
      })
      container.addEventListener('blur', () => {
        this.at = undefined
        this.plot.setCursor({ left: -10, top: -10 })
      })
    }

    moveTo(index) {
      const { plot, chart } = this
      this.at = index
      this.speak(index)
      plot.setCursor({ left: plot.valToPos(chart.x.values[index], 'x'), top: 0 })
    }

    speak(index) {
      const { x, lines, unit } = this.chart
      const values = lines.map(({ name, values }) => `${name} ${withUnit(values[index], unit)}`)
      this.container.setAttribute('aria-valuenow', index)
      this.container.setAttribute(
        'aria-valuetext',
        `${place(x.values[index], x.kind)}: ${values.join(', ')}`,
      )
    }

    draw() {
      const { chart, container } = this
      const width = root.dataset.print === undefined ? container.clientWidth : PRINT_WIDTH
      this.plot?.destroy()
      this.plot = new uPlot(
        {
          width,
          height: width < 500 ? 220 : 280,
          legend: { show: false },
          cursor: {
            y: false,
            points: { size: 7 },
            ...(chart.x.kind === 'seconds' ? { sync: { key: 'seconds' } } : {}),
          },
          scales: scales(chart),
          axes: axes(chart),
          series: [
            {},
            ...chart.lines.map(({ name }, line) => ({
              label: name,
              show: !this.hidden.has(line),
              stroke: colour(`line-${line + 1}`),
              width: 2,
              dash: DASHES[line],
              spanGaps: false,
              points: { size: 5 },
            })),
          ],
          hooks: {
            drawClear: [(plot) => shade(plot, chart.shaded)],
            setCursor: [(plot) => this.legend.show(plot.cursor.idx)],
          },
        },
        [chart.x.values, ...chart.lines.map(({ values }) => values)],
        container,
      )
    }
  }

  const drawn = charts.map((chart) => new Drawn(chart))
  const redraw = () => {
    for (const each of drawn) each.draw()
  }
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw)
  matchMedia(`(resolution: ${window.devicePixelRatio}dppx)`).addEventListener('change', redraw)
  window.addEventListener('beforeprint', () => {
    root.dataset.print = ''
    redraw()
  })
  window.addEventListener('afterprint', () => {
    delete root.dataset.print
    redraw()
  })
})()
