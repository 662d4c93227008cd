import type { Look } from '../../lib/cli/look'
import { render } from '../../lib/cli/top/render'
import type { TopRow, View } from '../../lib/cli/top/top-source'
import type { PortReport } from '../../lib/ports'

const plain: Look = { width: Infinity, colour: false, unicode: true }

function row(some: Partial<PortReport> = {}, history: readonly number[] = [0, 0.5, 1]): TopRow {
  const report: PortReport = {
    host: undefined,
    remoteAddress: '10.0.0.1',
    remotePort: 80,
    localAddress: '10.0.0.9',
    range: { min: 32768, max: 60999 },
    ports: 28_232,
    reserved: 0,
    listening: 0,
    bound: 0,
    byState: { TIME_WAIT: 9_000, ESTABLISHED: 5 },
    used: 9_005,
    timeWait: 9_000,
    reusable: 0,
    timeWaitReuse: { setting: 0, applies: false, delayMs: 1000 },
    free: 19_227,
    available: 19_227,
    untilSlow: 5_111,
    heldSeconds: 60,
    sustainableRate: 470,
    rate: 500,
    secondsUntilExhaustion: 38.4,
    interrupted: false,
    time: 0,
    connects: 0,
    connectMicroseconds: undefined,
    slowestConnectMicroseconds: undefined,
    probeMicroseconds: 17.2,
    troubles: [],
    ...some,
  }
  return { report, history }
}

function view(...rows: TopRow[]): View {
  return { time: Date.UTC(2026, 0, 1), timeWait: 9_100, servers: [], rows }
}

describe('the text of socket-tuner top', () => {
  it('has a line for each destination', () => {
    const lines = render(view(row(), row({ remoteAddress: '::1', remotePort: 443 })), plain)
    expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d {2}9,100 in TIME_WAIT$/)
    const cells = lines.slice(2, 5).map((line) => line.trim().split(/ {2,}/))
    expect(cells[0]).toEqual([
      'destination',
      'from',
      'used',
      'TIME_WAIT',
      'left',
      'of',
      'new/s',
      'slow in',
      'none in',
      'connect',
      'fill',
    ])
    expect(cells[1]).toEqual([
      '10.0.0.1:80',
      '10.0.0.9',
      '9,005',
      '9,000',
      '19,227',
      '28,232',
      '500',
      '10 s',
      '38 s',
      '17 µs',
      '▁▅█',
    ])
    expect(cells[2]?.[0]).toBe('[::1]:443')
  })

  it.each<[string, Partial<PortReport>, string]>([
    ['an unlimited time', { secondsUntilExhaustion: undefined }, ' never '],
    ['minutes', { secondsUntilExhaustion: 600 }, ' 10 min '],
    ['hours', { secondsUntilExhaustion: 36_000 }, ' 10 h '],
    ['no free ports', { secondsUntilExhaustion: 0, untilSlow: 0 }, ' now      now '],
    ['a low rate', { rate: 0.25 }, ' 0.3 '],
    ['no rate', { rate: 0, secondsUntilExhaustion: undefined }, ' -    never '],
    ['no probe', { probeMicroseconds: undefined }, '        -  '],
  ])('shows %s', (_, some, expected) => {
    expect(render(view(row(some)), plain)[3]).toContain(expected)
  })

  it('marks a destination with problems, and explains the mark, in red if colours are allowed', () => {
    const all = view(row({ troubles: ['used', 'exhaustion', 'slow-connect'] }), row())
    const lines = render(all, plain)
    expect(lines[3]).toMatch(/^! {2}10\.0\.0\.1:80/)
    expect(lines[4]).toMatch(/^ +10\.0\.0\.1:80/)
    expect(lines.slice(6)).toEqual([
      '! at least 40 % of the ports are taken',
      '! the ports run out in 38 s',
      '! connect() is slow: it searches for a port on the event loop',
    ])
    expect(lines.join('\n')).not.toContain('\u001b')
    const coloured = render(all, { ...plain, colour: true })
    expect(coloured[3]).toBe(`\u001b[31m${lines[3] ?? ''}\u001b[39m`)
    expect(coloured[4]).toBe(lines[4])
  })

  it.each([
    [0, 'now', '! no port is left'],
    [0.3, '< 1 s', '! the ports run out in < 1 s'],
    [59, '59 s', '! the ports run out in 59 s'],
  ])(
    'shows the same time in the column and in the explanation if %d s are left',
    (seconds, cell, text) => {
      const report = { secondsUntilExhaustion: seconds, troubles: ['exhaustion'] as const }
      const lines = render(view(row(report), row()), plain)
      expect(lines[3]).toContain(` ${cell} `)
      expect(lines.at(-1)).toBe(text)
    },
  )

  it('uses only ASCII on a terminal that supports nothing else', () => {
    const text = render(view(row()), { ...plain, unicode: false }).join('\n')
    expect(text).toMatch(/^[\x20-\x7e\n]*$/)
    expect(text).toContain('17 us  .+#')
  })

  it('truncates lines at the width of the terminal', () => {
    const lines = render(view(row({ troubles: ['used'] })), { ...plain, width: 20 })
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(20)
  })

  it("names the TIME_WAIT entries on servers' own ports", () => {
    const servers = [
      { localPort: 80, count: 6_000 },
      { localPort: 443, count: 3_000 },
    ]
    expect(render({ ...view(row()), servers }, plain)[0]).toContain(
      "9,100 in TIME_WAIT, 9,000 of them on servers' own ports (80, 443), where they occupy no ephemeral port",
    )
  })

  it('reports that there is nothing to show', () => {
    expect(render(view(), plain)[2]).toBe('No destination has more than one connection.')
  })
})
