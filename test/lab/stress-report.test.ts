/** The report of a run in a real browser, which has no network. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { reportHtml, type StressResult } from '../../lib/stress'
import { percentileNames } from '../../lib/stress/latency-histogram'
import { labDescribe } from '../helpers/lab'
import { comparisonWith, resultWith } from '../stress/report-results'
import { httpTarget, resultOf } from '../stress/servers'

/** The part of playwright-core that this file uses. It is needed only if there is a chromium. */
interface Playwright {
  readonly chromium: {
    launch(options: { executablePath: string; args: readonly string[] }): Promise<Browser>
  }
}

interface Browser {
  newPage(options?: {
    viewport: { width: number; height: number }
    colorScheme: 'light' | 'dark'
  }): Promise<Page>
  close(): Promise<void>
}

interface Located {
  focus(): Promise<void>
  getAttribute(name: string): Promise<string | null>
  isVisible(): Promise<boolean>
  getByRole(role: string, options: { name: RegExp }): Located
  locator(selector: string): Located
}

interface Page extends Pick<Located, 'getByRole' | 'locator'> {
  readonly keyboard: { press(key: string): Promise<void> }
  on(event: 'console', listener: (message: { text(): string }) => void): void
  on(event: 'pageerror', listener: (error: Error) => void): void
  on(event: 'request', listener: (request: { url(): string }) => void): void
  goto(url: string): Promise<unknown>
  title(): Promise<string>
  evaluate<T>(expression: string | (() => T)): Promise<T>
  waitForFunction(expression: string): Promise<unknown>
  pdf(): Promise<Buffer>
  close(): Promise<void>
}

/** The part of the DOM that the functions in the browser use. */
declare const document: BrowserDocument
declare function getComputedStyle(element: BrowserElement): BrowserStyle

interface BrowserStyle {
  getPropertyValue(name: string): string
}

interface BrowserElement {
  readonly textContent: string
  readonly localName: string
  readonly id: string
  readonly innerText: string
  readonly clientWidth: number
  readonly scrollWidth: number
  readonly children: ArrayLike<BrowserElement>
  getAttribute(name: string): string | null
  querySelector(selector: string): BrowserElement | null
  querySelectorAll(selector: string): ArrayLike<BrowserElement>
  closest(selector: string): BrowserElement | null
}

interface BrowserDocument extends BrowserElement {
  readonly documentElement: BrowserElement
  readonly title: string
}

const HOSTILE = '</script><script>document.title = "owned"</script><img src=x onerror="alert(1)">'

const widths = [360, 768, 1280] as const
const schemes = ['light', 'dark'] as const
const views = widths.flatMap((width) => schemes.map((scheme) => [width, scheme] as const))

interface Opened {
  readonly page: Page
  /** Console messages, errors of the page, and requests for anything else than the page. */
  readonly complaints: readonly string[]
}

