import { connectionsToFreshPort } from '../helpers/fresh-port'
import { UNKNOWN_HOST } from '../helpers/unknown-host'
import { InTerminal } from './in-terminal'
import { Cli, print, run } from './run-cli'

interface Shown {
  timeWait: number
  destinations: { remoteAddress: string; remotePort: number; used: number; ports: number }[]
}

describe('socket-tuner top', () => {
  it('prints one reading with --once, with the destination of --target', async () => {
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

  it('exits without an error if the reader of its output closes the pipe', async () => {
    const cli = new Cli('top', '--json', '--interval', '1')
    const closed = cli.closed()
    await cli.printed('}\n')
    cli.child.stdout.destroy()
    expect(await closed).toMatchObject({ code: 0, stderr: '' })
  })

  it('prints a line of JSON for each reading with --json, until a signal', async () => {
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
  ])('uses the alternate screen, and restores the terminal on %s', async (_, key) => {
    const terminal = new InTerminal(['top', '--interval', '3600'])
    await terminal.shown('q quits')
    expect(terminal.text).toContain('\u001b[?1049h\u001b[?25l')
    terminal.type(key)
    expect(await terminal.ended).toBe(0)
    expect(terminal.text.endsWith('\u001b[?25h\u001b[?1049l')).toBe(true)
  })

  it('prints plain lines on a terminal without an alternate screen', async () => {
    const terminal = new InTerminal(['top', '--interval', '3600'], {
      environment: { TERM: 'dumb' },
    })
    await terminal.shown('in TIME_WAIT')
    expect(terminal.text).not.toContain('\u001b')
    terminal.child.kill('SIGKILL')
    await terminal.ended
  })

  it('redraws when the terminal changes its size', async () => {
    const port = await connectionsToFreshPort(3)
    const target = `127.0.0.1:${String(port)}`
    const terminal = new InTerminal(['top', '--interval', '3600', '--target', target])
    // Waits for the whole first drawing, so that no part of it counts as the second.
    await terminal.shown(/connect {2}[^]*\u001b\[J/)
    terminal.text = ''
    terminal.resize()
    await terminal.shown(/\u001b\[J/)
    expect(terminal.text).not.toContain('connect  ')
    // A longer line would wrap and displace the lines below.
    for (const line of terminal.drawings.flat()) expect(line.length).toBeLessThanOrEqual(30)
    terminal.type('q')
    expect(await terminal.ended).toBe(0)
  })

  it.each([
    [['--target', 'nonsense'], 2, '--target'],
    [['--target', '127.0.0.1:0'], 2, '--target.port'],
    [Array(11).fill(['--target', '127.0.0.1:1']).flat(), 2, '10 times'],
    [['--interval', '0'], 2, '--interval'],
    [['--interval', 'x'], 2, '--interval'],
    [['--print-sysctl'], 2, 'has no option --print-sysctl'],
  ])('with %j exits with code %d', async (args, expected, text) => {
    const { code, stdout, stderr } = await print('top', ...(args as string[]))
    expect({ code, stdout }).toEqual({ code: expected, stdout: '' })
    expect(stderr).toContain(text)
  })

  it('exits with code 1 for an unknown host', async () => {
    const { code, stdout, stderr } = await run('top', '--once', '--target', `${UNKNOWN_HOST}:80`)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain(UNKNOWN_HOST)
  })
})
