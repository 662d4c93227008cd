/** `socket-tuner stress` on a terminal. */
import { mkdtempSync, readdirSync, rmdirSync } from 'node:fs'
import * as http from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { closeLater, listen } from '../sockets'
import { InTerminal, plain, type TerminalSetup } from './in-terminal'

const RESTORED = '\u001b[?25h\u001b[?1049l'
const CONTROL_C = '\u0003'

async function target(): Promise<string> {
  const server = http.createServer((_request, response) => response.end('x'))
  const port = await listen(server)
  closeLater(() => {
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${String(port)}/`
}

/** Starts a run that lasts until it is ended, and waits until it has shown a rate. */
async function measuring(setup: TerminalSetup = {}, ...flags: string[]): Promise<InTerminal> {
  const args = ['stress', await target(), '--duration', '1h', '--connections', '2', ...flags]
  const terminal = new InTerminal(args, setup)
  await terminal.shown(/rate {9}(\u001b\[\d+m)?[\d,]+\/s[^]*\u001b\[J/)
  return terminal
}

/** Returns the text on the terminal after the panel. */
function after(terminal: InTerminal): string {
  const [, text, ...others] = terminal.text.split(RESTORED)
  // The terminal is restored only once.
  expect(others).toEqual([])
  expect(text).not.toContain('\u001b')
  return text ?? ''
}

describe('socket-tuner stress on a terminal', () => {
  it.each([
    [80, 24],
    [40, 10],
    [200, 50],
  ])('draws a panel that fits into %d columns and %d rows', async (columns, rows) => {
    const terminal = await measuring({ size: `${String(columns)}x${String(rows)}` })
    expect(terminal.text).toContain('\u001b[?1049h\u001b[?25l')
    terminal.type(CONTROL_C)
    expect(await terminal.ended).toBe(130)
    for (const lines of terminal.drawings) {
      // One more line would scroll the others.
      expect(lines.length).toBeLessThan(rows)
      for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns)
      for (const label of ['rate', 'latency', 'errors', 'connections', 'TIME_WAIT', 'ports'])
        expect(lines.filter((line) => line.startsWith(label.padEnd(13)))).toHaveLength(1)
    }
  })

  it.each([
    ['Control-C', CONTROL_C, 130],
    ['q', 'q', 130],
  ])(
    'restores the terminal, and prints the results so far, on %s',
    async (_what, key, expected) => {
      const terminal = await measuring()
      terminal.type(key)
      expect(await terminal.ended).toBe(expected)
      expect(after(terminal)).toContain(', then aborted: ')
      expect(terminal.drawings.at(-1)?.at(-1)).toBe('Ending. Ctrl-C again: exit at once')
    },
  )

  it('restores the terminal, and prints the results so far, on SIGTERM', async () => {
    const terminal = await measuring()
    terminal.child.kill('SIGTERM')
    expect(await terminal.ended).toBe(143)
    expect(after(terminal)).toContain(', then aborted: ')
  })

  it('restores the terminal, and prints and writes nothing, on a second Control-C', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'stress-'))
    const terminal = await measuring({}, '--report', join(folder, 'report.html'))
    terminal.type(CONTROL_C + CONTROL_C)
    expect(await terminal.ended).toBe(130)
    expect(after(terminal)).toBe('')
    expect(readdirSync(folder)).toEqual([])
    rmdirSync(folder)
  })

  it('restores the terminal before it prints an error', async () => {
    const terminal = new InTerminal(['stress', 'http://127.0.0.1:1/'])
    expect(await terminal.ended).toBe(1)
    expect(after(terminal)).toContain('it refuses connections')
  })

  it('redraws when the terminal changes its size', async () => {
    const terminal = await measuring({ size: '80x24', later: '40x10' })
    terminal.text = ''
    terminal.resize()
    await terminal.shown(/\u001b\[J/)
    const [lines = []] = terminal.drawings
    expect(lines.length).toBeLessThan(10)
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(40)
    terminal.type('q')
    expect(await terminal.ended).toBe(130)
  })

  it.each([
    ['colours', '', true],
    ['no colours', '1', false],
  ])('has %s with NO_COLOR=%s', async (_what, NO_COLOR, expected) => {
    const terminal = await measuring({ environment: { NO_COLOR } })
    expect(/\u001b\[\d+m/.test(terminal.text)).toBe(expected)
    terminal.type('q')
    expect(await terminal.ended).toBe(130)
  })

  it('prints lines without escape sequences on a terminal that supports none', async () => {
    const args = ['stress', await target(), '--amount', '5']
    const terminal = new InTerminal(args, { environment: { TERM: 'dumb' } })
    expect(await terminal.ended).toBe(0)
    expect(terminal.text).toContain('5 requests answered')
    expect(terminal.text).not.toContain('\u001b')
  })

  it('draws no panel with --json', async () => {
    const terminal = new InTerminal(['stress', await target(), '--amount', '5', '--json'])
    expect(await terminal.ended).toBe(0)
    expect(JSON.parse(terminal.text)).toMatchObject({ requests: { answered: 5 } })
  })

  it.each([
    [
      '--compare',
      'fin,reset',
      [/^round 0 {2}fin {3,}/, /^round 2 {2}reset {3,}/],
      /^round 2 of 2: /,
    ],
    ['--find-rate', 'failed<=0', [/^round 1 {2}/, /^round 2 {2}/], /^round 2 of at most 2: /],
  ])('shows the rounds of %s in its panel', async (flag, value, rounds, last) => {
    const short = ['--rounds', '2', '--duration', '60ms', '--warmup', '0']
    const terminal = new InTerminal(['stress', await target(), flag, value, ...short])
    await terminal.ended
    const final = terminal.drawings.at(-1) ?? []
    for (const each of [...rounds, last])
      expect(final.filter((line) => each.test(line))).toHaveLength(1)
    expect(plain(after(terminal))).toContain('p50')
  })
})