labDescribe('the report of a run in Chromium', ['root', 'ip', 'chromium'], () => {
  const folder = mkdtempSync(join(tmpdir(), 'socket-tuner-report-'))
  const file = join(folder, 'report.html')
  let browser: Browser
  let result: StressResult

  beforeAll(async () => {
    // Requests that the browser makes by itself must not leave this machine.
    const program = join(folder, 'chromium')
    writeFileSync(program, '#!/bin/sh\nexec unshare --net chromium "$@"\n')
    chmodSync(program, 0o755)
    const { chromium } = jest.requireActual<Playwright>('playwright-core')
    browser = await chromium.launch({ executablePath: program, args: ['--no-sandbox'] })
    let requests = 0
    const { url } = await httpTarget((request, response) => {
      requests++
      if (requests % 40 === 0) request.socket.destroy()
      else response.writeHead(requests % 7 === 0 ? 503 : 200).end('hello')
    })
    const measured = await resultOf({
      target: url,
      ratePerSecond: 400,
      durationMs: 2_000,
      warmupMs: 300,
      snapshotMs: 100,
      close: 'fin',
    })
    const [first] = measured.errors
    if (first === undefined) throw new Error('The run had no errors')
    result = {
      ...measured,
      target: { ...measured.target, url: `${url}?${HOSTILE}` },
      errors: [{ ...first, message: HOSTILE }],
    }
    writeFileSync(file, reportHtml(result))
  })

  afterAll(async () => {
    await browser.close()
    rmSync(folder, { recursive: true })
  })

  async function open(
    width: number = widths[2],
    colorScheme: (typeof schemes)[number] = 'light',
    path = file,
  ): Promise<Opened> {
    const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme })
    const complaints: string[] = []
    page.on('console', (message) => {
      // Not the page but this test reads the pixels.
      if (!message.text().includes('willReadFrequently')) complaints.push(message.text())
    })
    page.on('pageerror', (error) => complaints.push(String(error)))
    page.on('request', (request) => {
      if (request.url() !== pathToFileURL(path).href) complaints.push(request.url())
    })
    await page.goto(pathToFileURL(path).href)
    return { page, complaints }
  }

  /** Counts the pixels of each canvas that have the colour of each line of its chart. */
  function drawnIn(page: Page): Promise<{ id: string; pixels: number[] }[]> {
    return page.evaluate(`(() => {
      const style = getComputedStyle(document.documentElement)
      return [...document.querySelectorAll('.chart')].map((chart) => {
        const canvas = chart.querySelector('canvas')
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
        const lines = JSON.parse(document.querySelector('#charts').textContent)
          .find(({ id }) => chart.id === id + '-chart').lines
        const pixels = lines.map((_, line) => {
          const hex = style.getPropertyValue('--line-' + (line + 1)).trim()
          const [red, green, blue] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16))
          let count = 0
          for (let at = 0; at < data.length; at += 4)
            if (data[at] === red && data[at + 1] === green && data[at + 2] === blue && data[at + 3] === 255)
              count++
          return count
        })
        return { id: chart.id, pixels }
      })
    })()`)
  }

  it.each(views)(
    'opens from a file, and draws all charts at %d pixels, %s',
    async (width, scheme) => {
      const { page, complaints } = await open(width, scheme)
      const charts = await drawnIn(page)
      expect(charts.map(({ id }) => id)).toEqual([
        ...['rate', 'percentiles', 'latency', 'ports', 'connections', 'event-loop'].map(
          (id) => `${id}-chart`,
        ),
      ])
      // The last line is on top of the others.
      for (const { pixels } of charts) expect(pixels.at(-1)).toBeGreaterThan(20)
      // Only tables are wider than a phone, and they scroll separately.
      const { scrollWidth, clientWidth } = await page.evaluate(() => ({
        scrollWidth: document.documentElement.scrollWidth,
        clientWidth: document.documentElement.clientWidth,
      }))
      expect(scrollWidth).toBe(clientWidth)
      expect(complaints).toEqual([])
      await page.close()
    },
  )

  it.each(views)('draws a comparison at %d pixels, %s', async (width, scheme) => {
    const comparison = join(folder, 'comparison.html')
    const some = (perSecond: number): StressResult => ({
      ...resultWith(),
      requests: { ...resultWith().requests, perSecond },
    })
    writeFileSync(
      comparison,
      reportHtml(comparisonWith([some(90), some(110)], [some(40), some(30)])),
    )
    const { page, complaints } = await open(width, scheme, comparison)
    const charts = await drawnIn(page)
    expect(charts.map(({ id }) => id)).toEqual([
      ...['rate-chart', 'percentiles-chart', 'time-wait-chart'],
    ])
    for (const { pixels } of charts) expect(pixels.at(-1)).toBeGreaterThan(20)
    const chart = page.getByRole('slider', { name: /Rate/ })
    await chart.focus()
    await page.keyboard.press('End')
    expect(await chart.getAttribute('aria-valuetext')).toBe('round 2: fin 110/s, reset 30/s')
    expect(complaints).toEqual([])
    await page.close()
  })

  it('has the values of the result in its tables', async () => {
    const { page } = await open()
    const tables = await page.evaluate(() =>
      Object.fromEntries(
        Array.from(document.querySelectorAll('figure')).map((figure) => [
          figure.querySelector('.chart')?.id ?? '',
          Array.from(figure.querySelectorAll('tbody tr')).map((row) =>
            Array.from(row.querySelectorAll('td:not(.word)')).map(
              (cell) => cell.querySelector('data')?.getAttribute('value') ?? null,
            ),
          ),
        ]),
      ),
    )
    const json = await page.evaluate(() => document.querySelector('#result')?.textContent ?? '')
    expect(JSON.parse(json)).toEqual(result)
    const { series, latency, phases, plan } = result
    const texts = (values: readonly (number | null)[]): (string | null)[] =>
      values.map((value) => (value === null ? null : String(value)))
    expect(series.length).toBeGreaterThan(10)
    const longestMs = Math.max(...series.map(({ intervalMs }) => intervalMs))
    expect(tables['rate-chart']).toEqual(
      series.map(({ answered, failed, connectionsOpened, intervalMs, stage }) =>
        texts([
          ...[answered, failed, connectionsOpened].map((count) =>
            intervalMs > 0.1 * longestMs ? (1_000 * count) / intervalMs : null,
          ),
          stage === 'drain' ? null : plan.ratePerSecond,
        ]),
      ),
    )
    expect(tables['latency-chart']).toEqual(
      series.map(({ answered, latencyMs: { p50, p90, p99, 'p99.9': p999, max } }) =>
        texts([p50, p90, p99, p999, max].map((value) => (answered > 0 ? value : null))),
      ),
    )
    expect(tables['ports-chart']).toEqual(
      series.map(({ timeWait, portsFree }) => texts([timeWait, portsFree])),
    )
    expect(tables['connections-chart']).toEqual(
      series.map(({ connectionsOpen, waiting }) => texts([connectionsOpen, waiting])),
    )
    expect(tables['event-loop-chart']).toEqual(
      series.map(({ eventLoopBusy }) => texts([eventLoopBusy])),
    )
    const points = [latency, phases.service].map(({ minMs, percentilesMs, maxMs }) =>
      texts([minMs, ...percentileNames.map((name) => percentilesMs[name]), maxMs]),
    )
    expect(tables['percentiles-chart']).toEqual(
      points[0]?.map((value, row) => [value, points[1]?.[row]]),
    )
    await page.close()
  })

  it('shows hostile texts as text', async () => {
    const { page, complaints } = await open()
    const seen = await page.evaluate(() => ({
      title: document.title,
      heading: document.querySelector('h1')?.innerText,
      message: document.querySelector('td.message')?.innerText,
      scripts: document.querySelectorAll('script').length,
      images: document.querySelectorAll('img').length,
    }))
    expect(seen).toEqual({
      title: `Stress test of ${result.target.url}`,
      heading: `Stress test of ${result.target.url}`,
      message: HOSTILE,
      // The result, the charts and the script of the page.
      scripts: 3,
      images: 0,
    })
    expect(complaints).toEqual([])
    await page.close()
  })

  it('runs no script other than its own', async () => {
    const page = await browser.newPage()
    const other = join(folder, 'other.html')
    writeFileSync(
      other,
      reportHtml(resultWith()).replace(
        '</main>',
        '<script>document.title = "owned"</script><img src="x" onerror="document.title = \'owned\'"></main>',
      ),
    )
    const refusals: string[] = []
    page.on('console', (message) => refusals.push(message.text()))
    await page.goto(pathToFileURL(other).href)
    expect(await page.title()).toBe('Stress test of http://127.0.0.1:8080/')
    expect(
      refusals.filter((text) => text.includes('Content Security Policy')).length,
    ).toBeGreaterThan(0)
    await page.close()
  })

  it.each(schemes)('has enough contrast in the %s scheme', async (scheme) => {
    const { page } = await open(widths[1], scheme)
    const colours = await page.evaluate(() => {
      const style = getComputedStyle(document.documentElement)
      const names = ['back', 'card', 'shade', 'text', 'quiet', 'link', 'good', 'bad']
      const lines = [1, 2, 3, 4, 5, 6].map((line) => `line-${String(line)}`)
      return Object.fromEntries(
        [...names, ...lines].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]),
      )
    })
    const { back = '', card = '', shade = '' } = colours
    expect(luminance(back) > 0.5).toBe(scheme === 'light')
    for (const [name, colour] of Object.entries(colours)) {
      if (['back', 'card', 'shade'].includes(name)) continue
      // WCAG 2 has these limits for text and for graphics.
      if (name.startsWith('line-')) {
        expect([name, contrast(colour, shade) >= 3]).toEqual([name, true])
      } else {
        expect([name, contrast(colour, back) >= 4.5]).toEqual([name, true])
        expect([name, contrast(colour, card) >= 4.5]).toEqual([name, true])
      }
    }
    await page.close()
  })

  it('can be read with the keyboard and by a screen reader', async () => {
    const { page, complaints } = await open()
    // A screen reader speaks the values at the cursor.
    const chart = page.getByRole('slider', { name: /Rate/ })
    await chart.focus()
    await page.keyboard.press('End')
    await page.keyboard.press('ArrowLeft')
    const { second = 0, failed = 0, intervalMs = 1 } = result.series.at(-2) ?? {}
    const text = await chart.getAttribute('aria-valuetext')
    expect(text).toMatch(new RegExp(`^${String(Number(second.toFixed(2)))} s: answered `))
    const perSecond = (1_000 * failed) / intervalMs
    expect(text).toContain(`failed ${String(Number(perSecond.toPrecision(3)))}/s`)
    // A line is hidden and shown again.
    const button = page.getByRole('button', { name: /^plan/ })
    const planned = async (): Promise<number> => (await drawnIn(page))[0]?.pixels[3] ?? NaN
    const before = await planned()
    await button.focus()
    await page.keyboard.press('Space')
    expect(await button.getAttribute('aria-pressed')).toBe('false')
    expect(await planned()).toBe(0)
    await page.keyboard.press('Space')
    expect(await planned()).toBe(before)
    // The table is opened.
    const section = page.locator('#rate-section')
    await section.locator('summary').focus()
    await page.keyboard.press('Enter')
    expect(await section.getByRole('table', { name: /^Rate, per s/ }).isVisible()).toBe(true)
    const structure = await page.evaluate(() => ({
      headings: Array.from(document.querySelectorAll('h1, h2, h3')).map(
        ({ localName }) => localName,
      ),
      unnamedTables: Array.from(document.querySelectorAll('table')).filter(
        (table) => (table.children[0]?.textContent.trim() ?? '') === '',
      ).length,
      unnamedCanvases: Array.from(document.querySelectorAll('canvas')).filter(
        (canvas) => canvas.closest('[aria-label]') === null,
      ).length,
      cellsWithoutHead: document.querySelectorAll('tbody tr:not(:has(th[scope="row"]))').length,
    }))
    expect(structure).toEqual({
      headings: ['h1', ...Array.from({ length: structure.headings.length - 1 }, () => 'h2')],
      unnamedTables: 0,
      unnamedCanvases: 0,
      cellsWithoutHead: 0,
    })
    expect(complaints).toEqual([])
    await page.close()
  })

  it('is printed in light colours even from a dark screen', async () => {
    const { page, complaints } = await open(widths[0], 'dark')
    await page.evaluate(`addEventListener('afterprint', () => (globalThis.printed = true));
      addEventListener('beforeprint', () => {
        globalThis.widths = [...document.querySelectorAll('canvas')].map((each) => each.clientWidth)
        globalThis.back = getComputedStyle(document.documentElement).getPropertyValue('--back')
      })`)
    expect((await page.pdf()).subarray(0, 4).toString()).toBe('%PDF')
    await page.waitForFunction('globalThis.printed')
    expect(await page.evaluate('[...new Set(widths)]')).toEqual([680])
    expect(await page.evaluate('back')).toBe('#ffffff')
    // Afterwards the screen is dark again.
    expect((await drawnIn(page)).every(({ pixels }) => (pixels.at(-1) ?? 0) > 20)).toBe(true)
    expect(complaints).toEqual([])
    await page.close()
  })
})

/** Returns the relative luminance of WCAG 2. */
function luminance(hex: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const share = parseInt(hex.slice(at, at + 2), 16) / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

function contrast(one: string, other: string): number {
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].toSorted((a, b) => a - b)
  return (light + 0.05) / (dark + 0.05)
}
