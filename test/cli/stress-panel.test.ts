import type { Look } from '../../lib/cli/look'
import { panelLines, type PanelState } from '../../lib/cli/stress-panel'
import { runProgress } from '../../lib/cli/stress-progress'
import { resultWith, snapshotWith } from '../stress/report-results'
import { plain } from './in-terminal'

const look: Look = { width: 80, colour: false, unicode: true }
const { plan } = resultWith()

function state(parts: Partial<PanelState> = {}): PanelState {
  return {
    url: 'http://10.0.0.7:8080/a/long/path/to/something/that/is/measured',
    plan: { ...plan, loop: 'open', ratePerSecond: 1_000, arrivals: 'constant' },
    progress: { text: 'measuring: 12 s of 30 s', share: 0.4, secondsLeft: 18 },
    snapshot: snapshotWith({
      answered: 990,
      failed: 7,
      connectionsOpen: 12,
      connectionsOpened: 995,
      waiting: 3,
      timeWait: 1_234,
      portsFree: 26_998,
      secondsUntilExhaustion: 125,
      intervalMs: 1_000,
      stage: 'measure',
    }),
    failed: 17,
    rates: [0, 250, 500, 750, 1_000],
    rounds: [],
    roundSides: '',
    notes: [],
    isEnding: false,
    ...parts,
  }
}

const labels = ['rate', 'latency', 'errors', 'connections', 'TIME_WAIT', 'ports', 'generator']

