import { readFileSync } from 'node:fs'
import { Cli } from './run-cli'

// These read /proc and use options that only Linux has.
const linux = process.platform === 'linux' ? it : it.skip

const started: Cli[] = []

afterEach(() => {
  for (const cli of started.splice(0)) cli.child.kill('SIGKILL')
})

/** A demo that has its client and its server, and goes on for long. */
async function running(): Promise<Cli> {
  const cli = new Cli('demo', '--connections', '100000', '--seconds', '15')
  started.push(cli)
  await cli.printed('each mode.')
  return cli
}

function isClient(pid: number): boolean {
  return readFileSync(`/proc/${String(pid)}/cmdline`, 'latin1').includes('client.js')
}

describe('socket-tuner demo, interrupted', () => {
  linux('runs as three processes', async () => {
    const cli = await running()
    expect(cli.processes()).toHaveLength(3)
    cli.child.kill('SIGINT')
    await cli.closed()
  })

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('by %s ends with %i and leaves no process', async (signal, code) => {
    const cli = await running()
    cli.child.kill(signal)
    expect(await cli.closed()).toMatchObject({ code, signal: null, stderr: '' })
    if (process.platform === 'linux') expect(cli.processes()).toEqual([])
  })

  it('leaves no process when it is killed', async () => {
    const cli = await running()
    cli.child.kill('SIGKILL')
    // 'close' comes when the last process that inherited standard error is gone.
    expect(await cli.closed()).toMatchObject({ signal: 'SIGKILL', stderr: '' })
  })

  linux('fails with 1 when its client is killed', async () => {
    const cli = await running()
    const client = cli.processes().find((pid) => pid !== cli.child.pid && isClient(pid))
    if (client === undefined) throw new Error('No client')
    process.kill(client, 'SIGKILL')
    const { code, stderr } = await cli.closed()
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'socket-tuner: The demo failed: the client ended with SIGKILL\n',
    })
    expect(cli.processes()).toEqual([])
  })
})
