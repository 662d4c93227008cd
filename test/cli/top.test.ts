import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { connectionsToFreshPort } from '../helpers/fresh-port'
import { UNKNOWN_HOST } from '../helpers/unknown-host'
import { closeLater } from '../sockets'
import { Cli, print, run } from './run-cli'

const MAIN = join(__dirname, '..', '..', 'dist', 'cli', 'main.js')
const TERMINAL = join(__dirname, 'terminal.py')

interface Shown {
  timeWait: number
  destinations: { remoteAddress: string; remotePort: number; used: number; ports: number }[]
}

/** The command in a terminal of its own, 200 columns wide. */
class InTerminal {
  readonly child: ChildProcess
  text = ''
  readonly ended: Promise<number | null>

  constructor(args: readonly string[], environment: Record<string, string> = {}) {
    const command = [TERMINAL, process.execPath, MAIN, 'top', ...args]
    this.child = spawn('python3', command, {
      env: { ...process.env, LC_ALL: 'C.UTF-8', TERM: 'xterm', NO_COLOR: '', ...environment },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    closeLater(() => this.child.kill('SIGKILL'))
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.text += text))
    this.ended = once(this.child, 'close').then(([code]) => code as number | null)
  }

  async shown(text: string | RegExp): Promise<void> {
    const isThere = () =>
      typeof text === 'string' ? this.text.includes(text) : text.test(this.text)
    while (!isThere()) {
      if (this.child.stdout === null) throw new Error('no output')
      await once(this.child.stdout, 'data')
    }
  }
}

describe('socket-tuner top', () => {
  it('prints one look with --once, of the destination that is asked for', async () => {
    const port = await connectionsToFreshPort(3)
    const target = `127.0.0.1:${String(port)}`
    const { code, stdout, stderr } = await run('top', '--once', '--target', target)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^\d\d:\d\d:\d\d {2}[\d,]+ in TIME_WAIT/)
    expect(stdout).toMatch(new RegExp(` ${target} +127.0.0.1 +3 +0 `))
    expect(stdout).not.toContain('\u001b')
  })

  it('shows each address of a host name', async () => {
    const port = await connectionsToFreshPort(2)
    const target = `localhost:${String(port)}`
    const { code, stdout } = await run('top', '--once', '--json', '--target', target)
    expect(code).toBe(0)
    expect((JSON.parse(stdout) as Shown).destinations).toContainEqual(
      expect.objectContaining({ host: 'localhost', remoteAddress: '127.0.0.1', used: 2 }),
    )
  })

  it('ends without an error when the reader of its lines goes away', async () => {
    const cli = new Cli('top', '--json', '--interval', '1')
    const closed = cli.closed()
    await cli.printed('}\n')
    cli.child.stdout.destroy()
    expect(await closed).toMatchObject({ code: 0, stderr: '' })
  })

  it('prints a line of JSON for each look with --json, until a signal', async () => {
    const port = await connectionsToFreshPort(3)
    const target = `127.0.0.1:${String(port)}`
    const cli = new Cli('top', '--json', '--interval', '1', '--target', target)
    const closed = cli.closed()
    await cli.printed('}\n{')
    cli.child.kill('SIGTERM')
    const { code, stdout } = await closed
    expect(code).toBe(0)
    const [first, second] = stdout.split('\n').map((line) => (line === '' ? undefined : line))
    for (const line of [first, second]) {
      const { timeWait, destinations } = JSON.parse(line ?? '') as Shown
      expect(Number.isInteger(timeWait)).toBe(true)
      expect(destinations).toContainEqual(
        expect.objectContaining({ remoteAddress: '127.0.0.1', remotePort: port, used: 3 }),
      )
    }
  })

  it.each([
    ['q', 'q'],
    ['Control-C', '\u0003'],
  ])('has the screen for itself and gives it back: %s', async (_, key) => {
    const terminal = new InTerminal(['--interval', '3600'])
    await terminal.shown('q ends')
    expect(terminal.text).toContain('\u001b[?1049h\u001b[?25l')
    terminal.child.stdin?.write(key)
    expect(await terminal.ended).toBe(0)
    expect(terminal.text.endsWith('\u001b[?25h\u001b[?1049l')).toBe(true)
  })

  it('prints plain lines on a terminal that has no other screen', async () => {
    const terminal = new InTerminal(['--interval', '3600'], { TERM: 'dumb' })
    await terminal.shown('in TIME_WAIT')
    expect(terminal.text).not.toContain('\u001b')
    terminal.child.kill('SIGKILL')
    await terminal.ended
  })

  it('draws anew when the terminal changes its size', async () => {
    const port = await connectionsToFreshPort(3)
    const terminal = new InTerminal(['--interval', '3600', '--target', `127.0.0.1:${String(port)}`])
    // All of the first picture, so that none of it is taken for the second.
    await terminal.shown(/connect {2}[^]*\u001b\[J/)
    terminal.text = ''
    // The terminal's program makes it 30 columns wide.
    terminal.child.kill('SIGUSR1')
    await terminal.shown(/\u001b\[J/)
    expect(terminal.text).not.toContain('connect  ')
    const lines = terminal.text.replaceAll(/\u001b\[[?\d]*[A-Za-z]/g, '').split(/\r?\n/)
    // A longer one would be wrapped, and move those below.
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(30)
    terminal.child.stdin?.write('q')
    expect(await terminal.ended).toBe(0)
  })

  it.each([
    [['--target', 'nonsense'], 2, '--target'],
    [['--target', '127.0.0.1:0'], 2, '--target.port'],
    [Array(11).fill(['--target', '127.0.0.1:1']).flat(), 2, '10 times'],
    [['--interval', '0'], 2, '--interval'],
    [['--interval', 'x'], 2, '--interval'],
    [['--print-sysctl'], 2, 'has no option --print-sysctl'],
  ])('%j: exit code %d', async (args, expected, text) => {
    const { code, stdout, stderr } = await print('top', ...(args as string[]))
    expect({ code, stdout }).toEqual({ code: expected, stdout: '' })
    expect(stderr).toContain(text)
  })

  it('fails with 1 where its host is not known', async () => {
    const { code, stdout, stderr } = await run('top', '--once', '--target', `${UNKNOWN_HOST}:80`)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain(UNKNOWN_HOST)
  })
})