describe('the panel of stress', () => {
  it('shows the rate against the plan, latencies, errors, connections, TIME_WAIT and ports', () => {
    const lines = panelLines(state(), look, 23)
    expect(lines).toEqual([
      'http://10.0.0.7:8080/a/long/path/to/something/that/is/measured',
      'open loop of 1000/s (constant)  8 connections at a time  with 1 request each',
      '',
      `measuring: 12 s of 30 s  ${'█'.repeat(16)}${'░'.repeat(24)}  18 s left`,
      '',
      'rate         990/s  of 1,000/s  ▁▃▅▇█',
      expect.stringMatching(/^latency {6}p50 [\d.]+ [µm]?s {2}p99 [\d.]+ [µm]?s {2}max /) as string,
      'errors       17  7/s',
      'connections  12 open  995/s opened  3 waiting',
      'TIME_WAIT    1,234',
      'ports        26,998 free  none in 2:05 min',
      expect.stringMatching(/^generator {4}event loop \d+ % busy$/) as string,
      '',
      'Ctrl-C ends it with the results so far',
    ])
  })

  it.each([
    [80, 23],
    [40, 9],
    [200, 49],
    [20, 3],
    [1, 1],
  ])('fits into %d columns and %d rows', (width, height) => {
    const rounds = Array.from({ length: 60 }, (_, at) => [
      `round ${String(at)}`,
      '9,999/s',
      'holds',
    ])
    const notes = ['warning: '.padEnd(300, 'x '), 'y'.repeat(300)]
    for (const parts of [{}, { snapshot: undefined }, { rounds, roundSides: 'lrl', notes }]) {
      const lines = panelLines(state(parts), { ...look, width }, height)
      expect(lines.length).toBeLessThanOrEqual(height)
      for (const line of lines) expect(line.length).toBeLessThanOrEqual(width)
    }
  })

  it('has all rows in 40 columns and 9 rows, and no truncated row', () => {
    const lines = panelLines(state(), { ...look, width: 40 }, 9)
    expect(lines.map((line) => line.split(' ')[0])).toEqual([
      ...['http://10.0.0.7:8080/a/long/path/to/some', 'measuring:'],
      ...labels.slice(0, 6),
      'Ctrl-C',
    ])
    expect(lines[6]).toBe('TIME_WAIT    1,234')
    expect(lines[7]).toBe('ports        26,998 free')
  })

  it('keeps the newest rounds if not all fit', () => {
    const rounds = [1, 2, 3, 4].map((round) => [`round ${String(round)}`, 'holds'])
    const shown = (height: number): string[] =>
      panelLines(state({ rounds, roundSides: 'll' }), look, height)
        .filter((line) => line.startsWith('round'))
        .map((line) => line.slice(0, 7))
    expect(shown(30)).toEqual(['round 1', 'round 2', 'round 3', 'round 4'])
    expect(shown(15).at(-1)).toBe('round 4')
    expect(shown(7)).toEqual(['round 4'])
  })

  it('has the same rows before the first snapshot, so that nothing moves', () => {
    const heads = (snapshot: PanelState['snapshot']): (string | undefined)[] =>
      panelLines(state({ snapshot }), look, 23).map((line) => line.split(' ')[0])
    expect(heads(undefined)).toEqual(heads(snapshotWith()))
  })

  it('shows no latency without answers', () => {
    const lines = panelLines(state({ snapshot: snapshotWith({ answered: 0 }) }), look, 23)
    expect(lines).toContain('latency      p50 n/a  p99 n/a  max n/a')
  })

  it('marks failures and ports that soon run out in colour, if colours are allowed', () => {
    const snapshot = snapshotWith({ failed: 1, portsFree: 9, secondsUntilExhaustion: 5 })
    const coloured = panelLines(state({ snapshot }), { ...look, colour: true }, 23)
    const red = coloured.flatMap((line) => line.match(/\u001b\[31m[^\u001b]*/g) ?? [])
    expect(red.map((text) => plain(text).trim())).toEqual(['errors       17', '1/s', 'none in 5 s'])
    const lines = panelLines(state({ snapshot }), look, 23)
    expect(lines.join('')).not.toContain('\u001b')
    expect(coloured.map(plain)).toEqual(lines)
  })

  it('uses only ASCII on a terminal that supports nothing else', () => {
    const snapshot = snapshotWith({
      latencyMs: { p50: 0.1, p90: 0.1, p99: 0.1, 'p99.9': 1, max: 1 },
    })
    const lines = panelLines(state({ snapshot }), { ...look, unicode: false }, 23)
    expect(lines.join('')).toMatch(/^[\x20-\x7e]*$/)
    expect(lines.join('\n')).toContain('p50 100 us')
  })

  it('explains the effect of a second Ctrl-C while the run ends', () => {
    expect(panelLines(state({ isEnding: true }), look, 23).at(-1)).toContain('exit at once')
  })
})

describe('the progress of a run', () => {
  const none = { ms: 0, answered: 0 }
  const timed = { ...plan, durationMs: 30_000, amount: null, warmupMs: 10_000 }

  it.each([
    ['connecting', timed, 'connect', 0, none, 'connecting', 0, 40],
    ['warming up', timed, 'warm-up', 5, none, 'warm-up: 5 s of 10 s', 0.125, 35],
    [
      'measuring',
      timed,
      'measure',
      20,
      { ms: 10_000, answered: 5 },
      'measuring: 10 s of 30 s',
      0.5,
      20,
    ],
    ['ending', timed, 'drain', 40, none, 'waiting for the last answers', 1, 0],
    [
      'measuring an amount',
      { ...timed, durationMs: null, amount: 1_000 },
      'measure',
      12,
      { ms: 2_000, answered: 200 },
      'measuring: 200 of 1,000 requests',
      0.2,
      8,
    ],
    [
      'without an answer yet',
      { ...timed, durationMs: null, amount: 1_000 },
      'measure',
      12,
      { ms: 2_000, answered: 0 },
      'measuring: 0 of 1,000 requests',
      0,
      undefined,
    ],
  ] as const)(
    'is shown while the run is %s',
    (_what, of, stage, second, measured, text, share, left) => {
      expect(runProgress(of, stage, second, measured)).toEqual({ text, share, secondsLeft: left })
    },
  )
})
